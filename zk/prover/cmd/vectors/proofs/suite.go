// SPDX-License-Identifier: Apache-2.0

// Package proofs makes the vectors of proofs: honest ones of every statement, and false ones
// derived from them. Keys and proofs are random, so the files are written once and frozen.
//
// It may import prove and the packages below it, verify, and draw and frozen beside it.
package proofs

import (
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/cmd/vectors/draw"
	"provenance/zkprover/cmd/vectors/frozen"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/verify"
)

// suite collects cases. The verifier must agree with each.
type suite struct {
	vk    *keys.Verifying
	cases []frozen.Case
	err   error
}

func (s *suite) add(name string, wire proof.JSON, mask verify.Mask, valid bool, why string) {
	p, err := wire.Parse()
	if err == nil {
		err = verify.Verify(s.vk, p, mask)
	}
	if (err == nil) != valid && s.err == nil {
		s.err = fmt.Errorf("case %q: valid %v, but the verifier says %v", name, valid, err)
	}
	s.cases = append(s.cases, frozen.Case{Name: name, Proof: wire, Mask: mask,
		Valid: valid, Why: why})
}

// edit adds the case of a changed copy of an honest proof.
func (s *suite) edit(
	name string, honest *proof.Proof, mask verify.Mask, valid bool, why string,
	change func(*proof.Proof),
) {
	p := *honest
	p.Commitments = append([]bn254.G1Affine(nil), p.Commitments...)
	p.Knowledge = append([]bn254.G1Affine(nil), p.Knowledge...)
	p.Public = append([]fr.Element(nil), p.Public...)
	change(&p)
	s.add(name, p.ToJSON(), mask, valid, why)
}

// editWire adds the case of a changed copy of the wire form, with numbers that a parsed proof
// cannot hold.
func (s *suite) editWire(
	name string, honest *proof.Proof, mask verify.Mask, why string, change func(*proof.JSON),
) {
	text, err := honest.Marshal()
	if err != nil {
		s.err = err
		return
	}
	var wire proof.JSON
	if err := json.Unmarshal(text, &wire); err != nil {
		s.err = err
		return
	}
	change(&wire)
	s.add(name, wire, mask, false, why)
}

// addTo adds a constant to a word as an integer.
func addTo(word *string, n *big.Int) {
	value, _ := new(big.Int).SetString((*word)[2:], 16) // our own output, always hexadecimal
	value.Add(value, n)
	*word = fmt.Sprintf("0x%064x", value)
}

// inputs perturbs every public input.
func (s *suite) inputs(label string, p *proof.Proof, names []string, mask verify.Mask) {
	for i, name := range names {
		title := label + ": public " + name
		s.edit(title+" + 1", p, mask, false, "public input differs", func(p *proof.Proof) {
			p.Public[i].Add(&p.Public[i], new(fr.Element).SetOne())
		})
		s.edit(title+" - 1", p, mask, false, "public input differs", func(p *proof.Proof) {
			p.Public[i].Sub(&p.Public[i], new(fr.Element).SetOne())
		})
		s.edit(title+" drawn", p, mask, false, "public input differs", func(p *proof.Proof) {
			p.Public[i] = draw.Scalar("public %d", i)
		})
		if !p.Public[i].IsZero() {
			s.edit(title+" = 0", p, mask, false, "public input differs", func(p *proof.Proof) {
				p.Public[i].SetZero()
			})
		}
		s.editWire(title+" + r", p, mask, "not below r: an alias of the same element",
			func(w *proof.JSON) {
				addTo(&w.Public[i], fr.Modulus())
			})
		s.editWire(title+" + 4r", p, mask, "not below r: an alias of the same element",
			func(w *proof.JSON) {
				addTo(&w.Public[i], new(big.Int).Lsh(fr.Modulus(), 2))
			})
		if next := (i + 1) % len(names); !p.Public[i].Equal(&p.Public[next]) {
			s.edit(title+" swapped with the next", p, mask, false, "public inputs out of order",
				func(p *proof.Proof) {
					p.Public[i], p.Public[next] = p.Public[next], p.Public[i]
				})
		}
	}
}

// coordinates damages every coordinate of every point.
func (s *suite) coordinates(label string, p *proof.Proof, mask verify.Mask) {
	type slot struct {
		name string
		at   func(*proof.JSON) *string
	}
	var slots []slot
	list := func(name string, n int, at func(*proof.JSON, int) *string) {
		for i := range n {
			slots = append(slots, slot{fmt.Sprintf("%s[%d]", name, i), func(w *proof.JSON) *string {
				return at(w, i)
			}})
		}
	}
	list("a", 2, func(w *proof.JSON, i int) *string { return &w.A[i] })
	list("b", 4, func(w *proof.JSON, i int) *string { return &w.B[i] })
	list("c", 2, func(w *proof.JSON, i int) *string { return &w.C[i] })
	list("commitments", 2*len(p.Commitments), func(w *proof.JSON, i int) *string {
		return &w.Commitments[i/2][i%2]
	})
	list("poks", 2*len(p.Knowledge), func(w *proof.JSON, i int) *string {
		return &w.Poks[i/2][i%2]
	})
	for _, at := range slots {
		title := label + ": " + at.name
		s.editWire(title+" + q", p, mask, "not below q", func(w *proof.JSON) {
			addTo(at.at(w), fp.Modulus())
		})
		s.editWire(title+" = 0", p, mask, "off the curve", func(w *proof.JSON) {
			*at.at(w) = field.Word{}.Hex()
		})
		s.editWire(title+" + 1", p, mask, "off the curve, or not below q", func(w *proof.JSON) {
			addTo(at.at(w), big.NewInt(1))
		})
	}
}

// g1Points are the names of a proof's G1 points, and functions that return each.
func g1Points(p *proof.Proof) (names []string, at []func(*proof.Proof) *bn254.G1Affine) {
	names = []string{"A", "C"}
	at = append(at, func(p *proof.Proof) *bn254.G1Affine {
		return &p.A
	}, func(p *proof.Proof) *bn254.G1Affine { return &p.C })
	for i := range p.Commitments {
		names = append(names, string("DUP"[i]), "pok of "+string("DUP"[i]))
		at = append(at,
			func(p *proof.Proof) *bn254.G1Affine { return &p.Commitments[i] },
			func(p *proof.Proof) *bn254.G1Affine { return &p.Knowledge[i] })
	}
	return names, at
}

// points replaces whole points; other is an honest proof of another chunk.
func (s *suite) points(label string, p, other *proof.Proof, mask verify.Mask) {
	_, _, g1, _ := bn254.Generators()
	names, at := g1Points(p)
	for i, name := range names {
		for _, change := range []struct {
			what  string
			apply func(point *bn254.G1Affine)
		}{
			{"infinity", func(point *bn254.G1Affine) { point.SetInfinity() }},
			{"negated", func(point *bn254.G1Affine) { point.Neg(point) }},
			{"doubled", func(point *bn254.G1Affine) { point.Double(point) }},
			{"plus the generator", func(point *bn254.G1Affine) { point.Add(point, &g1) }},
			{"of another chunk", func(point *bn254.G1Affine) { *point = *at[i](other) }},
		} {
			s.edit(fmt.Sprintf("%s: %s %s", label, name, change.what), p, mask, false,
				"a point differs", func(p *proof.Proof) {
					change.apply(at[i](p))
				})
		}
	}
	s.secondGroup(label, p, other, mask)
}

func (s *suite) secondGroup(label string, p, other *proof.Proof, mask verify.Mask) {
	_, _, _, g2 := bn254.Generators()
	outside := draw.OutsideSubgroup()
	for _, change := range []struct {
		what, why string
		apply     func(b *bn254.G2Affine)
	}{
		{"infinity", "a point differs", func(b *bn254.G2Affine) { b.SetInfinity() }},
		{"negated", "a point differs", func(b *bn254.G2Affine) { b.Neg(b) }},
		{"doubled", "a point differs", func(b *bn254.G2Affine) { b.Double(b) }},
		{"plus the generator", "a point differs", func(b *bn254.G2Affine) { b.Add(b, &g2) }},
		{"of another chunk", "a point differs", func(b *bn254.G2Affine) { *b = other.B }},
		{"outside the subgroup", "on the curve, outside the subgroup of order r",
			func(b *bn254.G2Affine) {
				*b = outside
			}},
		{"plus a point outside the subgroup", "on the curve, outside the subgroup of order r",
			func(b *bn254.G2Affine) {
				b.Add(b, &outside)
			}},
	} {
		s.edit(label+": B "+change.what, p, mask, false, change.why, func(p *proof.Proof) {
			change.apply(&p.B)
		})
	}
	s.editWire(label+": B with X0 X1 Y0 Y1", p, mask, "coordinates in the wrong order",
		func(w *proof.JSON) {
			w.B[0], w.B[1], w.B[2], w.B[3] = w.B[1], w.B[0], w.B[3], w.B[2]
		})
}

// malleable adds other valid forms of a proof: they show that a proof's bytes are not an id.
func (s *suite) malleable(label string, p *proof.Proof, mask verify.Mask) {
	s.edit(label+": (-A, -B, C)", p, mask, true,
		"malleability of Groth16: must verify, must not count twice", func(p *proof.Proof) {
			p.A.Neg(&p.A)
			p.B.Neg(&p.B)
		})
	s.edit(label+": (A/7, 7B, C)", p, mask, true, "malleability of Groth16", func(p *proof.Proof) {
		seven := fr.NewElement(7)
		inverse := new(fr.Element).Inverse(&seven)
		p.A.ScalarMultiplication(&p.A, inverse.BigInt(new(big.Int)))
		p.B.ScalarMultiplication(&p.B, big.NewInt(7))
	})
	s.edit(label+": (A, B + 5 delta, C + 5 A)", p, mask, true, "malleability of Groth16",
		func(p *proof.Proof) {
			five := big.NewInt(5)
			var shift bn254.G2Affine
			shift.Neg(&s.vk.DeltaNeg)
			shift.ScalarMultiplication(&shift, five)
			p.B.Add(&p.B, &shift)
			var a bn254.G1Affine
			a.ScalarMultiplication(&p.A, five)
			p.C.Add(&p.C, &a)
		})
}

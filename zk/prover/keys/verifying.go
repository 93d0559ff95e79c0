// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"slices"

	"github.com/consensys/gnark-crypto/ecc/bn254"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/kinds"
)

const (
	formatVersion = 1
	headerWords   = 7
	// MaxWordsBytes bounds a key's byte string.
	MaxWordsBytes = 1 << 16
)

// Knowledge is the verifying key of one Pedersen commitment. SigmaNeg = -sigma*G.
type Knowledge struct {
	G, SigmaNeg bn254.G2Affine
}

// Verifying is everything a verifier needs. Beta, gamma and delta are stored negated, as they are
// used.
type Verifying struct {
	Shape                       circuits.Shape
	Alpha                       bn254.G1Affine
	BetaNeg, GammaNeg, DeltaNeg bn254.G2Affine
	IC                          []bn254.G1Affine // constant, then one per public input
	Knowledge                   []Knowledge
	BasesDigests                []field.Word // keccak256 of each commitment key's bases
	// I_0 = sum i*K_i and S = sum K_i over the position bases
	WeightedPositions, Positions bn254.G1Affine
}

// Bytes is the key data contract's content.
//
// Source: docs/formats/proofs.md, "Verifying key".
func (v *Verifying) Bytes() []byte {
	w := &writer{}
	w.number(formatVersion)
	w.number(v.Shape.Number())
	w.number(uint64(v.Shape.Slots))
	w.number(uint64(v.Shape.Depth))
	w.number(uint64(v.Shape.Public()))
	w.number(uint64(v.Shape.Commitments()))
	w.number(0) // flags: no lookups
	w.g1(&v.Alpha)
	for _, p := range []*bn254.G2Affine{&v.BetaNeg, &v.GammaNeg, &v.DeltaNeg} {
		w.g2(p)
	}
	for i := range v.IC {
		w.g1(&v.IC[i])
	}
	for i := range v.Knowledge {
		w.g2(&v.Knowledge[i].G)
		w.g2(&v.Knowledge[i].SigmaNeg)
	}
	if v.Shape.Kind == kinds.Epoch {
		for _, digest := range v.BasesDigests {
			w.bytes = append(w.bytes, digest[:]...)
		}
		w.g1(&v.WeightedPositions)
		w.g1(&v.Positions)
	}
	return w.bytes
}

// ID is vkId, the keccak-256 of the bytes.
func (v *Verifying) ID() field.Word { return field.Keccak(v.Bytes()) }

// Parse reads and checks a key from an untrusted byte string. Errors are of code bad_key: a wrong
// length, a number out of range, a point that is not canonical, off its curve or outside its
// subgroup, and everything [Verifying.check] refuses.
func Parse(data []byte) (*Verifying, error) {
	if len(data) > MaxWordsBytes {
		return nil, fault.Differs(fault.BadKey, "length in bytes", "at most 65536", len(data))
	}
	r := &reader{bytes: data}
	v := &Verifying{Shape: r.header()}
	if r.err != nil {
		return nil, r.err
	}
	v.Alpha = r.g1("alpha")
	v.BetaNeg, v.GammaNeg, v.DeltaNeg = r.g2("-beta"), r.g2("-gamma"), r.g2("-delta")
	for i := 0; i <= v.Shape.Public(); i++ {
		v.IC = append(v.IC, r.g1("IC"))
	}
	for range v.Shape.Bases() {
		v.Knowledge = append(v.Knowledge, Knowledge{G: r.g2("G"), SigmaNeg: r.g2("GSigmaNeg")})
	}
	if v.Shape.Kind == kinds.Epoch {
		for range v.Shape.Bases() {
			v.BasesDigests = append(v.BasesDigests, r.word("digest of bases"))
		}
		v.WeightedPositions, v.Positions = r.g1("I_0"), r.g1("S")
	}
	if r.err == nil && len(r.bytes) != 0 {
		r.err = fault.Differs(fault.BadKey, "bytes after the last word", 0, len(r.bytes))
	}
	if r.err != nil {
		return nil, r.err
	}
	return v, v.check()
}

// check refuses keys that are well-formed but unsound. With them a prover could make proofs without
// a witness, exchange commitments or public inputs, or show knowledge without having it.
func (v *Verifying) check() error {
	var generator bn254.G2Affine
	_, _, _, generator = bn254.Generators()
	generator.Neg(&generator)
	refuse := func(bad bool, what string) error {
		if bad {
			return fault.New(fault.BadKey, "%s", what)
		}
		return nil
	}
	checks := []error{
		refuse(v.Alpha.IsInfinity() || v.BetaNeg.IsInfinity(), "alpha or beta is infinity"),
		refuse(v.GammaNeg.IsInfinity() || v.DeltaNeg.IsInfinity(), "gamma or delta is infinity"),
		refuse(v.GammaNeg.Equal(&v.DeltaNeg), "gamma equals delta"),
		refuse(v.DeltaNeg.Equal(&generator), "delta is the generator"),
		refuse(len(v.IC) != v.Shape.Public()+1, "IC has the wrong length"),
		refuse(len(v.Knowledge) != v.Shape.Commitments(), "wrong number of commitment keys"),
		distinct(v.IC, "IC"),
		v.checkKnowledge(),
	}
	if v.Shape.Kind == kinds.Epoch {
		d := v.BasesDigests
		checks = append(checks,
			refuse(v.WeightedPositions.IsInfinity() || v.Positions.IsInfinity(),
				"I_0 or S is infinity"),
			refuse(d[0] == d[1] || d[0] == d[2] || d[1] == d[2],
				"two commitment keys have the same bases"),
			refuse(slices.Contains(d, field.Word{}), "a digest of bases is 0"))
	}
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *Verifying) checkKnowledge() error {
	for i := range v.Knowledge {
		k := &v.Knowledge[i]
		var negated bn254.G2Affine
		negated.Neg(&k.G)
		switch {
		case k.G.IsInfinity() || k.SigmaNeg.IsInfinity():
			return fault.New(fault.BadKey, "commitment key %d has a point at infinity", i)
		case k.SigmaNeg.Equal(&negated) || k.SigmaNeg.Equal(&k.G):
			return fault.New(fault.BadKey, "commitment key %d has sigma 1 or -1", i)
		case !k.G.Equal(&v.Knowledge[0].G):
			return fault.New(fault.BadKey, "commitment keys 0 and %d have different G", i)
		}
		negated.Neg(&k.SigmaNeg)
		for j := 0; j < i; j++ {
			if other := &v.Knowledge[j].SigmaNeg; k.SigmaNeg.Equal(other) || negated.Equal(other) {
				return fault.New(fault.BadKey, "commitment keys %d and %d have the same sigma", j,
					i)
			}
		}
	}
	return nil
}

// distinct refuses infinity, and points that are equal or opposite: with any of these, a value
// could be changed without changing the sum.
func distinct(points []bn254.G1Affine, what string) error {
	seen := make(map[field.Word]struct{}, len(points))
	for i := range points {
		if points[i].IsInfinity() {
			return fault.New(fault.BadKey, "%s: point %d is infinity", what, i)
		}
		x := field.Word(points[i].X.Bytes())
		if _, ok := seen[x]; ok {
			return fault.New(fault.BadKey, "%s: point %d repeats another or its negative", what, i)
		}
		seen[x] = struct{}{}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package mutations

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/cmd/vectors/draw"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
)

// mutator derives the mutations of one circuit. How a mutation is made decides whether it must
// verify. The verifier of this module must agree; the tests of the other verifiers check that they
// do.
type mutator struct {
	vk    *keys.Verifying
	bases []*vector
	cases []expandedCase
	made  []*vector       // the proof of each case
	taken map[string]bool // mask and words of the mutations emitted so far
	err   error
}

// run applies all operators to every base, then the drawn operators to the bases in turn.
//
// Normative for what an expanded file holds: docs/formats/proofs.md, "Mutations".
func (m *mutator) run(drawn map[string]int) {
	for i, base := range m.bases {
		other := m.otherOf(i)
		m.emit(base, "honest", true, func(*vector) {})
		m.aliases(base)
		m.values(base)
		m.points(base, other)
		m.secondGroup(base, other)
		m.exchanges(base)
		m.inputs(base, other)
		m.parts(base, other)
		m.masks(base)
	}
	m.draw(drawn)
}

// otherOf is the next base under the same mask.
func (m *mutator) otherOf(i int) *vector {
	for j := 1; ; j++ {
		if other := m.bases[(i+j)%len(m.bases)]; other.mask == m.bases[i].mask {
			return other
		}
	}
}

// emit adds a changed copy of a base and reports whether it was new. A copy that is unchanged, or
// was emitted before, is left out.
func (m *mutator) emit(base *vector, what string, valid bool, change func(*vector)) bool {
	v := base.copy()
	change(v)
	identity := fmt.Sprint(v.mask) + v.hex()
	if m.taken[identity] {
		return false
	}
	m.taken[identity] = true
	m.cases = append(m.cases, expandedCase{base.name + ": " + what, v.mask, v.hex(), valid})
	m.made = append(m.made, v)
	return true
}

// judge returns an error that names the first mutation on which the verifier does not give the
// expected verdict.
func (m *mutator) judge() error {
	for i, c := range m.cases {
		if err := m.made[i].verdict(m.vk); (err == nil) != c.Valid {
			return fmt.Errorf("mutation %q: must verify %v, but the verifier says %v",
				c.Name, c.Valid, err)
		}
	}
	return nil
}

// aliases add multiples of r to public inputs.
func (m *mutator) aliases(base *vector) {
	for i := range base.inputs() {
		for k := int64(1); k <= 5; k++ {
			alias := new(big.Int).Mul(big.NewInt(k), fr.Modulus())
			if alias.Add(alias, base.number(base.public(i))).BitLen() > 256 {
				break
			}
			m.emit(base, fmt.Sprintf("input %d + %d r", i, k), false, func(v *vector) {
				v.setNumber(base.public(i), alias)
			})
		}
	}
}

// values put the borders of both fields into every word.
func (m *mutator) values(base *vector) {
	one := big.NewInt(1)
	for _, value := range []struct {
		name   string
		number *big.Int
	}{
		{"0", new(big.Int)}, {"1", one},
		{"r - 1", new(big.Int).Sub(fr.Modulus(), one)}, {"r", fr.Modulus()},
		{"q - 1", new(big.Int).Sub(fp.Modulus(), one)}, {"q", fp.Modulus()},
		{"2^256 - 1", new(big.Int).Sub(new(big.Int).Lsh(one, 256), one)},
	} {
		for _, at := range base.checked() {
			m.emit(base, fmt.Sprintf("word %d = %s", at, value.name), false, func(v *vector) {
				v.setNumber(at, value.number)
			})
		}
	}
	for _, at := range base.coordinates() {
		alias := new(big.Int).Add(base.number(at), fp.Modulus())
		m.emit(base, fmt.Sprintf("word %d + q", at), false, func(v *vector) {
			v.setNumber(at, alias)
		})
	}
}

// points replace each point of the first group.
func (m *mutator) points(base, other *vector) {
	_, _, g1, _ := bn254.Generators()
	for _, at := range base.points() {
		for _, change := range []struct {
			what  string
			apply func(p *bn254.G1Affine)
		}{
			{"infinity", func(p *bn254.G1Affine) { p.SetInfinity() }},
			{"negated", func(p *bn254.G1Affine) { p.Neg(p) }},
			{"doubled", func(p *bn254.G1Affine) { p.Double(p) }},
			{"plus the generator", func(p *bn254.G1Affine) { p.Add(p, &g1) }},
			{"of another statement", func(p *bn254.G1Affine) { *p = other.g1(at) }},
		} {
			m.emit(base, fmt.Sprintf("point %d %s", at, change.what), false, func(v *vector) {
				p := v.g1(at)
				change.apply(&p)
				v.setG1(at, p)
			})
		}
	}
}

// secondGroup replaces B, also by points outside its group.
func (m *mutator) secondGroup(base, other *vector) {
	_, _, _, g2 := bn254.Generators()
	outside := draw.OutsideSubgroup()
	for _, change := range []struct {
		what  string
		apply func(b *bn254.G2Affine)
	}{
		{"infinity", func(b *bn254.G2Affine) { b.SetInfinity() }},
		{"negated", func(b *bn254.G2Affine) { b.Neg(b) }},
		{"doubled", func(b *bn254.G2Affine) { b.Double(b) }},
		{"plus the generator", func(b *bn254.G2Affine) { b.Add(b, &g2) }},
		{"of another statement", func(b *bn254.G2Affine) { *b = other.g2() }},
		{"outside the subgroup", func(b *bn254.G2Affine) { *b = outside }},
		{"plus a point outside the subgroup", func(b *bn254.G2Affine) { b.Add(b, &outside) }},
	} {
		m.emit(base, "B "+change.what, false, func(v *vector) {
			b := v.g2()
			change.apply(&b)
			v.setG2(b)
		})
	}
	m.emit(base, "B with X0 X1 Y0 Y1", false, func(v *vector) {
		slices.Reverse(v.words[placeB : placeB+2])
		slices.Reverse(v.words[placeB+2 : placeC])
	})
	m.emit(base, "(-A, -B, C)", true, func(v *vector) {
		a, b := v.g1(placeA), v.g2()
		v.setG1(placeA, *a.Neg(&a))
		v.setG2(*b.Neg(&b))
	})
}

// exchanges swap points. Of commitments outside the mask the verifier sees only the sum.
func (m *mutator) exchanges(base *vector) {
	places := base.points()
	for i, at := range places {
		for _, with := range places[:i] {
			what := fmt.Sprintf("points %d and %d swapped", with, at)
			m.emit(base, what, base.onlyUnchecked(at, with), func(v *vector) { v.swap(at, with) })
		}
	}
	for i := range base.commitments {
		for j := range i {
			if base.isChecked(i) && base.isChecked(j) {
				m.emit(base, fmt.Sprintf("commitments %d and %d swapped with their poks", j, i),
					false, func(v *vector) {
						v.swap(v.commitment(i), v.commitment(j))
						v.swap(v.pok(i), v.pok(j))
					})
			}
		}
	}
}

// inputs shift and exchange public inputs.
func (m *mutator) inputs(base, other *vector) {
	count := base.inputs()
	for i := range count {
		at, next := base.public(i), base.public((i+1)%count)
		for _, step := range []int64{1, -1} {
			shifted := new(big.Int).Add(base.number(at), big.NewInt(step))
			shifted.Mod(shifted, fr.Modulus())
			m.emit(base, fmt.Sprintf("input %d %+d", i, step), false, func(v *vector) {
				v.setNumber(at, shifted)
			})
		}
		m.emit(base, fmt.Sprintf("input %d of another statement", i), false, func(v *vector) {
			v.take(other, at, 1)
		})
		m.emit(base, fmt.Sprintf("input %d swapped with the next", i), false, func(v *vector) {
			v.words[at], v.words[next] = v.words[next], v.words[at]
		})
	}
	m.emit(base, "inputs of another statement", false, func(v *vector) {
		v.take(other, v.public(0), count)
	})
}

// parts take groups of points from a proof of another statement.
func (m *mutator) parts(base, other *vector) {
	whole, list := base.public(0), 2*base.commitments
	m.emit(base, "points of another statement", false, func(v *vector) {
		v.take(other, placeA, whole)
	})
	m.emit(base, "A, B, C of another statement", false, func(v *vector) {
		v.take(other, placeA, placeRest)
	})
	m.emit(base, "commitments of another statement", false, func(v *vector) {
		v.take(other, v.commitment(0), list)
	})
	m.emit(base, "commitments and poks of another statement", false, func(v *vector) {
		v.take(other, v.commitment(0), 2*list)
	})
}

// masks ask for the knowledge of every set of commitments, and of a commitment that does not exist.
// The honest proofs of knowledge hold, except that of a commitment at infinity.
func (m *mutator) masks(base *vector) {
	for mask := range base.mask | 1<<(base.commitments+1) {
		valid := mask < 1<<base.commitments
		for i := range base.commitments {
			valid = valid && (mask>>i&1 == 0 || base.words[base.commitment(i)] != field.Word{})
		}
		m.emit(base, fmt.Sprintf("mask %d", mask), valid, func(v *vector) { v.mask = mask })
	}
}

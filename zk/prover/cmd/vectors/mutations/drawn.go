// SPDX-License-Identifier: Apache-2.0

package mutations

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/order"
	"provenance/zkprover/verify"
)

// maxDraws is how often a mutation is drawn again when it changed nothing or was drawn before.
const maxDraws = 64

// drawnOperators make one mutation each and report whether it was new.
var drawnOperators = map[string]func(m *mutator, base *vector, index int, s *order.Stream) bool{
	"bit":        (*mutator).bit,
	"coordinate": (*mutator).coordinate,
	"input":      (*mutator).input,
	"multiple":   (*mutator).multiple,
	"shift":      (*mutator).shift,
	"valid":      (*mutator).valid,
	"pair":       (*mutator).pair,
	"fold":       (*mutator).fold,
}

// draw applies each drawn operator as often as the plan says, to the honest proofs in turn.
// Mutation number i of an operator takes its random numbers from a stream of its own.
func (m *mutator) draw(counts map[string]int) {
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		operator, ok := drawnOperators[name]
		if !ok {
			m.err = fmt.Errorf("no operator %q", name)
			return
		}
		for i := range counts[name] {
			base := m.bases[i%len(m.bases)]
			s := mutationStream(base.kind, name, i)
			for attempt := 0; attempt < maxDraws &&
				!operator(m, base, i/len(m.bases), s); attempt++ {
			}
		}
	}
}

// mutationStream is the stream of tag "mutation" over kind, operator and index.
func mutationStream(kind, operator string, index int) *order.Stream {
	preimage := fmt.Appendf(nil, "provenance/v1/mutation\x00%s\x00%s\x00", kind, operator)
	return order.NewStream(binary.BigEndian.AppendUint64(preimage, uint64(index)))
}

// below is a number below n: four words of the stream modulo n.
func below(s *order.Stream, n *big.Int) *big.Int {
	var digest []byte
	for range 4 {
		digest = binary.BigEndian.AppendUint64(digest, s.Word())
	}
	out := new(big.Int).SetBytes(digest)
	return out.Mod(out, n)
}

func pick(s *order.Stream, places []int) int { return places[s.Uniform(uint64(len(places)))] }

// bit flips one drawn bit, in one word after the other.
func (m *mutator) bit(base *vector, index int, s *order.Stream) bool {
	places := base.checked()
	at, bit := places[index%len(places)], int(s.Uniform(256))
	return m.emit(base, fmt.Sprintf("word %d, bit %d", at, bit), false, func(v *vector) {
		v.words[at][31-bit/8] ^= 1 << (bit % 8)
	})
}

// coordinate replaces a coordinate by a number below q; the point leaves the curve.
func (m *mutator) coordinate(base *vector, _ int, s *order.Stream) bool {
	at, value := pick(s, base.coordinates()), below(s, fp.Modulus())
	return m.emit(base, fmt.Sprintf("word %d drawn %x", at, value), false, func(v *vector) {
		v.setNumber(at, value)
	})
}

// input replaces a public input by another element.
func (m *mutator) input(base *vector, index int, s *order.Stream) bool {
	i, value := index%base.inputs(), below(s, fr.Modulus())
	return m.emit(base, fmt.Sprintf("input %d drawn %x", i, value), false, func(v *vector) {
		v.setNumber(v.public(i), value)
	})
}

// multiple multiplies a point, which may be B.
func (m *mutator) multiple(base *vector, index int, s *order.Stream) bool {
	places := append([]int{placeB}, base.points()...)
	at, factor := places[index%len(places)], below(s, fr.Modulus())
	return m.emit(base, fmt.Sprintf("point %d times %x", at, factor), false, func(v *vector) {
		if at == placeB {
			b := v.g2()
			v.setG2(*b.ScalarMultiplication(&b, factor))
			return
		}
		p := v.g1(at)
		v.setG1(at, *p.ScalarMultiplication(&p, factor))
	})
}

// shift adds a multiple of the generator to a point, which may be B.
func (m *mutator) shift(base *vector, index int, s *order.Stream) bool {
	places := append([]int{placeB}, base.points()...)
	at, factor := places[index%len(places)], below(s, fr.Modulus())
	return m.emit(base, fmt.Sprintf("point %d plus %x G", at, factor), false, func(v *vector) {
		if at == placeB {
			var g bn254.G2Affine
			g.ScalarMultiplicationBase(factor)
			b := v.g2()
			v.setG2(*b.Add(&b, &g))
			return
		}
		addMultiple(v, at, factor)
	})
}

// addMultiple adds a multiple of the generator to a point of the first group.
func addMultiple(v *vector, at int, factor *big.Int) {
	var g bn254.G1Affine
	g.ScalarMultiplicationBase(factor)
	p := v.g1(at)
	v.setG1(at, *p.Add(&p, &g))
}

// valid re-randomizes a proof: (x A, B/x + y delta, C + x y A) verifies for all x but 0, and all y.
func (m *mutator) valid(base *vector, _ int, s *order.Stream) bool {
	x, y := below(s, fr.Modulus()), below(s, fr.Modulus())
	return m.emit(base, fmt.Sprintf("another form by %x and %x", x, y), true, func(v *vector) {
		a, b, c := v.g1(placeA), v.g2(), v.g1(placeC)
		var delta bn254.G2Affine
		delta.Neg(&m.vk.DeltaNeg)
		delta.ScalarMultiplication(&delta, y)
		a.ScalarMultiplication(&a, x)
		b.ScalarMultiplication(&b, new(big.Int).ModInverse(x, fr.Modulus()))
		b.Add(&b, &delta)
		v.setG1(placeA, a)
		v.setG2(b)
		a.ScalarMultiplication(&a, y)
		v.setG1(placeC, *c.Add(&c, &a))
	})
}

// pair adds x G to one commitment and subtracts it from another, or does so with their proofs of
// knowledge.
func (m *mutator) pair(base *vector, index int, s *order.Stream) bool {
	j, i, ok := twoOf(base.commitments, s)
	if !ok {
		return true // a circuit without commitments has no such mutation
	}
	plus := below(s, fr.Modulus())
	minus := new(big.Int).Sub(fr.Modulus(), plus)
	if index%2 == 1 && base.isChecked(i) && base.isChecked(j) {
		return m.emit(base, fmt.Sprintf("poks %d and %d shifted by %x", j, i, plus), false,
			func(v *vector) {
				addMultiple(v, v.pok(j), plus)
				addMultiple(v, v.pok(i), minus)
			})
	}
	valid := !base.isChecked(i) && !base.isChecked(j)
	return m.emit(base, fmt.Sprintf("commitments %d and %d shifted by %x", j, i, plus), valid,
		func(v *vector) {
			addMultiple(v, v.commitment(j), plus)
			addMultiple(v, v.commitment(i), minus)
		})
}

// fold changes two proofs of knowledge so that gnark's folded one does not change.
func (m *mutator) fold(base *vector, _ int, s *order.Stream) bool {
	j, i, ok := twoOf(base.commitments, s)
	if !ok || base.mask != verify.MaskAll {
		return true // nothing to fold
	}
	plus := below(s, fr.Modulus())
	wire := base.wire()
	p, err := wire.Parse()
	if err != nil {
		m.err = err
		return true
	}
	challenge, err := verify.FoldingChallenge(p)
	if err != nil {
		m.err = err
		return true
	}
	power := challenge.BigInt(new(big.Int))
	power.ModInverse(power.Exp(power, big.NewInt(int64(i-j)), fr.Modulus()), fr.Modulus())
	minus := power.Mul(power, new(big.Int).Sub(fr.Modulus(), plus))
	return m.emit(base, fmt.Sprintf("poks %d and %d shifted in the fold by %x", j, i, plus), false,
		func(v *vector) {
			addMultiple(v, v.pok(j), plus)
			addMultiple(v, v.pok(i), minus.Mod(minus, fr.Modulus()))
		})
}

// twoOf draws two different numbers j < i below n, if there are.
func twoOf(n int, s *order.Stream) (j, i int, ok bool) {
	if n < 2 {
		return 0, 0, false
	}
	j, i = int(s.Uniform(uint64(n))), int(s.Uniform(uint64(n-1)))
	if i >= j {
		i++
	}
	return min(i, j), max(i, j), true
}

// SPDX-License-Identifier: Apache-2.0

package poseidon

import "github.com/consensys/gnark-crypto/ecc/bn254/fr"

// Hash is the Poseidon hash of 1 to [MaxInputs] field elements. Other numbers of inputs are an
// error.
func Hash(inputs ...fr.Element) (fr.Element, error) {
	set, err := setFor(len(inputs))
	if err != nil {
		return fr.Element{}, err
	}
	return set.hash(inputs), nil
}

// Hash3 is the Poseidon hash of three field elements.
func Hash3(a, b, c fr.Element) fr.Element { return sets[2]().hash([]fr.Element{a, b, c}) }

// Hash16 is the Poseidon hash of sixteen field elements.
func Hash16(inputs *[16]fr.Element) fr.Element { return sets[15]().hash(inputs[:]) }

func (s *sparse) hash(inputs []fr.Element) fr.Element {
	var stateSpace, nextSpace [MaxInputs + 1]fr.Element
	state, next := stateSpace[:s.width], nextSpace[:s.width]
	copy(state[1:], inputs)
	for round := 0; round < halfFull; round++ {
		substitute(state, s.first[round])
		if round < halfFull-1 {
			s.mix.apply(state, next)
		} else {
			s.entry.apply(state, next)
		}
		state, next = next, state
	}
	for i := range s.runs {
		s.runs[i].apply(state)
	}
	for round := 0; round < halfFull-1; round++ {
		substitute(state, s.last[round])
		s.mix.apply(state, next)
		state, next = next, state
	}
	substitute(state, s.last[halfFull-1])
	return dot(s.mix[0], state)
}

// substitute adds the constants and applies the S-box to every element.
func substitute(state, constants []fr.Element) {
	for i := range state {
		state[i].Add(&state[i], &constants[i])
		state[i] = fifthPower(&state[i])
	}
}

func fifthPower(x *fr.Element) fr.Element {
	var y fr.Element
	y.Square(x)
	y.Square(&y)
	y.Mul(&y, x)
	return y
}

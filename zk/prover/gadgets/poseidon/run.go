// SPDX-License-Identifier: Apache-2.0

package poseidon

import "github.com/consensys/gnark-crypto/ecc/bn254/fr"

// runRounds is the length of a run: its last sum has 16 + runRounds products.
const runRounds = maxProducts - MaxInputs

// run is up to runRounds partial rounds in a row. Their S-boxes do not touch elements 1.. of the
// state. So these are updated only once, at the end, by one sum each. Until then element 0 is
// computed from their old values and from the S-boxes' outputs so far.
type run struct {
	constants []fr.Element
	// heads[j] gives element 0 after round j: over elements 1.. as they were, then over the outputs
	// of rounds 0..j.
	heads [][]fr.Element
	// tails[i] gives what element i+1 gains: over the outputs of all rounds.
	tails [][]fr.Element
}

func newRun(rounds []sparseRound) run {
	tail := len(rounds[0].column)
	r := run{tails: make([][]fr.Element, tail)}
	for j := range rounds {
		row := rounds[j].row
		head := append([]fr.Element(nil), row[1:]...)
		for k := range j {
			head = append(head, dot(rounds[k].column, row[1:]))
		}
		r.heads = append(r.heads, append(head, row[0]))
		r.constants = append(r.constants, rounds[j].constant)
		for i := range r.tails {
			r.tails[i] = append(r.tails[i], rounds[j].column[i])
		}
	}
	return r
}

// apply advances the state by the run's rounds.
func (r *run) apply(state []fr.Element) {
	var space [maxProducts]fr.Element
	tail := len(r.tails)
	known := space[:tail+len(r.constants)] // elements 1.., then outputs
	copy(known, state[1:])
	head := state[0]
	for j := range r.constants {
		head.Add(&head, &r.constants[j])
		known[tail+j] = fifthPower(&head)
		head = dot(r.heads[j], known)
	}
	state[0] = head
	for i := range r.tails {
		sum := newWide(&state[i+1])
		sum.addProducts(r.tails[i], known[tail:])
		state[i+1] = sum.reduced()
	}
}

// SPDX-License-Identifier: Apache-2.0

package poseidon

import (
	"fmt"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// MaxInputs is the largest number of inputs of one hash.
const MaxInputs = 16

const (
	fullRounds = 8
	halfFull   = fullRounds / 2
)

// partialRounds[n-1] is the number of partial rounds for n inputs.
//
// Source: circomlib, circuits/poseidon.circom, N_ROUNDS_P.
var partialRounds = [MaxInputs]int{56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68}

// parameters is one parameter set as the paper states it, before any rearrangement.
type parameters struct {
	width, partial int
	constants      [][]fr.Element // (rounds, width)
	mix            matrix         // (width, width); new[i] = sum_j mix[i][j] * old[j]
}

func newParameters(inputs int) *parameters {
	p := &parameters{width: inputs + 1, partial: partialRounds[inputs-1]}
	g := newGrain(p.width, fullRounds, p.partial)
	p.constants = make([][]fr.Element, fullRounds+p.partial)
	for round := range p.constants {
		p.constants[round] = make([]fr.Element, p.width)
		for i := range p.constants[round] {
			p.constants[round][i] = g.below()
		}
	}
	p.mix = cauchy(g, p.width)
	return p
}

// cauchy is the matrix 1/(x_i + y_j). The first draw is used: for circomlib's parameter sets it has
// distinct x and y and passes the paper's tests against subspace trails, so the reference script
// does not draw again.
func cauchy(g *grain, width int) matrix {
	x, y := make([]fr.Element, width), make([]fr.Element, width)
	for i := range x {
		x[i] = g.reduced()
	}
	for i := range y {
		y[i] = g.reduced()
	}
	m := newMatrix(width)
	for i := range m {
		for j := range m[i] {
			m[i][j].Add(&x[i], &y[j])
		}
		m[i] = fr.BatchInvert(m[i])
	}
	return m
}

// sets caches the derived form of each parameter set; deriving the largest takes some 30 ms.
var sets = derivations()

func derivations() (sets [MaxInputs]func() *sparse) {
	for i := range sets {
		sets[i] = sync.OnceValue(func() *sparse { return newSparse(newParameters(i + 1)) })
	}
	return sets
}

func setFor(inputs int) (*sparse, error) {
	if inputs < 1 || inputs > MaxInputs {
		return nil, fmt.Errorf("poseidon: %d inputs, want 1..%d", inputs, MaxInputs)
	}
	return sets[inputs-1](), nil
}

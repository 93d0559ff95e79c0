// SPDX-License-Identifier: Apache-2.0

package poseidon

import "github.com/consensys/gnark-crypto/ecc/bn254/fr"

// sparse is a parameter set in the equivalent form whose partial rounds cost 2t-1 multiplications
// instead of t^2.
//
// A partial round's S-box changes element 0 only, so a matrix diag(1, B) commutes with it. The
// round's matrix is written as a product of a sparse matrix (first row and column) and diag(1, B).
// diag(1, B) is moved before the S-box and multiplied into the matrix of the round before. In the
// same way the constants of elements 1.. are moved behind the S-box and added in the next round.
//
// Source: Poseidon paper, appendix B.
type sparse struct {
	width   int
	first   [][]fr.Element // (4, width): constants of the first full rounds
	mix     matrix         // matrix of every full round but the fourth
	entry   matrix         // matrix of the fourth full round
	partial []sparseRound
	runs    []run          // the partial rounds again, as they are computed
	last    [][]fr.Element // (4, width): constants of the last full rounds
}

// sparseRound adds constant to element 0, applies the S-box to it and mixes with first row and
// column only: new[0] = row . state, new[i] = state[i] + column[i-1] * state[0].
type sparseRound struct {
	constant fr.Element
	row      []fr.Element // (width)
	column   []fr.Element // (width-1)
}

func newSparse(p *parameters) *sparse {
	s := &sparse{
		width:   p.width,
		first:   p.constants[:halfFull],
		mix:     p.mix,
		partial: make([]sparseRound, p.partial),
	}
	blocks := make([]matrix, p.partial) // what moved before the S-box of each partial round
	matrixSoFar := p.mix
	for round := p.partial - 1; round >= 0; round-- {
		inner := matrixSoFar.withoutFirst()
		blocks[round] = inner.besideOne()
		s.partial[round] = splitRound(matrixSoFar, inner.inverse())
		matrixSoFar = blocks[round].multiply(p.mix)
	}
	s.entry = matrixSoFar

	carry := make([]fr.Element, p.width)
	for round := range s.partial {
		constants := make([]fr.Element, p.width)
		blocks[round].apply(p.constants[halfFull+round], constants)
		for i := range constants {
			constants[i].Add(&constants[i], &carry[i])
		}
		s.partial[round].constant = constants[0]
		carry = constants
		carry[0].SetZero()
		s.partial[round].mix(carry)
	}
	for round := 0; round < halfFull; round++ {
		s.last = append(s.last, append([]fr.Element(nil), p.constants[halfFull+p.partial+round]...))
	}
	for i := range carry {
		s.last[0][i].Add(&s.last[0][i], &carry[i])
	}
	for from := 0; from < p.partial; from += runRounds {
		s.runs = append(s.runs, newRun(s.partial[from:min(from+runRounds, p.partial)]))
	}
	return s
}

// splitRound is m * diag(1, inner)^-1 without its unit block.
func splitRound(m, innerInverse matrix) sparseRound {
	width := len(m)
	r := sparseRound{row: make([]fr.Element, width), column: make([]fr.Element, width-1)}
	r.row[0] = m[0][0]
	var term fr.Element
	for j := 1; j < width; j++ {
		for k := 1; k < width; k++ {
			term.Mul(&m[0][k], &innerInverse[k-1][j-1])
			r.row[j].Add(&r.row[j], &term)
		}
		r.column[j-1] = m[j][0]
	}
	return r
}

// mix applies the round's matrix in place.
func (r *sparseRound) mix(state []fr.Element) {
	head := dot(r.row, state)
	var term fr.Element
	for i, factor := range r.column {
		term.Mul(&factor, &state[0])
		state[i+1].Add(&state[i+1], &term)
	}
	state[0] = head
}

// SPDX-License-Identifier: Apache-2.0

package poseidon

import "github.com/consensys/gnark-crypto/ecc/bn254/fr"

// matrix is square, in rows.
type matrix [][]fr.Element

func newMatrix(width int) matrix {
	m := make(matrix, width)
	for i := range m {
		m[i] = make([]fr.Element, width)
	}
	return m
}

// multiply is the product m*n.
func (m matrix) multiply(n matrix) matrix {
	out := newMatrix(len(m))
	var term fr.Element
	for i := range m {
		for j := range m {
			for k := range m {
				term.Mul(&m[i][k], &n[k][j])
				out[i][j].Add(&out[i][j], &term)
			}
		}
	}
	return out
}

// apply sets out = m*in; out and in must not overlap.
func (m matrix) apply(in, out []fr.Element) {
	for i := range m {
		out[i] = dot(m[i], in)
	}
}

// withoutFirst is m without its first row and column.
func (m matrix) withoutFirst() matrix {
	out := make(matrix, len(m)-1)
	for i := range out {
		out[i] = append([]fr.Element(nil), m[i+1][1:]...)
	}
	return out
}

// besideOne is the block matrix diag(1, m).
func (m matrix) besideOne() matrix {
	out := newMatrix(len(m) + 1)
	out[0][0].SetOne()
	for i := range m {
		copy(out[i+1][1:], m[i])
	}
	return out
}

// inverse is m^-1 by Gauss-Jordan elimination. It panics on a singular matrix. Only wrong constants
// could make one: every square block of a Cauchy matrix is invertible.
func (m matrix) inverse() matrix {
	n := len(m)
	left, right := newMatrix(n), newMatrix(n)
	for i := range m {
		copy(left[i], m[i])
		right[i][i].SetOne()
	}
	for column := 0; column < n; column++ {
		pivot := column
		for pivot < n && left[pivot][column].IsZero() {
			pivot++
		}
		if pivot == n {
			panic("poseidon: singular matrix")
		}
		left[column], left[pivot] = left[pivot], left[column]
		right[column], right[pivot] = right[pivot], right[column]
		var scale fr.Element
		scale.Inverse(&left[column][column])
		scaleRow(left[column], &scale)
		scaleRow(right[column], &scale)
		for row := 0; row < n; row++ {
			if row == column {
				continue
			}
			factor := left[row][column]
			subtractRow(left[row], left[column], &factor)
			subtractRow(right[row], right[column], &factor)
		}
	}
	return right
}

func scaleRow(row []fr.Element, factor *fr.Element) {
	for i := range row {
		row[i].Mul(&row[i], factor)
	}
}

func subtractRow(row, other []fr.Element, factor *fr.Element) {
	var term fr.Element
	for i := range row {
		term.Mul(&other[i], factor)
		row[i].Sub(&row[i], &term)
	}
}

// dot is the sum of at most maxProducts products; b is at least as long as a.
func dot(a, b []fr.Element) fr.Element {
	var sum wide
	sum.addProducts(a, b)
	return sum.reduced()
}

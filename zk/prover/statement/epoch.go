// SPDX-License-Identifier: Apache-2.0

// Package statement computes, outside any circuit, the vectors and products that the statements are
// about.
//
// Notation (docs/formats/proofs.md): n slots per chunk, count = N leaves L in sorted order, a the
// order of the epoch (position h feeds leaf a[h]), g = c*n + i and h = c*n + j the absolute indexes
// of chunk c.
package statement

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// Chunks is the number of chunks of n slots that hold count leaves.
func Chunks(count, n int) int { return (count + n - 1) / n }

// Window is the part [chunk*n, chunk*n + n) of a vector, continued with zeros: D_c of the leaves,
// U_c of the leaves in fed order.
func Window(values []fr.Element, chunk, n int) []fr.Element {
	out := make([]fr.Element, n)
	if from := chunk * n; from < len(values) {
		copy(out, values[from:])
	}
	return out
}

// Positions is P_c: the position that leaf g is fed at, or g itself from count on. inverse is the
// inverse of the order.
func Positions(inverse []uint64, chunk, n int) []fr.Element {
	out := make([]fr.Element, n)
	for i := range out {
		g := chunk*n + i
		if g < len(inverse) {
			out[i].SetUint64(inverse[g])
		} else {
			out[i].SetUint64(uint64(g))
		}
	}
	return out
}

// IdentityPositions is P_c of a link proof: g everywhere.
func IdentityPositions(chunk, n int) []fr.Element { return Positions(nil, chunk, n) }

// Challenge is the pair that all products of an epoch or of a registration share.
type Challenge struct {
	Gamma, Delta fr.Element
}

// factor is gamma + value + delta*position.
func (c *Challenge) factor(value, position *fr.Element) fr.Element {
	var f fr.Element
	f.Mul(&c.Delta, position).Add(&f, &c.Gamma).Add(&f, value)
	return f
}

// ProductAt is prod_i(gamma + values[i] + delta*positions[i]): a_c of (D_c, P_c).
func (c *Challenge) ProductAt(values, positions []fr.Element) fr.Element {
	product := fr.One()
	for i := range values {
		f := c.factor(&values[i], &positions[i])
		product.Mul(&product, &f)
	}
	return product
}

// ProductFrom is prod_j(gamma + values[j] + delta*(start+j)): b_c of (U_c, start = c*n), and t_k of
// the used leaves of a tree chunk.
func (c *Challenge) ProductFrom(values []fr.Element, start uint64) fr.Element {
	product := fr.One()
	var position fr.Element
	for j := range values {
		position.SetUint64(start + uint64(j))
		f := c.factor(&values[j], &position)
		product.Mul(&product, &f)
	}
	return product
}

// ProductOfPositions is prod(gamma + delta*g) for g in [start, start+used): z_k.
func (c *Challenge) ProductOfPositions(start uint64, used int) fr.Element {
	return c.ProductFrom(make([]fr.Element, used), start)
}

// Used is the number of leaves in tree chunk k of size slots: clamp(count - slots*k, 0, slots).
func Used(count, k, slots int) int { return max(0, min(count-slots*k, slots)) }

// SPDX-License-Identifier: Apache-2.0

// Package statement computes, outside any circuit, the vectors and products that statements are
// about.
//
// Notation (docs/formats/proofs.md): n slots per chunk; count = N leaves L in sorted order; a is
// the order of the epoch (leaf a[h] is fed at position h). Slot i of chunk c holds leaf g = c*n +
// i, and slot j of it holds position h = c*n + j.
package statement

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// Chunks is the number of chunks of n slots that hold count leaves.
func Chunks(count, n int) int { return (count + n - 1) / n }

// Window is the part [chunk*n, chunk*n + n) of a vector, filled up with zeros. Of the leaves it is
// what D of the chunk commits to, of the leaves in the order they were fed what U commits to.
func Window(values []fr.Element, chunk, n int) []fr.Element {
	out := make([]fr.Element, n)
	if from := chunk * n; from < len(values) {
		copy(out, values[from:])
	}
	return out
}

// Positions is what P of a chunk commits to: for each leaf g the position at which it is fed, and g
// itself from count on. inverse is the inverse of the order.
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

// IdentityPositions is what P of a link proof commits to: g for each leaf g.
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

// ProductAt is prod_i(gamma + values[i] + delta*positions[i]): the product a of a chunk, for the
// vectors of D and P.
func (c *Challenge) ProductAt(values, positions []fr.Element) fr.Element {
	product := fr.One()
	for i := range values {
		f := c.factor(&values[i], &positions[i])
		product.Mul(&product, &f)
	}
	return product
}

// ProductFrom is prod_j(gamma + values[j] + delta*(start+j)): the product b of a chunk, for the
// vector of U and start = c*n; and the product t of a tree chunk, for its used leaves.
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

// ProductOfPositions is prod(gamma + delta*g) for g in [start, start+used): the product z of a tree
// chunk.
func (c *Challenge) ProductOfPositions(start uint64, used int) fr.Element {
	return c.ProductFrom(make([]fr.Element, used), start)
}

// Used is the number of leaves in tree chunk k of size slots: clamp(count - slots*k, 0, slots).
func Used(count, k, slots int) int { return max(0, min(count-slots*k, slots)) }

// SPDX-License-Identifier: Apache-2.0

package poseidon

import (
	"math/bits"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// wide is a sum of products of elements before its Montgomery reduction: 512 bits, lowest limb
// first. One reduction for a whole sum, instead of one for each product, halves the time of a
// matrix product.
type wide [8]uint64

// maxProducts is how many products of elements a wide can hold. With n of them, [wide.reduced] has
// to reduce numbers below n*r^2/2^256 + r, which are below 2^256 for n <= 22 (r < 0.1891 * 2^256).
// The value that [newWide] starts with counts as six products.
const maxProducts = 22

// The modulus r in limbs, and -1/r modulo 2^64; a test compares them with package fr.
const (
	r0, r1, r2, r3  = 0x43e1f593f0000001, 0x2833e84879b97091, 0xb85045b68181585d, 0x30644e72e131a029
	negativeInverse = 0xc2e1f593efffffff
)

// newWide is the sum that reduces to the element.
func newWide(e *fr.Element) wide { return wide{4: e[0], 5: e[1], 6: e[2], 7: e[3]} }

// addProducts adds sum_t a[t]*b[t]; b is at least as long as a. It is written out limb by limb,
// since the compiler neither keeps arrays in registers nor inlines functions of this size.
func (w *wide) addProducts(a, b []fr.Element) {
	b = b[:len(a)]
	w0, w1, w2, w3, w4, w5, w6, w7 := w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
	for t := range a {
		x, y := &a[t], &b[t]
		var c, p0, p1, p2, p3, p4, p5, p6, p7 uint64

		u := x[0]
		h0, l0 := bits.Mul64(u, y[0])
		h1, l1 := bits.Mul64(u, y[1])
		h2, l2 := bits.Mul64(u, y[2])
		h3, l3 := bits.Mul64(u, y[3])
		l1, c = bits.Add64(h0, l1, 0)
		l2, c = bits.Add64(h1, l2, c)
		l3, c = bits.Add64(h2, l3, c)
		h3, _ = bits.Add64(h3, 0, c)
		p0, p1, p2, p3, p4 = l0, l1, l2, l3, h3

		u = x[1]
		h0, l0 = bits.Mul64(u, y[0])
		h1, l1 = bits.Mul64(u, y[1])
		h2, l2 = bits.Mul64(u, y[2])
		h3, l3 = bits.Mul64(u, y[3])
		l1, c = bits.Add64(h0, l1, 0)
		l2, c = bits.Add64(h1, l2, c)
		l3, c = bits.Add64(h2, l3, c)
		h3, _ = bits.Add64(h3, 0, c)
		p1, c = bits.Add64(p1, l0, 0)
		p2, c = bits.Add64(p2, l1, c)
		p3, c = bits.Add64(p3, l2, c)
		p4, c = bits.Add64(p4, l3, c)
		p5, _ = bits.Add64(h3, 0, c)

		u = x[2]
		h0, l0 = bits.Mul64(u, y[0])
		h1, l1 = bits.Mul64(u, y[1])
		h2, l2 = bits.Mul64(u, y[2])
		h3, l3 = bits.Mul64(u, y[3])
		l1, c = bits.Add64(h0, l1, 0)
		l2, c = bits.Add64(h1, l2, c)
		l3, c = bits.Add64(h2, l3, c)
		h3, _ = bits.Add64(h3, 0, c)
		p2, c = bits.Add64(p2, l0, 0)
		p3, c = bits.Add64(p3, l1, c)
		p4, c = bits.Add64(p4, l2, c)
		p5, c = bits.Add64(p5, l3, c)
		p6, _ = bits.Add64(h3, 0, c)

		u = x[3]
		h0, l0 = bits.Mul64(u, y[0])
		h1, l1 = bits.Mul64(u, y[1])
		h2, l2 = bits.Mul64(u, y[2])
		h3, l3 = bits.Mul64(u, y[3])
		l1, c = bits.Add64(h0, l1, 0)
		l2, c = bits.Add64(h1, l2, c)
		l3, c = bits.Add64(h2, l3, c)
		h3, _ = bits.Add64(h3, 0, c)
		p3, c = bits.Add64(p3, l0, 0)
		p4, c = bits.Add64(p4, l1, c)
		p5, c = bits.Add64(p5, l2, c)
		p6, c = bits.Add64(p6, l3, c)
		p7, _ = bits.Add64(h3, 0, c)

		w0, c = bits.Add64(w0, p0, 0)
		w1, c = bits.Add64(w1, p1, c)
		w2, c = bits.Add64(w2, p2, c)
		w3, c = bits.Add64(w3, p3, c)
		w4, c = bits.Add64(w4, p4, c)
		w5, c = bits.Add64(w5, p5, c)
		w6, c = bits.Add64(w6, p6, c)
		w7, _ = bits.Add64(w7, p7, c)
	}
	*w = wide{w0, w1, w2, w3, w4, w5, w6, w7}
}

// reduced is the sum / 2^256 modulo r. If the sum is one of products of elements, which are in
// Montgomery form, this is the element that equals it.
func (w *wide) reduced() fr.Element {
	t0, t1, t2, t3 := w[0], w[1], w[2], w[3]
	for range 4 {
		m := t0 * negativeInverse
		h0, l0 := bits.Mul64(m, r0)
		h1, l1 := bits.Mul64(m, r1)
		h2, l2 := bits.Mul64(m, r2)
		h3, l3 := bits.Mul64(m, r3)
		l1, c := bits.Add64(h0, l1, 0)
		l2, c = bits.Add64(h1, l2, c)
		l3, c = bits.Add64(h2, l3, c)
		h3, _ = bits.Add64(h3, 0, c)
		_, c = bits.Add64(t0, l0, 0) // the lowest limb becomes 0
		t0, c = bits.Add64(t1, l1, c)
		t1, c = bits.Add64(t2, l2, c)
		t2, c = bits.Add64(t3, l3, c)
		t3, _ = bits.Add64(h3, 0, c)
	}
	out := fr.Element{}
	var c uint64
	out[0], c = bits.Add64(t0, w[4], 0)
	out[1], c = bits.Add64(t1, w[5], c)
	out[2], c = bits.Add64(t2, w[6], c)
	out[3], _ = bits.Add64(t3, w[7], c)
	// out < 5.2 r
	subtractIfLarger(&out, r0<<2&ones, r1<<2&ones|r0>>62, r2<<2&ones|r1>>62, r3<<2|r2>>62)
	subtractIfLarger(&out, r0<<1&ones, r1<<1&ones|r0>>63, r2<<1&ones|r1>>63, r3<<1|r2>>63)
	subtractIfLarger(&out, r0, r1, r2, r3)
	return out
}

const ones = 1<<64 - 1

func subtractIfLarger(x *fr.Element, y0, y1, y2, y3 uint64) {
	d0, borrow := bits.Sub64(x[0], y0, 0)
	d1, borrow := bits.Sub64(x[1], y1, borrow)
	d2, borrow := bits.Sub64(x[2], y2, borrow)
	d3, borrow := bits.Sub64(x[3], y3, borrow)
	if borrow == 0 {
		*x = fr.Element{d0, d1, d2, d3}
	}
}

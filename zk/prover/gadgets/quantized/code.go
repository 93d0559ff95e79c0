// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
)

// CodeBits is the width of a code's absolute value, at most 127.
const CodeBits = 7

// farShift is the difference of exponents from which on a code is 0 whatever the significands.
const farShift = 9

// Top is a maximum as Significand * 2^(Exponent-unit), where a weight of the same exponent is
// Factor/254 units of significand: [Format] holds the units.
type Top struct {
	Exponent, Significand frontend.Variable
}

// Format is how weights and maximum compare. With m and M their significands and d the difference
// of their exponents, 254*x/maximum is Factor*m / (M*2^d). Width is the bits of 2*M*2^8, and of
// M*2^9. Strict requires x <= maximum, for maxima that are not known to be attained.
type Format struct {
	Factor, Width int
	Strict        bool
}

// The formats: q8_0 has maxima of bfloat16 (M < 2^8), int8 of float16 (M < 2^11, so that a unit is
// 8 times smaller).
var (
	FormatQ8_0 = Format{Factor: 254, Width: 17}
	FormatInt8 = Format{Factor: 254 * 8, Width: 20, Strict: true}
)

// Code is the witness of one weight and its code.
type Code struct {
	Normal frontend.Variable // see Decode
	// one-hot difference of exponents 1, .., 8, 9 or more; none for 0
	Shift [farShift]frontend.Variable
	Size  [CodeBits]frontend.Variable // bits of |code|
	Below []frontend.Variable         // bits of T but the highest
	Above []frontend.Variable         // bits of 2P - T, or of the exponents' difference beyond 9
}

// NewCode has the format's widths.
func (f Format) NewCode() Code {
	return Code{Below: make([]frontend.Variable, f.Width-1),
		Above: make([]frontend.Variable, f.Width-1)}
}

// Constrain returns the biased code, code + 128: an integer q with the weight's sign such that |q|
// is nearest to 127*|x|/maximum, either one at an exact tie.
//
// With P = M*2^d and T = (2|q|+1)*P - Factor*m, |q| is nearest when 0 <= T <= 2P. From d = 9 on |q|
// is 0, for Factor*m < M*2^9; then only d >= 9 and q = 0 are shown. d >= 0 excludes weights of a
// larger exponent than the maximum's. A larger significand at the same exponent leaves T >= 0 only
// with |q| = 127 and, in q8_0, m = 255 beside M = 254, which [Maximum] excludes; Strict takes P
// from T when |q| = 127, which makes Factor*m <= 254*P of it.
func (f Format) Constrain(api frontend.API, c *Code, v *Value, top Top) frontend.Variable {
	_, shift, power := oneHot(api, c.Shift[:])
	far := c.Shift[farShift-1]
	p := api.Mul(top.Significand, power)
	size := integer.FromBits(api, c.Size[:])
	t := api.Sub(api.Mul(api.Add(api.Mul(size, 2), 1), p), api.Mul(v.Significand, f.Factor))
	above := api.Sub(api.Mul(p, 2), t)
	if f.Strict {
		t = api.Sub(t, api.Mul(all(api, c.Size[:]), p))
	}
	assertBounded(api, t, c.Below)
	beyond := api.Sub(top.Exponent, v.Exponent, shift)
	api.AssertIsEqual(api.Select(far, size, beyond), 0)
	assertBounded(api, api.Select(far, beyond, above), c.Above)
	return api.Sub(api.Add(size, 128), api.Mul(v.Sign, size, 2))
}

// all is the product of the bits.
func all(api frontend.API, bits []frontend.Variable) frontend.Variable {
	var product frontend.Variable = 1
	for _, bit := range bits {
		product = api.Mul(product, bit)
	}
	return product
}

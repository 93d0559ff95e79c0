// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
)

// CodeBits is the width of a code's absolute value, at most 127.
const CodeBits = 7

// farShift is the smallest difference of exponents for which a code is always 0.
const farShift = 9

// Top is a maximum, Significand * 2^(Exponent-unit). [Format] says how its unit compares with that
// of a weight of the same exponent.
type Top struct {
	Exponent, Significand frontend.Variable
}

// Format says how a weight x compares with the maximum. Let m and M be their significands, and d
// the exponent of the maximum minus that of x. Then 254*x/maximum is Factor*m / (M*2^d). Width is
// the number of bits of 2*M*2^8, and of M*2^9. Strict requires x <= maximum, for maxima that need
// not be the value of a weight.
type Format struct {
	Factor, Width int
	Strict        bool
}

// The formats. The maximum of q8_0 is a bfloat16 (M < 2^8), that of int8 a float16 (M < 2^11, so
// its unit is 8 times smaller).
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

// Constrain returns the biased code q + 128. q is an integer with the weight's sign, and |q| is
// nearest to 127*|x|/maximum; at an exact tie either one.
//
// Let P = M*2^d and T = (2|q|+1)*P - Factor*m. Then |q| is nearest if 0 <= T <= 2P. From d = 9 on
// |q| is 0, since Factor*m < M*2^9; in that case only d >= 9 and q = 0 are constrained. d >= 0
// excludes weights with a larger exponent than the maximum. A weight with the same exponent and a
// larger significand has T >= 0 only with |q| = 127 and, in q8_0, m = 255 and M = 254; [Maximum]
// excludes that case. Strict subtracts P from T if |q| = 127, which then requires
// Factor*m <= 254*P, that is x <= maximum.
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

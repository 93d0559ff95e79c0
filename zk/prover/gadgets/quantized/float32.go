// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
)

// Exponent fields of the float32 maxima that [Float32] takes besides 0: 2^-9 up to the largest
// float16.
const (
	smallestExponent = 118
	largestExponent  = 142
	float16Bits      = 10 // of mantissa
	rangeBits        = 5  // of largestExponent - smallestExponent
)

// Float32 is the witness of a row's maximum, a float16 as float32.
type Float32 struct {
	Mantissa [float16Bits]frontend.Variable // highest bits of the float32's
	Exponent [exponentBits]frontend.Variable
	Zero     frontend.Variable
	Below    [rangeBits - 1]frontend.Variable
	Above    [rangeBits - 1]frontend.Variable
}

// Constrain returns the four bytes of the maximum, low byte first. The maximum is in [2^-9, 65504],
// or 0, and then all values must be zero. A maximum of 0 is treated as significand 1024 and
// exponent 1, the exponent of zero values, so that all codes are 0.
//
// With a maximum of 2^-9 or more, it makes no difference that int8 rounds weights to float16 first.
// Only weights with an exponent field below 110 can change by that rounding. They are below 2^-17,
// and at most 2^-17 when rounded, so their code is 0 in both cases.
func (f *Float32) Constrain(
	api frontend.API, values []*Value,
) (top Top, bytes []frontend.Variable) {
	mantissa, field := integer.FromBits(api, f.Mantissa[:]), integer.FromBits(api, f.Exponent[:])
	api.AssertIsBoolean(f.Zero)
	sum := api.Add(mantissa, field)
	for _, v := range values {
		sum = api.Add(sum, v.Magnitude)
	}
	api.AssertIsEqual(api.Mul(f.Zero, sum), 0)
	above := api.Add(api.Sub(field, smallestExponent), api.Mul(f.Zero, smallestExponent))
	assertBounded(api, above, f.Below[:])
	assertBounded(api, api.Sub(largestExponent-smallestExponent, above), f.Above[:])
	bytes = []frontend.Variable{
		0,
		api.Mul(integer.Weighted(api, f.Mantissa[:3]), 32),
		api.Add(integer.Weighted(api, f.Mantissa[3:]), api.Mul(f.Exponent[0], 128)),
		integer.Weighted(api, f.Exponent[1:]),
	}
	top = Top{Exponent: api.Add(field, f.Zero), Significand: api.Add(mantissa, 1<<float16Bits)}
	return top, bytes
}

// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/rankone"
)

// Exponent fields of the float32 maxima that [Float32] takes besides 0: 2^-9 up to the largest
// float16.
const (
	smallestExponent = 118
	largestExponent  = 142
	exponentRange    = largestExponent - smallestExponent
	float16Bits      = 10 // of mantissa
)

// Float32 is the witness of a row's maximum, a float16 as float32.
type Float32 struct {
	Mantissa [float16Bits]frontend.Variable  // highest bits of the float32's
	Exponent [exponentBits]frontend.Variable // minus 1, but 0 for a maximum of 0
	Zero     frontend.Variable
	Above    [4]frontend.Variable // see assertUpTo: the exponent less the smallest one
}

// Constrain returns the four bytes of the maximum, low byte first. The maximum is in [2^-9, 65504],
// or 0, and then all values must be zero. A maximum of 0 is treated as significand 1024 and
// exponent 1, the exponent of zero values, so that all codes are 0.
//
// The bytes need the exponent's field, 2h + b. If the field minus 1 is 2k + c, then b = 1 - c and
// h = k + c. For a maximum of 0 both are 0.
//
// With a maximum of 2^-9 or more, it makes no difference that int8 rounds weights to float16 first.
// Only weights with an exponent field below 110 can change by that rounding. They are below 2^-17,
// and at most 2^-17 when rounded, so their code is 0 in both cases.
func (f *Float32) Constrain(
	api *rankone.API, values []*Value,
) (top Top, bytes []frontend.Variable) {
	mantissa, e := integer.FromBits(api, f.Mantissa[:]), integer.FromBits(api, f.Exponent[:])
	api.AssertIsBoolean(f.Zero)
	sum := api.Add(mantissa, e)
	for _, v := range values {
		sum = api.Add(sum, v.Magnitude)
	}
	api.AssertIsProduct(f.Zero, sum, 0)
	above := api.Sub(e, api.Mul(api.Sub(1, f.Zero), smallestExponent-1))
	assertUpTo(api, above, f.Above[:], exponentRange)
	odd := api.Sub(1, f.Zero, f.Exponent[0])
	bytes = []frontend.Variable{
		0,
		api.Mul(integer.Weighted(api, f.Mantissa[:3]), 32),
		api.Add(integer.Weighted(api, f.Mantissa[3:]), api.Mul(odd, 128)),
		api.Add(integer.Weighted(api, f.Exponent[1:]), f.Exponent[0]),
	}
	return newTop(api, FormatInt8, f.Exponent[:], f.Mantissa[:]), bytes
}

// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/rankone"
)

// Maximum is the witness of a block's largest absolute value, a bfloat16.
type Maximum struct {
	Mantissa [mantissaBits]frontend.Variable
	Exponent [exponentBits]frontend.Variable // minus 1, but 0 for a block of zeros
	Zero     frontend.Variable               // 1 for a block of zeros
}

// Constrain requires that the maximum is the absolute value of one of the values, and that it is
// normal unless all values are zero: its hidden bit is 1 minus Zero. That no value is larger,
// [Format.Constrain] requires. The maximum of a block of zeros is treated as significand 128 and
// exponent 1, the exponent of its values, so that all codes are 0.
func (m *Maximum) Constrain(api *rankone.API, values []*Value) Top {
	mantissa, e := integer.FromBits(api, m.Mantissa[:]), integer.FromBits(api, m.Exponent[:])
	api.AssertIsBoolean(m.Zero)
	field := api.Add(e, api.Sub(1, m.Zero))
	magnitude := api.Add(mantissa, api.Mul(field, hidden))
	var differences, sum frontend.Variable = 1, 0
	for _, v := range values[1:] {
		differences = api.Mul(differences, api.Sub(v.Magnitude, magnitude))
		sum = api.Add(sum, v.Magnitude)
	}
	api.AssertIsProduct(differences, api.Sub(values[0].Magnitude, magnitude), 0)
	api.AssertIsProduct(m.Zero, api.Add(sum, values[0].Magnitude), 0)
	return newTop(api, FormatQ8_0, m.Exponent[:], m.Mantissa[:])
}

const (
	// scaleExponent is the smallest exponent field of maxima whose scale can be a normal float16.
	scaleExponent = 120
	// scaleShifts is the smallest shift for which a scale is 0.
	scaleShifts   = 13
	scaleDistance = 254<<scaleShifts - 1
	// largestScale is the largest exponent of a finite scale.
	largestScale = 29
	beyondRange  = 127
)

// Scale is the witness of a float16 that is nearest to maximum/127, as pattern
// 1024*Exponent + Significand.
type Scale struct {
	Significand [11]frontend.Variable
	Exponent    frontend.Variable
	Finite      [4]frontend.Variable           // see assertUpTo: the exponent is at most 29,
	Beyond      [6]frontend.Variable           // j - 13 at most 127,
	Distance    [20]frontend.Variable          // and the significand the nearest
	Shift       [scaleShifts]frontend.Variable // one-hot j = 1, .., 12, 13 or more; none for 0
}

// Constrain returns the scale's two bytes, low byte first.
//
// Let M and E be the maximum's significand and exponent field. The pattern of the scale is
// 1024*g + S, where S = round(1024*M / (127*2^j)) and g = E - 120 + j. If the scale is normal, j is
// 1 for M >= 254 (where M/127 >= 2), else 0. If g would then be negative, the scale is subnormal:
// g = 0 and j = 120 - E. So the circuit requires g = E - 120 + j, and that j has its value for a
// normal scale or that g is 0. Where both are possible they give the same j, except for E = 120 and
// M >= 254, where j = 0 is excluded. From j = 13 on S is 0. g <= 29 keeps the scale finite. S is
// rounded correctly if 2*(1024*M - 127*2^j*S) + 127*2^j is in [1, 254*2^j]. The only tie is M = 254
// with j = 12, and it goes to the even S = 0, so the lower bound is strict. Multiplied by 2^(13-j),
// the number is an integer above 0 exactly if it was one before, and the upper bound is the same
// for every j.
func (s *Scale) Constrain(api *rankone.API, m *Maximum, top Top) (low, high frontend.Variable) {
	carry := all(api, m.Mantissa[1:])
	unshifted, j, power := oneHot(api, s.Shift[:])
	assertUpTo(api, s.Exponent, s.Finite[:], largestScale)
	beyond := api.Sub(api.Add(s.Exponent, scaleExponent), top.Exponent, j)
	assertUpTo(api, beyond, s.Beyond[:], beyondRange)
	api.AssertIsProduct(beyond, api.Sub(1, s.Shift[scaleShifts-1]), 0)
	api.AssertIsProduct(s.Exponent, api.Sub(j, carry), 0)
	api.AssertIsProduct(unshifted, carry, 0)
	significand := integer.FromBits(api, s.Significand[:])
	doubled := api.Add(api.Mul(top.Significand, power, 2048),
		api.Mul(api.Sub(127, api.Mul(significand, 254)), 1<<scaleShifts))
	assertUpTo(api, api.Sub(doubled, 1), s.Distance[:], scaleDistance)
	low = integer.Weighted(api, s.Significand[:8])
	return low, api.Add(integer.Weighted(api, s.Significand[8:]), api.Mul(s.Exponent, 4))
}

// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
)

// Maximum is the witness of a block's largest absolute value, a bfloat16.
type Maximum struct {
	Mantissa [mantissaBits]frontend.Variable
	Exponent [exponentBits]frontend.Variable
	Zero     frontend.Variable // 1 for a block of zeros
}

// Constrain requires that the maximum is the absolute value of one of the values, that no value is
// the next larger bfloat16, and that it is normal unless all values are zero. [Format.Constrain]
// excludes all other larger values. The maximum of a block of zeros is treated as significand 128
// and exponent 1, the exponent of its values, so that all codes are 0.
func (m *Maximum) Constrain(api frontend.API, values []*Value, nonzero *Nonzero) Top {
	field, mantissa := integer.FromBits(api, m.Exponent[:]), integer.FromBits(api, m.Mantissa[:])
	magnitude := api.Add(mantissa, api.Mul(field, hidden))
	var differences, sum frontend.Variable = 1, 0
	for _, v := range values {
		difference := api.Sub(v.Magnitude, magnitude)
		differences = api.Mul(differences, difference)
		nonzero.Require(api.Sub(difference, 1))
		sum = api.Add(sum, v.Magnitude)
	}
	api.AssertIsEqual(differences, 0)
	api.AssertIsBoolean(m.Zero)
	api.AssertIsEqual(api.Mul(m.Zero, sum), 0)
	exponent := api.Add(field, m.Zero)
	nonzero.Require(exponent)
	return Top{Exponent: exponent, Significand: api.Add(mantissa, hidden)}
}

const (
	// scaleExponent is the smallest exponent field of maxima whose scale can be a normal float16.
	scaleExponent = 120
	// scaleShifts is the smallest shift for which a scale is 0.
	scaleShifts = 13
	scaleWidth  = 21 // of 254 * 2^scaleShifts
)

// Scale is the witness of a float16 that is nearest to maximum/127, as pattern
// 1024*Exponent + Significand.
type Scale struct {
	Significand [11]frontend.Variable
	Exponent    [5]frontend.Variable
	Shift       [scaleShifts]frontend.Variable // one-hot j = 1, .., 12, 13 or more; none for 0
	Beyond      [7]frontend.Variable           // bits of j - 13
	Below       [scaleWidth - 1]frontend.Variable
	Above       [scaleWidth - 1]frontend.Variable
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
// with j = 12, and it goes to the even S = 0, so the lower bound is strict.
func (s *Scale) Constrain(api frontend.API, m *Maximum, top Top) (low, high frontend.Variable) {
	carry := all(api, m.Mantissa[1:])
	unshifted, j, power := oneHot(api, s.Shift[:])
	g, beyond := integer.FromBits(api, s.Exponent[:]), integer.FromBits(api, s.Beyond[:])
	api.AssertIsEqual(all(api, s.Exponent[1:]), 0)
	api.AssertIsEqual(api.Sub(api.Add(g, scaleExponent), top.Exponent, j), beyond)
	api.AssertIsEqual(api.Mul(beyond, api.Sub(1, s.Shift[scaleShifts-1])), 0)
	api.AssertIsEqual(api.Mul(g, api.Sub(j, carry)), 0)
	api.AssertIsEqual(api.Mul(unshifted, carry), 0)
	product := api.Mul(integer.FromBits(api, s.Significand[:]), power)
	doubled := api.Sub(api.Add(api.Mul(top.Significand, 2048), api.Mul(power, 127)),
		api.Mul(product, 254))
	assertBounded(api, api.Sub(doubled, 1), s.Below[:])
	assertBounded(api, api.Sub(api.Mul(power, 254), doubled), s.Above[:])
	low = integer.Weighted(api, s.Significand[:8])
	return low, api.Add(integer.Weighted(api, s.Significand[8:]), api.Mul(g, 4))
}

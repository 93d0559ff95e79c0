// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"math/big"

	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/rankone"
)

const (
	largest = 127 // code
	// fraction is the weight of 1 in a distance. Up to a shift of 8 that is a multiple of 1/M.
	fraction     = 1 << fractionBits
	fractionBits = 8
	distanceBits = 15
	// farShift is the smallest difference of exponents for which a code is always 0.
	farShift = 9
)

var (
	// outside is what [Decode] makes of a hidden bit that is neither 0 nor 1.
	outside = integer.PowerOfTwo(20)
	// nonzero is the weight of a far weight's code.
	nonzero = integer.PowerOfTwo(40)
	// near is the number a in the factor of a near weight. The other two, 255*(a+1) and a-255, are
	// 256*a times the weights of its two terms.
	near    = integer.PowerOfTwo(64)
	atRatio = new(big.Int).Mul(big.NewInt(255), new(big.Int).Add(near, big.NewInt(1)))
	atNear  = new(big.Int).Sub(near, big.NewInt(255))
)

// Format says how a weight x compares with the maximum. Let m and M be their significands, and d
// the exponent of the maximum minus that of x. Then 254*x/maximum is Factor*m / (M*2^d). Width is
// the number of bits of M.
type Format struct {
	Factor, Width int
}

// The formats. The maximum of q8_0 is a bfloat16 (M < 2^8), that of int8 a float16 (M < 2^11, so
// its unit is 8 times smaller).
var (
	FormatQ8_0 = Format{Factor: 254, Width: 8}
	FormatInt8 = Format{Factor: 254 * 8, Width: 11}
)

// Code is the witness of one weight and its code.
type Code struct {
	Normal frontend.Variable // see Decode
	Near   frontend.Variable // the weight's sign, or 0 if the exponents differ by 9 or more
	// Distance holds the bits of K, each times the weight's sign, and Rest the parts that are
	// chosen, with 0 for the others; see Constrain.
	Distance [distanceBits]frontend.Variable
	Rest     []frontend.Variable
}

// NewCode has the format's widths.
func (f Format) NewCode() Code { return Code{Rest: make([]frontend.Variable, f.Width)} }

// Constrain returns the biased code q + 128. q is an integer with the weight's sign, and |q| is
// nearest to 127*|x|/maximum; at an exact tie either one. No weight is larger than the maximum.
//
// Let y = 256 * 127*|x|/maximum, and Y = 256*127 - y. K is the integer in the bits of Distance,
// and r a sum of parts over M: 0, 1/M, .., or 1. If K + r = Y, then Y >= 0, which means that
// |x| <= maximum; and 127 - |q| = (K + 128) div 256 is nearest to Y/256. At a tie K = Y - 1 gives
// the other one. This rounding is linear in the bits of K.
//
// All of it is multiplied by the weight's sign s, so the bits are 0 or s. If s = -1, r is 1 minus
// the sum R of the chosen parts: s*r = R - 1.
//
// Near weights (Near = s). Let D be the difference of the upper bits of the exponents, the
// maximum's minus the weight's. y needs the factor 1 for D = 0 and 1/256 for D = 1. With ratio =
// Near / (1 + a*D), a = [near], the factor is (256 + (a-255)*D) / (256 * (1 + a*D)), and so it is.
// For any other D the odd number 1 + a*D has at most the divisor 255*(1-D) in common with its
// numerator. The rest of it is above 2^50, and divides 127*m for m = 0 alone. Then x is 0, and its
// code, too. Multiplied by the denominators all sides are below 2^150, so none wraps around r.
//
// Far weights (Near = 0). Here the last constraint is K + r = 256*127 - 128 + (d - 9) + s*2^40*q,
// where d is the maximum's exponent minus the field of the weight's. |d| is below 2^29, so q is 0.
// Therefore K >= 256*127 - 128, hence d >= 9. From there on y < 128: 0 is the only nearest code.
// With a hidden bit of 0 the exponent is the field plus 1, and the exponents may differ by 8. But
// then m < 128.
//
// A false hidden bit (see [Decode]) makes y larger than 2^15 for near weights, and d negative for
// far ones.
func (f Format) Constrain(api *rankone.API, c *Code, v *Value, top Top) frontend.Variable {
	api.AssertIsZeroOr(c.Near, v.Sign)
	for _, bit := range c.Distance {
		api.AssertIsZeroOr(bit, v.Sign)
	}
	distance := integer.Weighted(api, c.Distance[:])
	q := api.Sub(api.Mul(v.Sign, largest), integer.Weighted(api, c.Distance[fractionBits:]),
		c.Distance[fractionBits-1])
	rest := api.Sub(sumOf(api, c.Rest, top.parts), v.negative)

	ratio := api.DivUnchecked(c.Near, api.Add(1, api.Mul(api.Sub(top.high, v.high), near)))
	factor := api.Add(api.Mul(ratio, atRatio), api.Mul(c.Near, atNear))
	y := api.Mul(v.Scaled, api.Mul(factor, top.unit))
	d := api.Sub(top.Exponent, v.field)
	api.AssertIsProduct(api.Sub(v.Sign, c.Near),
		api.Add(d, -farShift-fraction/2, api.Mul(q, nonzero)),
		api.Add(distance, rest, y, api.Mul(v.Sign, -largest*fraction)))
	return api.Add(q, 128)
}

// SPDX-License-Identifier: Apache-2.0

package bfloat16

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
)

const (
	// TotalUnit: totals are integers in units of 2^-TotalUnit, the product of two units of Factors
	// and of a scale's 2^-16.
	TotalUnit = 110
	// WeightUnits is the unit of Weights in units of a total.
	WeightUnits = 1 << (TotalUnit - 107)

	ulpBits = TotalUnit // ulp of the largest weights (2^0) in units of a total
)

// AssertRounded shows that result, a weight without -0, is the bfloat16 nearest to total, even on
// ties; zero only for a total of 0. |total| must be below 2^141 by the caller's constraints.
//
// Let sigma be the result's sign, ulp = 2^(w+3) the unit of its last place, s its significand, and
// y = (sigma * total / ulp - s + 1/2) * 2^110. y is an integer, since 2^110 / ulp = 2^(107-w) is. y
// = 2^109 means no error. 0 and 2^110 are the ties, which are allowed only if the significand is
// even. Below a power of two (s = 128) numbers lie twice as close. There y >= 2^108 is required,
// and the tie at 2^108 goes to the power of two, whose significand is even. This also holds for the
// lowest power of the window, since there are smaller bfloat16 numbers below it.
//
// For zero (s = w = 0) the factor 2^(107-w) is replaced by 2^110. Then y = (total + 1/2) * 2^110,
// which is in range only for total = 0.
//
// Why y cannot wrap around r: the factor is at most 2^110, so |y| < 2^251 + 2^118 + 2^109 < r/2. A
// y that has 111 bits modulo r therefore lies in [0, 2^111) as an integer.
func AssertRounded(api frontend.API, total frontend.Variable, result *Value, faults *Faults) {
	half := fr.NewElement(2)
	half.Inverse(&half)
	// sigma * 2^110 / ulp
	perUlp := api.Mul(result.signedPower(half, WeightUnits), integer.PowerOfTwo(107))
	y := api.Mul(total, perUlp)
	y = api.Sub(api.Add(y, integer.PowerOfTwo(ulpBits-1)),
		api.Mul(result.significand, integer.PowerOfTwo(ulpBits)))

	bits := api.ToBinary(y, ulpBits+1)
	top, odd := bits[ulpBits], result.number.Fraction[0]
	low := api.Sub(y, api.Mul(top, integer.PowerOfTwo(ulpBits)))
	faults.add(api.Mul(top, api.Add(low, odd))) // y <= 2^110, and less for an odd significand

	// y > 0 for an odd significand: the inverse exists and is unique.
	api.Inverse(api.Add(1, api.Mul(odd, api.Sub(y, 1))))

	// y >= 2^108 for a power of two: `lowest` is 1 for y < 2^108, and the fraction is then not 0.
	lowest := api.Mul(api.Sub(1, top, bits[ulpBits-1]), api.Sub(1, bits[ulpBits-2]))
	api.Inverse(api.Sub(api.Add(result.fraction, 1), lowest))
}

// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"math/big"

	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/rankone"
)

// Top is a maximum of a block, Significand M times 2 to the power of Exponent, in the unit of its
// [Format]. The other fields are what codes are compared with: the exponent's bits above the
// lowest three, the parts of M over M, whose sums are 0, 1/M, 2/M, .., 1, and
//
//	127 * (Factor/254) * 2^(8 - lowest three bits) / M, over 256 * near.
type Top struct {
	Exponent, Significand frontend.Variable

	high, unit frontend.Variable
	parts      []frontend.Variable
}

// newTop takes boolean bits, lowest first: those of the exponent minus 1, and the significand's
// without its highest, which is 1.
func newTop(api *rankone.API, f Format, exponent, significand []frontend.Variable) Top {
	width := len(significand)
	shifted := make([]frontend.Variable, width+1) // M >> k
	for k := range shifted {
		shifted[k] = api.Add(integer.Weighted(api, significand[k:]), 1<<(width-k))
	}
	top := Top{
		Exponent:    api.Add(integer.Weighted(api, exponent), 1),
		Significand: shifted[0],
		high:        integer.Weighted(api, exponent[lowBits:]),
	}
	var last frontend.Variable = 1
	for k := range width {
		part := api.DivUnchecked(api.Sub(shifted[k], shifted[k+1]), top.Significand)
		top.parts = append(top.parts, part)
		last = api.Sub(last, part)
	}
	top.parts = append(top.parts, last)
	// 2^(7 - k) is 2^k of the opposite bits.
	opposite := make([]frontend.Variable, lowBits)
	for i := range opposite {
		opposite[i] = api.Sub(1, exponent[i])
	}
	power := api.Mul(powerOf(api, opposite), f.Factor)
	top.unit = api.DivUnchecked(power, api.Mul(top.Significand, new(big.Int).Lsh(near, 8)))
	return top
}

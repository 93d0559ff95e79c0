// SPDX-License-Identifier: Apache-2.0

// Package integer writes integers as the bits of a witness, and reads bits as integers inside a
// circuit.
//
// It may import gnark's frontend only. All lists of bits have the lowest bit first.
package integer

import (
	"math/big"

	"github.com/consensys/gnark/frontend"
)

// FromBits makes the bits boolean, one constraint each, and returns the integer that they hold.
func FromBits(api frontend.API, bits []frontend.Variable) frontend.Variable {
	for _, bit := range bits {
		api.AssertIsBoolean(bit)
	}
	return Weighted(api, bits)
}

// Weighted is sum 2^i * bits[i]. It adds no constraint: the caller makes the bits boolean.
func Weighted(api frontend.API, bits []frontend.Variable) frontend.Variable {
	var sum frontend.Variable = 0
	for i, bit := range bits {
		sum = api.Add(sum, api.Mul(bit, 1<<i))
	}
	return sum
}

// SetBits assigns the lowest bits of a number, in two's complement if it is negative.
func SetBits(bits []frontend.Variable, number int) {
	for i := range bits {
		bits[i] = number >> i & 1
	}
}

// OneIf is 1 for true and 0 for false.
func OneIf(condition bool) int {
	if condition {
		return 1
	}
	return 0
}

// PowerOfTwo is 2^exponent for an exponent >= 0.
func PowerOfTwo(exponent int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(exponent)) }

// SPDX-License-Identifier: Apache-2.0

// Package quantized holds what the circuits of quantizations share: it decodes bfloat16 values from
// their bits, shows that codes are nearest to 127 times a weight's share of a maximum, and reads
// the two forms in which files state that maximum.
//
// Constraints (snapshot-tested): [Decode] 20, of which 16 are bits, and [Format.Constrain] 28 for
// q8_0 and 31 for int8; for a block [Maximum.Constrain] 58 and [Scale.Constrain] 67, or
// [Float32.Constrain] 38. `go test ./circuits -run Profile -v` prints where they go.
//
// Source: docs/formats/statements.md, "q8_0" and "int8"; docs/decisions/0028.
package quantized

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/rankone"
)

// PatternBits is the width of a bfloat16: 7 bits of mantissa, 8 of exponent, sign.
const (
	PatternBits  = 16
	mantissaBits = 7
	exponentBits = 8
	lowBits      = 3 // of an exponent
	hidden       = 1 << mantissaBits
	signBit      = 1 << 15
)

// Value is a bfloat16. Magnitude is the pattern without its sign bit; it has the order of absolute
// values. Sign is 1 or -1. The absolute value is Scaled * 2^(8*High - 133), with Scaled the
// significand times 2^(lowest three bits of the exponent).
//
// [Format.Constrain] excludes hidden bits other than 0 and 1, and exponents above that of a
// maximum. Without it, Pattern may have more than 16 bits.
type Value struct {
	Pattern, Magnitude, Sign, Scaled frontend.Variable

	negative, field, high frontend.Variable
}

// Lowered are the bits that [Decode] takes of a pattern: those of the exponent are less by the
// hidden bit. So no hidden bit of 1 has the exponent of a zero.
func Lowered(pattern uint16) int {
	if pattern&(signBit-1) < hidden {
		return int(pattern)
	}
	return int(pattern) - hidden
}

// Decode takes the bits of [Lowered], lowest first, and makes them boolean. normal is the hidden
// bit. Let e be the exponent in these bits. One constraint requires that normal is 1 or e times
// [outside]; so for e = 0 it is 0 or 1, and else 1 or a number that no other constraint bears.
func Decode(
	api *rankone.API, bits *[PatternBits]frontend.Variable, normal frontend.Variable,
) *Value {
	mantissa := integer.FromBits(api, bits[:mantissaBits])
	exponent := bits[mantissaBits : mantissaBits+exponentBits]
	e := integer.FromBits(api, exponent)
	api.AssertIsBoolean(bits[PatternBits-1])
	api.AssertIsProduct(api.Sub(normal, api.Mul(e, outside)), api.Sub(1, normal), 0)
	v := &Value{negative: bits[PatternBits-1], field: api.Add(e, normal),
		high: integer.Weighted(api, exponent[lowBits:])}
	v.Magnitude = api.Add(mantissa, api.Mul(v.field, hidden))
	v.Pattern = api.Add(v.Magnitude, api.Mul(v.negative, signBit))
	v.Sign = api.Sub(1, api.Mul(v.negative, 2))
	significand := api.Add(mantissa, api.Mul(normal, hidden))
	v.Scaled = api.Mul(powerOf(api, exponent[:lowBits]), significand)
	return v
}

// powerOf is 2 to the power that three boolean bits hold.
func powerOf(api *rankone.API, bits []frontend.Variable) frontend.Variable {
	power := api.Mul(api.Add(1, bits[0]), api.Add(1, api.Mul(bits[1], 3)))
	return api.Mul(power, api.Add(1, api.Mul(bits[2], 15)))
}

// oneHot makes the flags boolean, and rest, which is 1 minus their sum: so at most one flag is 1.
// It also returns sum (i+1)*flags[i], and 2 to the power of the number of flags minus that.
func oneHot(api *rankone.API, flags []frontend.Variable) (rest, sum, power frontend.Variable) {
	rest, sum = 1, 0
	power = 0
	for i, flag := range flags {
		api.AssertIsBoolean(flag)
		rest = api.Sub(rest, flag)
		sum = api.Add(sum, api.Mul(flag, i+1))
		power = api.Add(power, api.Mul(flag, 1<<(len(flags)-1-i)))
	}
	api.AssertIsBoolean(rest)
	return rest, sum, api.Add(power, api.Mul(rest, 1<<len(flags)))
}

// all is the product of the bits.
func all(api *rankone.API, bits []frontend.Variable) frontend.Variable {
	var product frontend.Variable = 1
	for _, bit := range bits {
		product = api.Mul(product, bit)
	}
	return product
}

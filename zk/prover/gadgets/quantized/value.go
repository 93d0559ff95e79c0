// SPDX-License-Identifier: Apache-2.0

// Package quantized holds what the circuits of quantizations share: it decodes bfloat16 values from
// their bits, shows that codes are nearest to 127 times a weight's share of a maximum, and reads
// the two forms in which files state that maximum.
//
// Constraints (snapshot-tested): [Decode] 4, [Format.Constrain] 57 for q8_0 and 70 for int8,
// [Maximum.Constrain] 83 and [Scale.Constrain] 96 for a block, [Float32.Constrain] 31.
//
// Source: docs/formats/statements.md, "q8_0" and "int8".
package quantized

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
)

// PatternBits is the width of a bfloat16: 7 bits of mantissa, 8 of exponent, sign.
const (
	PatternBits  = 16
	mantissaBits = 7
	exponentBits = 8
	hidden       = 1 << mantissaBits
)

// Value is a bfloat16, (-1)^Sign * Significand * 2^(Exponent-134). Magnitude is the pattern without
// its sign bit; it has the order of absolute values. Infinities and NaN have exponent 255; the
// caller must exclude them.
type Value struct {
	Sign, Magnitude, Exponent, Significand frontend.Variable
}

// Decode takes boolean bits, lowest first. normal is the hidden bit: 1 unless the exponent field is
// 0. A product excludes normal = 0 with another field than 0. normal = 1 with a field of 0 is
// excluded because the effective exponent must not be 0.
func Decode(
	api frontend.API, bits *[PatternBits]frontend.Variable, normal frontend.Variable,
	nonzero *Nonzero,
) *Value {
	mantissa := integer.Weighted(api, bits[:mantissaBits])
	field := integer.Weighted(api, bits[mantissaBits:mantissaBits+exponentBits])
	api.AssertIsBoolean(normal)
	subnormal := api.Sub(1, normal)
	api.AssertIsEqual(api.Mul(field, subnormal), 0)
	v := &Value{
		Sign:        bits[PatternBits-1],
		Magnitude:   api.Add(mantissa, api.Mul(field, hidden)),
		Exponent:    api.Add(field, subnormal),
		Significand: api.Add(mantissa, api.Mul(normal, hidden)),
	}
	nonzero.Require(v.Exponent)
	return v
}

// Nonzero collects variables that must not be 0. The field has no zero divisors, so one inverse of
// their product shows that none is 0.
type Nonzero struct {
	api     frontend.API
	product frontend.Variable
}

// NewNonzero is an empty collection.
func NewNonzero(api frontend.API) *Nonzero { return &Nonzero{api: api, product: 1} }

// Require adds a variable: one constraint.
func (n *Nonzero) Require(v frontend.Variable) { n.product = n.api.Mul(n.product, v) }

// Assert adds the constraint that makes the requirements hold.
func (n *Nonzero) Assert() { n.api.AssertIsDifferent(n.product, 0) }

// assertBounded constrains v to be in [0, 2^(n+1)). bits are its n lowest bits, lowest first; v
// minus their number must be 0 or 2^n.
func assertBounded(api frontend.API, v frontend.Variable, bits []frontend.Variable) {
	left := api.Sub(v, integer.FromBits(api, bits))
	api.AssertIsBoolean(api.DivUnchecked(left, integer.PowerOfTwo(len(bits))))
}

// oneHot makes the flags boolean, and rest, which is 1 minus their sum: so at most one flag is 1.
// It also returns sum (i+1)*flags[i], and 2 to that power.
func oneHot(api frontend.API, flags []frontend.Variable) (rest, sum, power frontend.Variable) {
	rest, sum = 1, 0
	power = 0
	for i, flag := range flags {
		api.AssertIsBoolean(flag)
		rest = api.Sub(rest, flag)
		sum = api.Add(sum, api.Mul(flag, i+1))
		power = api.Add(power, api.Mul(flag, 2<<i))
	}
	api.AssertIsBoolean(rest)
	return rest, sum, api.Add(power, rest)
}

// SPDX-License-Identifier: Apache-2.0

// Package bfloat16 decodes bfloat16 numbers inside a circuit, and shows that a number is an exact
// sum, rounded.
//
// Shown: the pattern of a [Value] is that of a bfloat16 number that is zero, of either sign, or
// lies in the window. Integer is that number in units of the window. [AssertRounded] says what it
// shows. Not shown: anything, unless the circuit calls [Faults.Assert].
//
// Inputs. Every bit of a [Number] is made boolean here. NaN, infinities, subnormal numbers and all
// others outside the window have no witness.
//
// Constraints (snapshot-tested): 23 for a number of the window Factors with its integer, 26 for one
// of Weights; 143 for a rounded number with the proof that it is the nearest, of which 112 are the
// bits of the distance.
//
// Source: IEEE 754-2019, sections 3.4 and 4.3.1 (roundTiesToEven). A bfloat16 has 1 sign, 8
// exponent and 7 fraction bits.
package bfloat16

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
)

const (
	fractionBits = 7
	hidden       = 1 << fractionBits // the leading bit of a significand
	signBit      = 1 << 15
)

// Window is a range of exponents. w is the exponent, counted from the lowest of the window. All
// windows have w < 2^bits - 20, so that one test of the bits of w serves all of them. The unit of a
// window is the last bit of a significand at w = 0.
type Window struct {
	lowest int // biased exponent at w = 0
	bits   int // of w, 6 or 7
}

// The windows of the statement `merge`.
var (
	Factors = Window{lowest: 127 - 40, bits: 6}  // 2^-40 <= |x| < 2^4, unit 2^-47
	Weights = Window{lowest: 127 - 100, bits: 7} // 2^-100 <= |x| < 2^8, unit 2^-107
)

func (w Window) count() int { return 1<<w.bits - 20 }

// Number is the witness of a number: sign, 1 for zero, the bits of w and of the fraction, lowest
// first.
type Number struct {
	Sign, Zero frontend.Variable
	Exponent   []frontend.Variable
	Fraction   [fractionBits]frontend.Variable
}

// Number is the witness of a number of the window, still without values.
func (w Window) Number() Number { return Number{Exponent: make([]frontend.Variable, w.bits)} }

// Holds tells whether a pattern is zero or lies in the window.
func (w Window) Holds(pattern uint16) bool {
	exponent := int(pattern>>fractionBits&0xff) - w.lowest
	return pattern&^signBit == 0 || (exponent >= 0 && exponent < w.count())
}

// String is the window in powers of two.
func (w Window) String() string {
	return fmt.Sprintf("0 or 2^%d <= |x| < 2^%d", w.lowest-127, w.lowest-127+w.count())
}

// Set assigns a pattern that the window holds.
func (n *Number) Set(pattern uint16, w Window) {
	n.Sign, n.Zero = pattern/signBit, 0
	exponent := int(pattern>>fractionBits&0xff) - w.lowest
	if pattern&^signBit == 0 {
		n.Zero, exponent = 1, 0
	}
	integer.SetBits(n.Exponent, exponent)
	integer.SetBits(n.Fraction[:], int(pattern))
}

// Faults is a sum of terms. Each is a non-negative integer below 2^128, and 0 unless the witness
// breaks a rule. A circuit has fewer than 2^24 terms, so the sum is 0 modulo r only if every term
// is 0.
type Faults struct {
	api frontend.API
	sum frontend.Variable
}

// NewFaults is an empty sum.
func NewFaults(api frontend.API) *Faults { return &Faults{api: api, sum: 0} }

func (f *Faults) add(term frontend.Variable) { f.sum = f.api.Add(f.sum, term) }

// Assert requires that no rule is broken. Without this call none of the package's rules is
// enforced.
func (f *Faults) Assert() { f.api.AssertIsEqual(f.sum, 0) }

// Value is a constrained number.
type Value struct {
	// Pattern is the 16-bit pattern.
	Pattern frontend.Variable

	api         frontend.API
	number      *Number
	fraction    frontend.Variable // 0..127
	significand frontend.Variable // 128..255, or 0 for zero
	lowSign     frontend.Variable // product of sign and bit 0 of w
	middle      frontend.Variable // product of bits 2 and 3
	high        frontend.Variable // product of bits 5 and 6, if there are 7
}

// Constrain requires that a number is zero or lies in the window.
func (w Window) Constrain(api frontend.API, n *Number, faults *Faults) *Value {
	return w.constrain(api, n, faults, 0)
}

// ConstrainUnsignedZero is Constrain without -0.
func (w Window) ConstrainUnsignedZero(api frontend.API, n *Number, faults *Faults) *Value {
	return w.constrain(api, n, faults, n.Sign)
}

// constrain refuses a zero with other bits than its sign, a zero with a refused sign, and w from
// 2^bits - 20 on. Such a w has all bits above bit 4 set, and w mod 32 is 12 or more: bit 4 is set,
// or bits 2 and 3 are.
func (w Window) constrain(
	api frontend.API, n *Number, faults *Faults, refused frontend.Variable,
) *Value {
	v := &Value{api: api, number: n}
	api.AssertIsBoolean(n.Sign)
	api.AssertIsBoolean(n.Zero)
	exponent := integer.FromBits(api, n.Exponent)
	v.fraction = integer.FromBits(api, n.Fraction[:])
	rest := api.Add(v.fraction, api.Mul(exponent, hidden))
	normal := api.Sub(1, n.Zero)
	v.significand = api.Add(v.fraction, api.Mul(normal, hidden))
	v.Pattern = api.Add(api.Mul(n.Sign, signBit), rest, api.Mul(normal, w.lowest*hidden))
	v.lowSign = api.Mul(n.Sign, n.Exponent[0])
	v.middle = api.Mul(n.Exponent[2], n.Exponent[3])
	v.high = n.Exponent[5]
	if w.bits == 7 {
		v.high = api.Mul(n.Exponent[5], n.Exponent[6])
	}
	faults.add(api.Mul(n.Zero, api.Add(rest, refused)))
	faults.add(api.Mul(v.high, api.Add(n.Exponent[4], v.middle)))
	return v
}

// Integer is the number in units of its window, of absolute value below 2^(8 + w).
func (v *Value) Integer() frontend.Variable {
	return v.api.Mul(v.signedPower(fr.NewElement(2), 1), v.significand)
}

// signedPower is (-1)^sign * base^w, times atZero if the number is zero.
//
// The factor base^(2^k) of a bit k is joined with that of another bit where the product of the two
// bits is known. In windows of six bits, bits 4 and 5 are never both 1. For zero, w is 0.
func (v *Value) signedPower(base fr.Element, atZero int64) frontend.Variable {
	api, bit := v.api, v.number.Exponent
	step := func(k int) fr.Element { // base^(2^k) - 1
		e, one := base, fr.One()
		for range k {
			e.Square(&e)
		}
		return *e.Sub(&e, &one)
	}
	times := func(x frontend.Variable, factors ...fr.Element) frontend.Variable {
		for i := range factors {
			x = api.Mul(x, factors[i].BigInt(new(big.Int)))
		}
		return x
	}
	sign := api.Sub(1, api.Mul(v.number.Sign, 2))
	power := api.Add(sign, times(bit[0], step(0)), times(api.Mul(v.lowSign, -2), step(0)))
	power = api.Mul(power, api.Add(1, times(bit[1], step(1)), api.Mul(v.number.Zero, atZero-1)))
	power = api.Mul(power, api.Add(1, times(bit[2], step(2)), times(bit[3], step(3)),
		times(v.middle, step(2), step(3))))
	if len(bit) == 6 {
		return api.Mul(power, api.Add(1, times(bit[4], step(4)), times(bit[5], step(5))))
	}
	power = api.Mul(power, api.Add(1, times(bit[4], step(4))))
	return api.Mul(power, api.Add(1, times(bit[5], step(5)), times(bit[6], step(6)),
		times(v.high, step(5), step(6))))
}

// SPDX-License-Identifier: Apache-2.0

package bfloat16

import (
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"

	"provenance/zkprover/gadgets/integer"
)

// decoding states a number's pattern and integer.
type decoding struct {
	Pattern, Integer frontend.Variable `gnark:",public"`
	Number           Number
	window           Window
}

func (c *decoding) Define(api frontend.API) error {
	faults := NewFaults(api)
	v := c.window.Constrain(api, &c.Number, faults)
	api.AssertIsEqual(v.Pattern, c.Pattern)
	api.AssertIsEqual(v.Integer(), c.Integer)
	faults.Assert()
	return nil
}

// rounding states that a number is a rounded total.
type rounding struct {
	Total  frontend.Variable `gnark:",public"`
	Number Number
}

func (c *rounding) Define(api frontend.API) error {
	faults := NewFaults(api)
	AssertRounded(api, c.Total, Weights.ConstrainUnsignedZero(api, &c.Number, faults), faults)
	faults.Assert()
	return nil
}

func compiled(t *testing.T, circuit frontend.Circuit) *cs.R1CS {
	t.Helper()
	system, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, circuit)
	if err != nil {
		t.Fatal(err)
	}
	return system.(*cs.R1CS)
}

func solved(t *testing.T, system *cs.R1CS, assignment frontend.Circuit) bool {
	t.Helper()
	witness, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	_, err = system.Solve(witness)
	return err == nil
}

func newDecoding(w Window) *decoding { return &decoding{Number: w.Number(), window: w} }

// set chooses sign, zero flag, exponent and fraction freely, with the pattern and integer that the
// circuit computes.
func (c *decoding) set(sign, zero, exponent, fraction int) {
	c.Number.Sign, c.Number.Zero = sign, zero
	for i := range c.Number.Exponent {
		c.Number.Exponent[i] = exponent >> i & 1
	}
	for i := range c.Number.Fraction {
		c.Number.Fraction[i] = fraction >> i & 1
	}
	c.Pattern = sign<<15 + (exponent+(1-zero)*c.window.lowest)<<7 + fraction
	integer := new(big.Int).Lsh(big.NewInt(int64((1-zero)*128+fraction)), uint(exponent))
	if sign == 1 {
		integer.Neg(integer)
	}
	c.Integer = integer
}

// Each exponent of the window has a witness, and no exponent outside has one.
func TestExponents(t *testing.T) {
	for _, w := range []Window{Factors, Weights} {
		system, c := compiled(t, newDecoding(w)), newDecoding(w)
		for exponent := range 1 << w.bits {
			for _, fraction := range []int{0, 1, 85, 127} {
				for sign := range 2 {
					c.set(sign, 0, exponent, fraction)
					if got := solved(t, system, c); got != (exponent < w.count()) {
						t.Fatalf("%v: exponent %d, fraction %d, sign %d: %v", w, exponent,
							fraction, sign, got)
					}
				}
			}
		}
	}
}

// A number that is flagged as zero has no other bits than its sign; one that is not flagged is not
// zero.
func TestZeros(t *testing.T) {
	for _, w := range []Window{Factors, Weights} {
		system, c := compiled(t, newDecoding(w)), newDecoding(w)
		for rest := 1; rest < 128<<w.bits; rest += 1 + rest/64 {
			c.set(rest&1, 1, rest>>7, rest&127)
			if solved(t, system, c) {
				t.Fatalf("%v: zero with exponent %d, fraction %d", w, rest>>7, rest&127)
			}
		}
		for sign := range 2 {
			c.set(sign, 1, 0, 0)
			if !solved(t, system, c) {
				t.Errorf("%v: zero of sign %d", w, sign)
			}
			c.Number.Zero = 0
			if solved(t, system, c) {
				t.Errorf("%v: zero of sign %d without its flag", w, sign)
			}
		}
	}
}

// fraction is a/b in the field.
func fraction(a, b int64) fr.Element {
	var x, y fr.Element
	x.SetInt64(a)
	y.SetInt64(b)
	return *x.Div(&x, &y)
}

// If the flag of zero could be any value, a number would be a multiple of another one's
// significand: its pattern would be shown with an integer that is not its own. The same holds for
// the sign, and for bits of exponent and fraction.
func TestFlagsThatAreNoBits(t *testing.T) {
	for _, w := range []Window{Factors, Weights} {
		system, one := compiled(t, newDecoding(w)), fr.One()
		base := int64(w.lowest) * hidden
		attack := func(change func(c *decoding)) *decoding {
			c := newDecoding(w)
			c.set(0, 0, 0, 0)
			change(c)
			return c
		}
		for name, c := range map[string]*decoding{
			"the next pattern by a part of zero": attack(func(c *decoding) {
				share := fraction(base+1, base)
				c.Number.Zero = *new(fr.Element).Sub(&one, &share)
				c.Pattern, c.Integer = base+1, fraction(hidden*(base+1), base)
			}),
			"the next pattern by a part of the sign": attack(func(c *decoding) {
				c.Number.Sign, c.Pattern = fraction(1, signBit), base+1
				c.Integer = fraction(hidden*(signBit-2), signBit)
			}),
			"a fraction of 256": attack(func(c *decoding) {
				c.Number.Fraction[0], c.Pattern, c.Integer = 256, base+256, hidden+256
			}),
			"an exponent of -1": attack(func(c *decoding) {
				minus := fraction(-1, 1)
				c.Number.Exponent[0], c.Pattern, c.Integer = minus, base-128, 0
			}),
		} {
			if solved(t, system, c) {
				t.Errorf("%v: %s was shown", w, name)
			}
		}
	}
}

// Set and Holds agree with the circuit for every pattern.
func TestPatterns(t *testing.T) {
	for _, w := range []Window{Factors, Weights} {
		system, c := compiled(t, newDecoding(w)), newDecoding(w)
		for pattern := 0; pattern < 1<<16; pattern += 7 {
			if !w.Holds(uint16(pattern)) {
				continue
			}
			c.set(pattern>>15, 0, max(pattern>>7&0xff-w.lowest, 0), pattern&127)
			c.Number.Set(uint16(pattern), w)
			c.Pattern = pattern
			if pattern&0x7fff == 0 {
				c.Integer = 0
			}
			if !solved(t, system, c) {
				t.Fatalf("%v: pattern %#04x", w, pattern)
			}
		}
	}
}

// For zero, y = (total + 1/2) * 2^110 must not be in range for any other total.
func TestOnlyZeroRoundsToZero(t *testing.T) {
	system := compiled(t, &rounding{Number: Weights.Number()})
	c := &rounding{Number: Weights.Number()}
	for _, zero := range []uint16{0, 1 << 15} {
		c.Number.Set(zero, Weights)
		for _, exponent := range []int{-1, 0, 1, 10, 109, 110, 111, 140} {
			for sign := int64(-1); sign <= 1; sign += 2 {
				total := new(big.Int)
				if exponent >= 0 {
					total.Mul(integer.PowerOfTwo(exponent), big.NewInt(sign))
				}
				c.Total = total
				if got := solved(t, system, c); got != (total.Sign() == 0 && zero == 0) {
					t.Errorf("pattern %#04x for %v: %v", zero, total, got)
				}
			}
		}
	}
}

// Statements about pattern and integer, and the sum of faults, take three of the constraints of a
// decoding; the last one of a rounding.
func TestConstraintCounts(t *testing.T) {
	for name, c := range map[string]struct {
		circuit frontend.Circuit
		want    int
	}{
		"factor":  {newDecoding(Factors), 23 + 3},
		"weight":  {newDecoding(Weights), 26 + 3},
		"rounded": {&rounding{Number: Weights.Number()}, 143 + 1},
	} {
		if got := compiled(t, c.circuit).GetNbConstraints(); got != c.want {
			t.Errorf("%s: %d constraints, want %d", name, got, c.want)
		}
	}
}

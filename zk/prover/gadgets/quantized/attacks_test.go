// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/gadgets/integer"
)

// one is a maximum of 2^k, whose exponent's lowest three bits are 6.
var one = Magnitude{Exponent: 127, Significand: 128}

// forged is a code of q8_0 with a free hand: the honest assignment, then what the attack changes.
func forged(
	t *testing.T, pattern uint16, top Magnitude, code int, change func(c *codeCircuit),
) *codeCircuit {
	t.Helper()
	c := newCodeCircuit(FormatQ8_0)
	_ = c.set(pattern, top, code+128)
	change(c)
	return c
}

// distance assigns K, as a sum over its bits times the sign.
func (c *codeCircuit) distance(k, sign int) {
	for i := range c.Code.Distance {
		c.Code.Distance[i] = sign * (k >> i & 1)
	}
}

// rest assigns a number as the last part, where all others are 0.
func (c *codeCircuit) rest(number fr.Element) {
	for i := range c.Code.Rest {
		c.Code.Rest[i] = 0
	}
	c.Code.Rest[len(c.Code.Rest)-1] = number
}

// What a prover could show of a code if one rule were missing. Each witness satisfies all other
// rules: it is what the weakened circuit would take.
func TestFalseCodes(t *testing.T) {
	system := compileOf(t, newCodeCircuit(FormatQ8_0))
	half := uint16(126 << 7)
	for name, c := range map[string]*codeCircuit{
		"code 100 for half the maximum, by a rest": forged(t, half, one, 100, func(c *codeCircuit) {
			c.distance(27*256, 1)
			c.rest(quotient(16256-27*256, 1)) // Y = 32512 - 16256
		}),
		"code 100 by a choice of no part": forged(t, half, one, 100, func(c *codeCircuit) {
			c.distance(27*256, 1)
			c.Code.Rest[0] = 16256 - 27*256
		}),
		"code 63, below a tie, by bits of 2 and 0 for 0 and 1": forged(t, half|1, one, 63,
			func(c *codeCircuit) { // y = 64.496 * 256 and K = 62.504 * 256: bit 7 is 1, bit 8 is 0
				_ = c.set(half|1, one, 64+128)
				c.Biased = 63 + 128
				c.Code.Distance[7] = 3
				c.Code.Distance[8] = -1
			}),
		// Between near and far: the last constraint is linear in the choice between the two.
		"code 100, half near": forged(t, half, one, 100, func(c *codeCircuit) {
			c.distance(27*256, 1)
			c.rest(quotient(0, 1))
			// N*y - Y0 + K = (1 - N)*(d - 137 + 2^40*100), with d = 1
			far := int64(1 - 137 + 100<<40)
			c.Code.Near = quotient(far+32512-27*256, far+16256)
		}),
		"code 0 for half the maximum as a far weight": forged(t, half, one, 0,
			func(c *codeCircuit) {
				c.distance(32512-128+1-9, 1)
				c.Code.Near = 0
			}),
		"code 0 for the weight before the far ones": forged(t, 119<<7|127, one, 0,
			func(c *codeCircuit) {
				c.distance(32512-128-1, 1)
				c.Code.Near = 0
			}),
		"code 5 for a far weight": forged(t, 100<<7, one, 5, func(c *codeCircuit) {
			c.distance(122*256, 1)
		}),
		"code -1 for a far weight": forged(t, 100<<7, one, -1, func(c *codeCircuit) {
			c.distance(128*256-128+(27-9)-128+128, 1)
		}),
		// 2^8 of the maximum is half of it with exponent bits of 2, 0, .. for 0, 1, ..
		"another power of two, by a bit of 2": forged(t, half, one, 48, func(c *codeCircuit) {
			// the exponent 125 has the bits 1, 0, 1; 125 = 3 + 2 + 8*15
			c.Bits[mantissaBits], c.Bits[mantissaBits+1], c.Bits[mantissaBits+2] = 3, 1, 0
			c.distance(32512-16256/2, 1) // (1 + 3)*4 for 32
			c.Biased = 128 + 64 - 32
		}),
		"a hidden bit of 3": forged(t, half, one, 32+16, func(c *codeCircuit) {
			// three times 128 at a quarter of the power: 3/8 of the maximum
			integer.SetBits(c.Bits[:], (126-3)<<mantissaBits)
			c.Code.Normal = 3
			c.distance(32512-16256*3/4, 1)
			c.Biased = 128 + 48
		}),
		"a mantissa of 192": forged(t, half|64, one, 100, func(c *codeCircuit) {
			// 128 + 192 at half the power: 5/8 of the maximum for 3/4
			integer.SetBits(c.Bits[:], (126-2)<<mantissaBits)
			c.Bits[mantissaBits-1] = 3
			c.distance(32512-16256*5/4, 1)
			c.rest(quotient(0, 1))
			c.Biased = 128 + 79
		}),
		// A weight just above the maximum, clipped. Bit 14 of -1/64 makes K = -254.
		"code 127 for a weight above the maximum": forged(t, 127<<7|1, one, 127,
			func(c *codeCircuit) {
				c.distance(2, 1) // K = 2 - 256 = -254 = Y
				c.Code.Distance[14] = quotient(-1, 64)
				c.rest(quotient(0, 1))
				c.Biased = 128 + 128
			}),
	} {
		if solves(t, system, c) {
			t.Errorf("%s was shown", name)
		}
	}
}

// A sign of 2 would make the pattern one of 17 bits, and the code three times as large. Then
// -3*K + R - 2 = -3*Y, which has a solution for Y - K = 1/2.
func TestSignOfTwo(t *testing.T) {
	system := compileOf(t, newCodeCircuit(FormatQ8_0))
	c := newCodeCircuit(FormatQ8_0)
	pattern := uint16(119<<7 | 64) // y = 190.5, Y = 32321.5
	if err := c.set(pattern, one, 128+1); err != nil || !solves(t, system, c) {
		t.Fatal(err)
	}
	c.Bits[PatternBits-1], c.Pattern, c.Biased = 2, int(pattern)+2*signBit, 128-3
	c.Code.Near = -3
	c.distance(32321, -3)
	for i := range c.Code.Rest {
		c.Code.Rest[i] = 0
	}
	c.Code.Rest[0] = quotient(1, 2)
	if solves(t, system, c) {
		t.Error("a sign of 2 was shown")
	}
}

// A false hidden bit would carry a pattern beyond its 16 bits. Near the maximum it makes a weight
// too large, far from it a weight's field.
func TestFalseHiddenBits(t *testing.T) {
	system := compileOf(t, newCodeCircuit(FormatQ8_0))
	for _, e := range []int{126, 119, 100, 1} {
		for near := range 2 {
			c := newCodeCircuit(FormatQ8_0)
			_ = c.set(uint16(e<<7), one, 128)
			integer.SetBits(c.Bits[:], e<<7)
			c.Code.Normal, c.Code.Near = e<<20, near
			c.Pattern = (e + e<<20) << 7
			for _, k := range []int{32512, 0, 1<<15 - 1, 32512 - 128} {
				c.distance(k, 1)
				c.rest(fr.Element{})
				c.Biased = 128 + 127 - (k+128)/256
				if solves(t, system, c) {
					t.Errorf("exponent %d, near %d: a hidden bit of %d was shown", e, near, e<<20)
				}
			}
		}
	}
}

// A weight whose exponent is far from the maximum's is not near: neither one above it nor one with
// another difference of upper bits.
func TestFarIsNotNear(t *testing.T) {
	system := compileOf(t, newCodeCircuit(FormatQ8_0))
	for field := 1; field < 255; field++ {
		d := one.Exponent - field
		if 0 <= d && d <= 8 {
			continue
		}
		c := newCodeCircuit(FormatQ8_0)
		for _, k := range []int{32512, 32511, 0, 16256, 1<<15 - 1} {
			_ = c.set(uint16(field<<7), one, 128)
			c.Code.Near = 1
			c.distance(k, 1)
			c.rest(fr.Element{})
			c.Biased = 128 + 127 - (k+128)/256
			if solves(t, system, c) {
				t.Fatalf("field %d, K = %d: shown as near", field, k)
			}
		}
	}
}

// Only int8 takes maxima that are no weight's: 127.4 rounds to 127, and is above the maximum.
func TestClippedWeights(t *testing.T) {
	system := compileOf(t, newCodeCircuit(FormatInt8))
	top := Magnitude{130, 1030}
	c := newCodeCircuit(FormatInt8)
	if err := c.set(130<<7|1, top, 255); err != ErrExceeds || solves(t, system, c) {
		t.Errorf("a weight above the maximum has a code: %v", err)
	}
	c = newCodeCircuit(FormatInt8)
	if err := c.set(130<<7, top, 128+126); err != nil || !solves(t, system, c) {
		t.Errorf("the weight below it has none: %v", err)
	}
}

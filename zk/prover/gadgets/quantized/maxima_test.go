// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"testing"

	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/rankone"
)

// scaled assigns a scale by shift and exponent, so that its rounding comes out right.
func scaled(t *testing.T, pattern uint16, j, exponent int) *scaleCircuit {
	t.Helper()
	c, _, _ := newScaleCircuit(pattern, 0)
	top, _ := c.Maximum.Set(&[32]uint16{pattern})
	for i := range c.Scale.Shift {
		c.Scale.Shift[i] = integer.OneIf(j == i+1)
	}
	unit := 127 << j
	doubled := 2048*top.Significand + unit
	c.round(top, j, exponent, (doubled-1)/(2*unit))
	beyond := exponent + scaleExponent - top.Exponent - j
	setChoice(c.Scale.Beyond[:], beyond, beyondRange)
	return c
}

// round assigns significand and exponent with the distances that they have.
func (c *scaleCircuit) round(top Magnitude, j, exponent, significand int) {
	integer.SetBits(c.Scale.Significand[:], significand)
	c.Scale.Exponent = exponent
	setChoice(c.Scale.Finite[:], exponent, largestScale)
	doubled := 2048*top.Significand + 127<<j - 254<<j*significand
	setChoice(c.Scale.Distance[:], doubled<<(scaleShifts-j)-1, scaleDistance)
	word := 1024*exponent + significand
	c.Low, c.High = word&255, word>>8
}

// only makes the last of the flags the whole number; its part is 1.
func only(flags []frontend.Variable, number int64) {
	for i := range flags {
		flags[i] = 0
	}
	flags[len(flags)-1] = quotient(number, 1)
}

// What a prover could show of a scale if one rule were missing.
func TestScalesOfMissingRules(t *testing.T) {
	system := compileOf(t, &scaleCircuit{})
	for name, attack := range map[string]func() *scaleCircuit{
		// All weights of the block would be infinite, or NaN.
		"infinity for 2^23": func() *scaleCircuit { return scaled(t, 150<<7, 0, 30) },
		"NaN for 2^24":      func() *scaleCircuit { return scaled(t, 151<<7, 0, 31) },
		"infinity by a flag of 30": func() *scaleCircuit {
			c := scaled(t, 150<<7, 0, 30)
			only(c.Scale.Finite[:], 30)
			return c
		},
		// All weights of the block would be 32 times too large.
		"32 times the scale": func() *scaleCircuit { return scaled(t, 125<<7, 0, 10) },
		"half the scale": func() *scaleCircuit {
			c := scaled(t, 125<<7, 0, 4)
			setChoice(c.Scale.Beyond[:], 0, beyondRange)
			return c
		},
		"a scale of 0 for 1/4, by what lies beyond": func() *scaleCircuit {
			c := scaled(t, 125<<7, 13, 0)
			only(c.Scale.Beyond[:], -18)
			return c
		},
		"a scale of 0 for 1/4, by nothing beyond": func() *scaleCircuit {
			c := scaled(t, 125<<7, 13, 0)
			only(c.Scale.Beyond[:], 0)
			return c
		},
		"a subnormal scale twice too large": func() *scaleCircuit {
			return scaled(t, 110<<7|5, 9, 0)
		},
		"a normal scale with the shift of a subnormal one": func() *scaleCircuit {
			return scaled(t, 125<<7, 1, 6)
		},
		// 254/127 is 2, whose pattern has a carry.
		"the scale of 254 without its carry": func() *scaleCircuit {
			return scaled(t, 120<<7|127, 0, 0)
		},
		"the scale of 254 with exponent 1 and no carry": func() *scaleCircuit {
			return scaled(t, 121<<7|127, 0, 1)
		},
		"the lower neighbour": func() *scaleCircuit { return beside(t, -1, 0) },
		// 1024*135/127 is 1088.504
		"the lower neighbour, nearly half way": func() *scaleCircuit {
			c := scaled(t, 125<<7|7, 0, 5)
			c.round(Magnitude{125, 135}, 0, 5, 1088)
			return c
		},
		"the lower neighbour, by its last part": func() *scaleCircuit {
			return beside(t, -1, scaleDistance)
		},
		"the upper neighbour": func() *scaleCircuit { return beside(t, 1, 0) },
		"the upper neighbour, by its last part": func() *scaleCircuit {
			return beside(t, 1, scaleDistance)
		},
		"a scale of 1/127 for a block of zeros, by a flag of 127": func() *scaleCircuit {
			c := scaled(t, 128<<7, 0, 8)
			for i := range c.Bits {
				integer.SetBits(c.Bits[i][:], 0)
				c.Normal[i] = 0
			}
			// the field is the exponent plus 1 - Zero
			integer.SetBits(c.Maximum.Exponent[:], 127)
			c.Maximum.Zero = 128
			return c
		},
		"a maximum of 1 for a block of zeros": func() *scaleCircuit {
			c := scaled(t, 127<<7, 0, 7)
			for i := range c.Bits {
				integer.SetBits(c.Bits[i][:], 0)
				c.Normal[i] = 0
			}
			return c
		},
		"a subnormal maximum": func() *scaleCircuit {
			c, _, _ := newScaleCircuit(5, 3)
			copy(c.Scale.Shift[:], scaled(t, 1<<7|5, 13, 0).Scale.Shift[:])
			setChoice(c.Scale.Beyond[:], scaleExponent-scaleShifts-1, beyondRange)
			c.Maximum.Zero = 1
			c.round(Magnitude{1, 133}, scaleShifts, 0, 0)
			return c
		},
	} {
		if solves(t, system, attack()) {
			t.Errorf("%s was shown", name)
		}
	}
	if !solves(t, system, scaled(t, 125<<7, 0, 5)) {
		t.Error("the true scale has no witness")
	}
}

// beside is a scale whose significand is one off, with the distance as its last part if that is not
// 0.
func beside(t *testing.T, step, last int) *scaleCircuit {
	t.Helper()
	c, scale, _ := newScaleCircuit(125<<7|9, 0)
	top, _ := c.Maximum.Set(&[32]uint16{125<<7 | 9})
	c.round(top, 0, 5, int(scale)-5*1024+step)
	if last != 0 {
		doubled := 2048*top.Significand + 127 - 254*(int(scale)-5*1024+step)
		only(c.Scale.Distance[:], int64(doubled<<scaleShifts-1))
	}
	return c
}

// maximumCircuit is a row's maximum as a file says it.
type maximumCircuit struct {
	Bytes       [4]frontend.Variable `gnark:",public"`
	Exponent    frontend.Variable    `gnark:",public"`
	Significand frontend.Variable    `gnark:",public"`
	Magnitude   frontend.Variable    `gnark:",public"` // of the only weight
	Maximum     Float32
}

func (c *maximumCircuit) Define(api frontend.API) error {
	top, bytes := c.Maximum.Constrain(rankone.New(api), []*Value{{Magnitude: c.Magnitude}})
	for i := range bytes {
		api.AssertIsEqual(bytes[i], c.Bytes[i])
	}
	api.AssertIsEqual(top.Exponent, c.Exponent)
	api.AssertIsEqual(top.Significand, c.Significand)
	return nil
}

func newMaximumCircuit(pattern uint32, magnitude int) *maximumCircuit {
	c := &maximumCircuit{Magnitude: magnitude}
	top, _ := c.Maximum.Set(pattern)
	c.Exponent, c.Significand = top.Exponent, top.Significand
	for i := range c.Bytes {
		c.Bytes[i] = pattern >> (8 * i) & 255
	}
	return c
}

// What a prover could show of a row's maximum if one rule were missing.
func TestFalseMaximaOfRows(t *testing.T) {
	system := compileOf(t, &maximumCircuit{})
	for name, c := range map[string]*maximumCircuit{
		"1":     newMaximumCircuit(127<<23|5<<13, 127<<7),
		"2^-9":  newMaximumCircuit(118<<23, 0),
		"65504": newMaximumCircuit(142<<23|1023<<13, 3),
		"0":     newMaximumCircuit(0, 0),
	} {
		if !solves(t, system, c) {
			t.Errorf("%s has no witness", name)
		}
	}
	flagged := newMaximumCircuit(127<<23, 0)
	flagged.Maximum.Zero = 1
	flagged.Bytes[2] = 0
	setChoice(flagged.Maximum.Above[:], 126, exponentRange)
	third := newMaximumCircuit(0, 0) // a field of 2/117 by a flag of 1 + 1/117
	third.Maximum.Zero = quotient(118, 117)
	setChoice(third.Maximum.Above[:], 1, exponentRange)
	third.Bytes[2] = quotient(-128, 117)
	whole := newMaximumCircuit(127<<23, 0)
	whole.Maximum.Mantissa[9] = 2 // a byte of 256
	whole.Bytes[2], whole.Significand = 256, 1024+1024
	field := newMaximumCircuit(127<<23, 0)
	field.Maximum.Exponent[1], field.Maximum.Exponent[2] = 3, 0
	for name, c := range map[string]*maximumCircuit{
		"0 for a block of values":       newMaximumCircuit(0, 5),
		"2^-10":                         newMaximumCircuit(117<<23, 0),
		"65536":                         newMaximumCircuit(143<<23, 0),
		"infinity":                      newMaximumCircuit(255<<23, 0),
		"a maximum with the zero flag":  flagged,
		"a zero by a flag of 118/117":   third,
		"a mantissa with a bit of two":  whole,
		"an exponent with a bit of two": field,
	} {
		if solves(t, system, c) {
			t.Errorf("%s was shown", name)
		}
	}
}

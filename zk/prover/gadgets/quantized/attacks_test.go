// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
)

// quotient is a/b in the field.
func quotient(a, b int64) fr.Element {
	var x, y fr.Element
	x.SetInt64(a)
	y.SetInt64(b)
	return *x.Div(&x, &y)
}

// negative is -n in the field.
func negative(n int64) fr.Element { return quotient(-n, 1) }

// place is a weight beside a maximum, with the size of its code, all as a dishonest prover wants to
// see them: shift may be any flags, power what they make of 2^d.
type place struct {
	weight Magnitude // significand and exponent as claimed
	top    Magnitude
	size   int
	power  int
}

// claim assigns a code so that all comparisons come out right for the claimed place.
func (p *place) claim(f Format, pattern uint16) *codeCircuit {
	c := &codeCircuit{Biased: p.size + 128, Exponent: p.top.Exponent,
		Significand: p.top.Significand, Code: f.NewCode(), format: f}
	integer.SetBits(c.Bits[:], int(pattern))
	c.Code.Normal = integer.OneIf(pattern&0x7f80 != 0)
	for i := range c.Code.Shift {
		c.Code.Shift[i] = 0
	}
	integer.SetBits(c.Code.Size[:], p.size)
	unit, share := p.top.Significand*p.power, f.Factor*p.weight.Significand
	below := (2*p.size+1)*unit - share
	above := 2*unit - below
	if f.Strict && p.size == 127 {
		below -= unit
	}
	integer.SetBits(c.Code.Below, below)
	integer.SetBits(c.Code.Above, above)
	return c
}

// What a prover could show of a code if one rule were missing. Each witness satisfies all other
// rules: it is what the weakened circuit would take.
func TestFalseCodes(t *testing.T) {
	f := FormatQ8_0
	top := Magnitude{Exponent: 130, Significand: 128}
	for name, attack := range map[string]func() *codeCircuit{
		// The hidden bit left out makes half the maximum a 0: any weight 2^k could be hidden.
		"code 0 for half the maximum": func() *codeCircuit {
			p := place{weight: Magnitude{130, 0}, top: top, power: 1}
			c := p.claim(f, 129<<7)
			c.Code.Normal = 0
			return c
		},
		// A hidden bit for a zero makes it the next power of two below the smallest number.
		"code 64 for a zero below the smallest normal maximum": func() *codeCircuit {
			p := place{weight: Magnitude{0, 128}, top: Magnitude{1, 128}, size: 64, power: 2}
			c := p.claim(f, 0)
			c.Code.Normal, c.Code.Shift[0] = 1, 1
			return c
		},
		"code 3 for a zero by a hidden bit of 7": func() *codeCircuit {
			p := place{weight: Magnitude{-6, 7 * 128}, top: Magnitude{2, 128}, size: 3, power: 256}
			c := p.claim(f, 0)
			c.Code.Normal, c.Code.Shift[7] = 7, 1
			return c
		},
		// Two flags of the difference: 1 + 2 = 3, but 2^3 became 2 + 4 - 1 = 5.
		"code 25 for an eighth of the maximum by two flags": func() *codeCircuit {
			p := place{weight: Magnitude{127, 128}, top: top, size: 25, power: 5}
			c := p.claim(f, 127<<7)
			c.Code.Shift[0], c.Code.Shift[1] = 1, 1
			return c
		},
		// Flags of -2 and 3 sum to 1; the difference is -2 + 2*3 = 4, and 2^4 became -4 + 12 = 8.
		"code 16 for a sixteenth of the maximum by flags of -2 and 3": func() *codeCircuit {
			p := place{weight: Magnitude{126, 128}, top: top, size: 16, power: 8}
			c := p.claim(f, 126<<7)
			c.Code.Shift[0], c.Code.Shift[1] = negative(2), 3
			return c
		},
		// A size that is no integer is no byte; it could be anything in a word of the file.
		"a code that is no integer": func() *codeCircuit {
			p := place{weight: Magnitude{130, 128}, top: top, size: 127, power: 1}
			c := p.claim(f, 130<<7)
			size := quotient(253*128+129, 2*128)
			c.Code.Size = [CodeBits]frontend.Variable{size, 0, 0, 0, 0, 0, 0}
			biased := fr.NewElement(128)
			c.Biased = *biased.Add(&biased, &size)
			integer.SetBits(c.Code.Below, 129)
			integer.SetBits(c.Code.Above, 127)
			return c
		},
		// Beyond the far flag nothing but its 0 is compared.
		"code 5 for a weight far below the maximum": func() *codeCircuit {
			p := place{weight: Magnitude{100, 128}, top: top, size: 5, power: 512}
			c := p.claim(f, 100<<7)
			c.Code.Shift[farShift-1] = 1
			integer.SetBits(c.Code.Above, 30-farShift)
			return c
		},
		"code 0 for half the maximum by the far flag": func() *codeCircuit {
			p := place{weight: Magnitude{129, 128}, top: top, power: 512}
			c := p.claim(f, 129<<7)
			c.Code.Shift[farShift-1] = 1
			integer.SetBits(c.Code.Above, 1-farShift)
			return c
		},
		"code 64 for the maximum by another difference of exponents": func() *codeCircuit {
			p := place{weight: Magnitude{130, 128}, top: top, size: 64, power: 2}
			c := p.claim(f, 130<<7)
			c.Code.Shift[0] = 1
			return c
		},
	} {
		system := compileOf(t, &codeCircuit{Code: f.NewCode(), format: f})
		if solves(t, system, attack()) {
			t.Errorf("%s was shown", name)
		}
	}
}

// The largest code of a row whose maximum is smaller than the weight: the file would be a clipped
// one. Only int8 takes maxima that are no weight's.
func TestClippedWeights(t *testing.T) {
	f := FormatInt8
	system := compileOf(t, &codeCircuit{Code: f.NewCode(), format: f})
	// 127.4 rounds to 127, and is above the maximum
	p := place{weight: Magnitude{130, 129}, top: Magnitude{130, 1030}, size: 127, power: 1}
	for _, below := range []int{255*1030 - 2032*129, 254*1030 - 2032*129} {
		c := p.claim(f, 130<<7|1)
		integer.SetBits(c.Code.Below, below)
		if solves(t, system, c) {
			t.Errorf("a weight above the maximum has a code, by %d", below)
		}
	}
	p = place{weight: Magnitude{130, 128}, top: Magnitude{130, 1030}, size: 126, power: 1}
	if !solves(t, system, p.claim(f, 130<<7)) {
		t.Error("the weight below it has none")
	}
}

// scaled assigns a scale by shift, exponent and claimed bits of what lies beyond, so that its
// rounding comes out right.
func scaled(t *testing.T, pattern uint16, j, exponent int) *scaleCircuit {
	t.Helper()
	c, _, _ := newScaleCircuit(pattern, 0)
	top, _ := c.Maximum.Set(&[32]uint16{pattern})
	for i := range c.Scale.Shift {
		c.Scale.Shift[i] = integer.OneIf(j == i+1)
	}
	unit := 127 << j
	doubled := 2048*top.Significand + unit
	significand := (doubled - 1) / (2 * unit)
	doubled -= 2 * unit * significand
	integer.SetBits(c.Scale.Significand[:], significand)
	integer.SetBits(c.Scale.Exponent[:], exponent)
	beyond := exponent + scaleExponent - top.Exponent - j
	integer.SetBits(c.Scale.Beyond[:], beyond)
	integer.SetBits(c.Scale.Below[:], doubled-1)
	integer.SetBits(c.Scale.Above[:], 2*unit-doubled)
	word := 1024*exponent + significand
	c.Low, c.High = word&255, word>>8
	return c
}

// What a prover could show of a scale if one rule were missing.
func TestScalesOfMissingRules(t *testing.T) {
	system := compileOf(t, &scaleCircuit{})
	for name, attack := range map[string]func() *scaleCircuit{
		// All weights of the block would be infinite, or NaN.
		"infinity for 2^23": func() *scaleCircuit { return scaled(t, 150<<7, 0, 30) },
		"NaN for 2^24":      func() *scaleCircuit { return scaled(t, 151<<7, 0, 31) },
		// All weights of the block would be 32 times too large.
		"32 times the scale": func() *scaleCircuit { return scaled(t, 125<<7, 0, 10) },
		"half the scale": func() *scaleCircuit {
			c := scaled(t, 125<<7, 0, 4)
			integer.SetBits(c.Scale.Beyond[:], 0)
			return c
		},
		"a scale of 0 for 1/4, by what lies beyond": func() *scaleCircuit {
			c := scaled(t, 125<<7, 13, 0)
			c.Scale.Beyond = [7]frontend.Variable{negative(18), 0, 0, 0, 0, 0, 0}
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
		"the lower neighbour, below a tie": func() *scaleCircuit {
			c, scale, _ := newScaleCircuit(125<<7|9, 0)
			top, _ := c.Maximum.Set(&[32]uint16{125<<7 | 9})
			significand := int(scale&1023) + 1024*int(scale>>10) - 1024*5 - 1
			doubled := 2048*top.Significand + 127 - 254*significand
			integer.SetBits(c.Scale.Significand[:], significand)
			integer.SetBits(c.Scale.Below[:], doubled-1)
			integer.SetBits(c.Scale.Above[:], 254-doubled)
			c.Low, c.High = (scale-1)&255, (scale-1)>>8
			return c
		},
		"a scale of 1/127 for a block of zeros, by a flag of 127": func() *scaleCircuit {
			c := scaled(t, 127<<7, 0, 7)
			for i := range c.Bits {
				integer.SetBits(c.Bits[i][:], 0)
				c.Normal[i] = 0
			}
			c.Maximum.Exponent = [exponentBits]frontend.Variable{0, 0, 0, 0, 0, 0, 0, 0}
			c.Maximum.Zero = 127
			return c
		},
		"a subnormal maximum": func() *scaleCircuit {
			c, _, _ := newScaleCircuit(5, 3)
			// its exponent would be 0, and its significand one with a hidden bit
			for i, flag := range scaled(t, 1<<7|5, 13, 0).Scale.Shift {
				c.Scale.Shift[i] = flag
			}
			integer.SetBits(c.Scale.Beyond[:], scaleExponent-scaleShifts)
			doubled := 2048*133 + 127<<13
			integer.SetBits(c.Scale.Significand[:], 0)
			integer.SetBits(c.Scale.Below[:], doubled-1)
			integer.SetBits(c.Scale.Above[:], 254<<13-doubled)
			c.Low, c.High = 0, 0
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

// maximumCircuit is a row's maximum as a file says it.
type maximumCircuit struct {
	Bytes       [4]frontend.Variable `gnark:",public"`
	Exponent    frontend.Variable    `gnark:",public"`
	Significand frontend.Variable    `gnark:",public"`
	Magnitude   frontend.Variable    `gnark:",public"` // of the only weight
	Maximum     Float32
}

func (c *maximumCircuit) Define(api frontend.API) error {
	top, bytes := c.Maximum.Constrain(api, []*Value{{Magnitude: c.Magnitude}})
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
	flagged := func(zero any, magnitude int) *maximumCircuit {
		c := newMaximumCircuit(127<<23, magnitude)
		c.Maximum.Zero = zero
		return c
	}
	raised := flagged(1, 0) // by the flag the exponent counts one more
	raised.Exponent = 128
	integer.SetBits(raised.Maximum.Below[:], 127)
	integer.SetBits(raised.Maximum.Above[:], 24-127)
	third := newMaximumCircuit(0, 0)
	third.Maximum.Zero, third.Exponent = quotient(119, 118), quotient(119, 118)
	integer.SetBits(third.Maximum.Below[:], 1)
	integer.SetBits(third.Maximum.Above[:], 23)
	whole := newMaximumCircuit(127<<23, 0)
	whole.Maximum.Mantissa[9] = 2 // a byte of 256
	whole.Bytes[2], whole.Significand = 256, 1024+1024
	field := newMaximumCircuit(127<<23, 0)
	field.Maximum.Exponent[0], field.Maximum.Exponent[1] = 3, 0
	field.Bytes[2], field.Bytes[3] = 3*128, 62
	for name, c := range map[string]*maximumCircuit{
		"0 for a block of values":       newMaximumCircuit(0, 5),
		"2^-10":                         newMaximumCircuit(117<<23, 0),
		"65536":                         newMaximumCircuit(143<<23, 0),
		"infinity":                      newMaximumCircuit(255<<23, 0),
		"a maximum with the zero flag":  raised,
		"a zero by a flag of 119/118":   third,
		"a mantissa with a bit of two":  whole,
		"an exponent with a bit of two": field,
	} {
		if solves(t, system, c) {
			t.Errorf("%s was shown", name)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"math"
	"math/big"
	"sort"
	"testing"

	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/rankone"
)

// exact is a finite bfloat16's absolute value in units of 2^-133, the smallest subnormal.
func exact(pattern uint16) *big.Int {
	field, mantissa := pattern>>7&255, int64(pattern&127)
	if field == 0 {
		return big.NewInt(mantissa)
	}
	return new(big.Int).Lsh(big.NewInt(128+mantissa), uint(field-1))
}

// halfFloats are all finite float16 without sign, by pattern, in units of 2^-24.
var halfFloats = func() (all [0x7c00]int64) {
	for p := range all {
		if field, mantissa := p>>10, int64(p&1023); field == 0 {
			all[p] = mantissa
		} else {
			all[p] = (1024 + mantissa) << (field - 1)
		}
	}
	return all
}()

// nearestHalf is the pattern nearest (even on ties) to a/127 for a in units of 2^-133; false at or
// beyond 65520.
func nearestHalf(a, divisor *big.Int) (uint16, bool) {
	unit := new(big.Int).Lsh(divisor, 133-24) // compare value*unit with a
	scaled := func(value int64) *big.Int { return new(big.Int).Mul(big.NewInt(value), unit) }
	twice := new(big.Int).Lsh(a, 1)
	if scaled(2*65520<<24).Cmp(twice) <= 0 {
		return 0, false
	}
	above := sort.Search(len(halfFloats), func(p int) bool {
		return scaled(halfFloats[p]).Cmp(a) > 0
	})
	below := above - 1
	if above == len(halfFloats) {
		return uint16(below), true
	}
	switch twice.Cmp(scaled(halfFloats[below] + halfFloats[above])) {
	case -1:
		return uint16(below), true
	case 1:
		return uint16(above), true
	}
	return uint16(below + below%2), true
}

// Every bfloat16 maximum has the scale that the exact quotient has, and the one that a float32
// division gives first.
func TestScales(t *testing.T) {
	for pattern := 0x80; pattern < 0x7f80; pattern++ {
		top, _ := decode(uint16(pattern))
		var s Scale
		got, err := s.Set(top)
		want, finite := nearestHalf(exact(uint16(pattern)), big.NewInt(127))
		if (err == nil) != finite || (finite && got != want) {
			t.Fatalf("maximum %#04x: scale %#04x (%v), want %#04x (finite %v)", pattern, got,
				err, want, finite)
		}
		divided := math.Float32frombits(uint32(pattern)<<16) / 127
		units := new(big.Int)
		new(big.Float).SetMantExp(big.NewFloat(float64(divided)), 200).Int(units)
		rounded, finite := nearestHalf(units, new(big.Int).Lsh(big.NewInt(1), 200-133))
		if (err == nil) != finite || (finite && got != rounded) {
			t.Fatalf("maximum %#04x: scale %#04x, by float32 %#04x", pattern, got, rounded)
		}
	}
}

// scaleCircuit is a block's maximum and its scale.
type scaleCircuit struct {
	Low, High frontend.Variable `gnark:",public"`
	Bits      [2][PatternBits]frontend.Variable
	Normal    [2]frontend.Variable
	Maximum   Maximum
	Scale     Scale
}

func (c *scaleCircuit) Define(api frontend.API) error {
	rows := rankone.New(api)
	var values []*Value
	for i := range c.Bits {
		values = append(values, Decode(rows, &c.Bits[i], c.Normal[i]))
	}
	top := c.Maximum.Constrain(rows, values)
	low, high := c.Scale.Constrain(rows, &c.Maximum, top)
	api.AssertIsEqual(low, c.Low)
	api.AssertIsEqual(high, c.High)
	return nil
}

func newScaleCircuit(pattern, other uint16) (*scaleCircuit, uint16, error) {
	c := &scaleCircuit{}
	for i, p := range []uint16{pattern, other} {
		integer.SetBits(c.Bits[i][:], Lowered(p))
		c.Normal[i] = integer.OneIf(p&0x7f80 != 0)
	}
	top, err := c.Maximum.Set(&[32]uint16{pattern, other})
	scale, scaleErr := c.Scale.Set(top)
	if err == nil {
		err = scaleErr
	}
	c.Low, c.High = scale&255, scale>>8
	return c, scale, err
}

// The circuit takes the scale of every class of maxima (each exponent with the significands around
// each border), no neighbouring scale, and no maximum that is refused.
func TestScaleCircuit(t *testing.T) {
	system := compileOf(t, &scaleCircuit{})
	for field := range 256 {
		for _, mantissa := range []int{0, 1, 62, 77, 125, 126, 127} {
			c, scale, err := newScaleCircuit(uint16(field<<7|mantissa), uint16(mantissa))
			if got := solves(t, system, c); got != (err == nil) {
				t.Fatalf("exponent %d, mantissa %d: solved %v, %v", field, mantissa, got, err)
			}
			for _, wrong := range []uint16{scale + 1, scale - 1} {
				c.Low, c.High = wrong&255, wrong>>8
				integer.SetBits(c.Scale.Significand[:], int(wrong&1023|1024))
				if solves(t, system, c) {
					t.Fatalf("exponent %d, mantissa %d: scale %#04x instead of %#04x", field,
						mantissa, wrong, scale)
				}
			}
		}
	}
}

// Witnesses of a scale that fit its pattern but not its rounding.
func TestFalseScales(t *testing.T) {
	system := compileOf(t, &scaleCircuit{})
	for name, pattern := range map[string]uint16{"two or more": 120<<7 | 127, "below two": 125 << 7,
		"subnormal": 110<<7 | 5, "nothing": 0} {
		honest, _, err := newScaleCircuit(pattern, 0)
		if err != nil || !solves(t, system, honest) {
			t.Fatalf("%s: %v", name, err)
		}
		for j := range 15 {
			for g := range 4 {
				c := *honest
				for i := range c.Scale.Shift {
					c.Scale.Shift[i] = integer.OneIf(j == i+1)
				}
				top, _ := c.Maximum.Set(&[32]uint16{pattern})
				exponent := top.Exponent - scaleExponent + j - 1 + g
				c.Scale.Exponent = exponent
				setChoice(c.Scale.Finite[:], exponent, largestScale)
				unit := 127 << j
				significand := (2048*top.Significand + unit) / (2 * unit)
				integer.SetBits(c.Scale.Significand[:], significand)
				doubled := 2048*top.Significand + unit - 2*unit*significand
				setChoice(c.Scale.Distance[:], doubled<<max(0, scaleShifts-j)-1, scaleDistance)
				word := 1024*exponent + significand
				c.Low, c.High = word&255, word>>8
				if honestWord := elementOf(honest.Low) +
					256*elementOf(honest.High); word != honestWord && solves(t, system, &c) {
					t.Fatalf("%s: j = %d and exponent %d give %#04x instead of %#04x", name, j,
						exponent, word, honestWord)
				}
			}
		}
	}
}

func elementOf(v frontend.Variable) int {
	return int(v.(uint16))
}

// A maximum that is not the absolute value of any value has no witness. That values are not larger,
// their codes show.
func TestFalseMaxima(t *testing.T) {
	system := compileOf(t, &scaleCircuit{})
	for name, c := range map[string]struct{ pattern, other, claimed uint16 }{
		"larger than all values":  {125 << 7, 120 << 7, 125<<7 | 1},
		"between two values":      {125 << 7, 120 << 7, 122 << 7},
		"zero for a block of one": {1, 0, 0},
		"zero for a large block":  {125 << 7, 0, 0},
		"zero beside a zero":      {0, 125 << 7, 0},
	} {
		a, _, _ := newScaleCircuit(c.pattern, c.other)
		top, _ := a.Maximum.Set(&[32]uint16{c.claimed})
		scale, _ := a.Scale.Set(top)
		a.Low, a.High = scale&255, scale>>8
		if solves(t, system, a) {
			t.Errorf("%s was accepted", name)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"errors"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/gadgets/integer"
)

// Errors of witnesses. The witness is still assigned as far as possible, and the circuit refuses
// it.
var (
	ErrCode     = errors.New("the code is not a nearest one")
	ErrExceeds  = errors.New("the weight is larger than the maximum")
	ErrInfinite = errors.New("the block holds a NaN or an infinity")
	ErrTiny     = errors.New("the block's maximum is subnormal")
	ErrScale    = errors.New("the scale is not a finite float16")
	ErrMaximum  = errors.New("the row's maximum is neither 0 nor a float16 in [2^-9, 65504]")
)

// Beyond tells whether an error means that no proof is possible about a block, whatever its codes
// are, and not that its codes are wrong.
func Beyond(err error) bool {
	return errors.Is(err, ErrInfinite) || errors.Is(err, ErrTiny) || errors.Is(err, ErrScale) ||
		errors.Is(err, ErrMaximum)
}

// Magnitude is a [Top] in integers.
type Magnitude struct{ Exponent, Significand int }

// decode is the effective exponent and the significand of a pattern, and whether the hidden bit is
// 1.
func decode(pattern uint16) (m Magnitude, normal bool) {
	field := int(pattern) >> mantissaBits & (1<<exponentBits - 1)
	m = Magnitude{Exponent: field, Significand: int(pattern) & (hidden - 1)}
	if field == 0 {
		m.Exponent = 1
		return m, false
	}
	m.Significand += hidden
	return m, true
}

// comparison compares a weight with its code: what [Format.Constrain] calls K, and r times M.
type comparison struct {
	far            bool
	distance, rest int
	err            error
}

// compare compares a weight's absolute value with that of its code. The exponent of a far weight
// with the field 0 counts as that.
func (f Format) compare(weight, top Magnitude, size int) comparison {
	d := top.Exponent - weight.Exponent
	far := d >= farShift
	if far {
		if weight.Significand < hidden {
			d++
		}
		c := comparison{far: true, distance: largest*fraction - fraction/2 + d - farShift}
		if size != 0 {
			c.err = ErrCode
		}
		return c
	}
	// Y times M
	scaled := largest*fraction*top.Significand -
		f.Factor/2*weight.Significand<<(fractionBits-max(d, 0))
	if d < 0 || scaled < 0 {
		return comparison{err: ErrExceeds}
	}
	c := comparison{distance: scaled / top.Significand, rest: scaled % top.Significand}
	codeOf := func(distance int) int { return largest - (distance+fraction/2)/fraction }
	if c.rest == 0 && c.distance > 0 && codeOf(c.distance-1) == size {
		return comparison{distance: c.distance - 1, rest: top.Significand}
	}
	if codeOf(c.distance) != size {
		c.err = ErrCode
	}
	return c
}

// Set assigns a weight's pattern and its biased code.
func (c *Code) Set(f Format, pattern uint16, top Magnitude, biased byte) error {
	weight, normal := decode(pattern)
	code := int(biased) - 128
	size := max(code, -code)
	compared := f.compare(weight, top, size)
	c.Normal = integer.OneIf(normal)
	sign, rest := 1, compared.rest
	if pattern >= signBit {
		sign, rest = -1, top.Significand-rest
	}
	c.Near = sign * integer.OneIf(!compared.far)
	for i := range c.Distance {
		c.Distance[i] = sign * (compared.distance >> i & 1)
	}
	for i := range c.Rest {
		c.Rest[i] = 0
	}
	parts := halves(top.Significand)
	for i, chosen := range choose(rest, top.Significand) {
		if chosen {
			c.Rest[i] = quotient(int64(parts[i]), int64(top.Significand))
		}
	}
	if compared.err == nil && size != 0 && (code < 0) != (sign < 0) {
		return ErrCode
	}
	return compared.err
}

// quotient is a/b in the field.
func quotient(a, b int64) fr.Element {
	var x, y fr.Element
	x.SetInt64(a)
	y.SetInt64(b)
	return *x.Div(&x, &y)
}

// Set assigns the maximum of a block.
func (m *Maximum) Set(patterns *[32]uint16) (Magnitude, error) {
	largest := uint16(0)
	for _, pattern := range patterns {
		largest = max(largest, pattern&0x7fff)
	}
	integer.SetBits(m.Mantissa[:], int(largest))
	integer.SetBits(m.Exponent[:], Lowered(largest)>>mantissaBits)
	m.Zero = integer.OneIf(largest == 0)
	top, _ := decode(largest)
	switch {
	case largest >= 0x7f80:
		return top, ErrInfinite
	case largest == 0:
		top.Significand = hidden
	case largest < hidden:
		return top, ErrTiny
	}
	return top, nil
}

// Set assigns the scale of a maximum and returns its pattern.
func (s *Scale) Set(top Magnitude) (uint16, error) {
	carry := integer.OneIf(top.Significand >= 254)
	j, g := carry, top.Exponent-scaleExponent+carry
	if g < 0 {
		j, g = scaleExponent-top.Exponent, 0
	}
	shift := min(j, scaleShifts)
	unit := 127 << shift
	doubled := 2048*top.Significand + unit
	significand := (doubled - 1) / (2 * unit) // nearest, the lower one at a tie
	doubled -= 2 * unit * significand
	integer.SetBits(s.Significand[:], significand)
	s.Exponent = g
	setChoice(s.Finite[:], g, largestScale)
	for i := range s.Shift {
		s.Shift[i] = integer.OneIf(shift == i+1)
	}
	setChoice(s.Beyond[:], j-shift, beyondRange)
	setChoice(s.Distance[:], doubled<<(scaleShifts-shift)-1, scaleDistance)
	if g > largestScale {
		return 0, ErrScale
	}
	return uint16(1024*g + significand), nil
}

// Set assigns a row's maximum from its float32 pattern.
func (f *Float32) Set(pattern uint32) (Magnitude, error) {
	field := int(pattern >> 23)
	mantissa := int(pattern>>13) & (1<<float16Bits - 1)
	above := field - smallestExponent
	top := Magnitude{Exponent: field, Significand: 1<<float16Bits + mantissa}
	if pattern == 0 {
		above, top.Exponent = 0, 1
	}
	integer.SetBits(f.Mantissa[:], mantissa)
	integer.SetBits(f.Exponent[:], top.Exponent-1)
	f.Zero = integer.OneIf(pattern == 0)
	setChoice(f.Above[:], above, exponentRange)
	if above < 0 || field > largestExponent || pattern&(1<<13-1) != 0 {
		return top, ErrMaximum
	}
	return top, nil
}

// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"errors"

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

// comparison compares a weight with its code: the numbers that [Format.Constrain] bounds, and the
// error if they are out of bounds.
type comparison struct {
	shift, below, above int
	err                 error
}

// compare compares a weight's absolute value with that of its code.
func (f Format) compare(weight, top Magnitude, size int) comparison {
	difference := top.Exponent - weight.Exponent
	c := comparison{shift: max(0, min(difference, farShift))}
	p, share := top.Significand<<c.shift, f.Factor*weight.Significand
	c.below = (2*size+1)*p - share
	c.above = 2*p - c.below
	if f.Strict && size == 127 {
		c.below -= p
	}
	far := c.shift == farShift
	if far {
		c.above = difference - farShift
	}
	switch {
	case difference < 0 || share > 254*p:
		c.err = ErrExceeds
	case c.below < 0 || c.above < 0 || size > 127 || (far && size != 0):
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
	for i := range c.Shift {
		c.Shift[i] = integer.OneIf(compared.shift == i+1)
	}
	integer.SetBits(c.Size[:], size)
	integer.SetBits(c.Below, compared.below)
	integer.SetBits(c.Above, compared.above)
	if compared.err == nil && size != 0 && (code < 0) != (pattern>>15 == 1) {
		return ErrCode
	}
	return compared.err
}

// Set assigns the maximum of a block.
func (m *Maximum) Set(patterns *[32]uint16) (Magnitude, error) {
	largest := uint16(0)
	for _, pattern := range patterns {
		largest = max(largest, pattern&0x7fff)
	}
	integer.SetBits(m.Mantissa[:], int(largest))
	integer.SetBits(m.Exponent[:], int(largest)>>mantissaBits)
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
	integer.SetBits(s.Exponent[:], g)
	for i := range s.Shift {
		s.Shift[i] = integer.OneIf(shift == i+1)
	}
	integer.SetBits(s.Beyond[:], j-shift)
	integer.SetBits(s.Below[:], doubled-1)
	integer.SetBits(s.Above[:], 2*unit-doubled)
	if g > 29 {
		return 0, ErrScale
	}
	return uint16(1024*g + significand), nil
}

// Set assigns a row's maximum from its float32 pattern.
func (f *Float32) Set(pattern uint32) (Magnitude, error) {
	field := int(pattern >> 23)
	mantissa := int(pattern>>13) & (1<<float16Bits - 1)
	integer.SetBits(f.Mantissa[:], mantissa)
	integer.SetBits(f.Exponent[:], field)
	f.Zero = integer.OneIf(pattern == 0)
	above := field - smallestExponent
	top := Magnitude{Exponent: field, Significand: 1<<float16Bits + mantissa}
	if pattern == 0 {
		above, top.Exponent = 0, 1
	}
	integer.SetBits(f.Below[:], above)
	integer.SetBits(f.Above[:], largestExponent-smallestExponent-above)
	if above < 0 || field > largestExponent || pattern&(1<<13-1) != 0 {
		return top, ErrMaximum
	}
	return top, nil
}

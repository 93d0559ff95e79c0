// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"math/big"
	"testing"

	"provenance/zkprover/gadgets/integer"
)

// All choices of a scale. Each is a root, too: a one-hot shift j, an exponent g in [0, 29], what is
// beyond in [0, 127] and a significand. For each maximum the nearest finite float16 is left alone.
func TestScaleRoots(t *testing.T) {
	for field := 1; field <= 256; field++ {
		for significand := hidden; significand < 2*hidden; significand++ {
			top := Magnitude{field, significand}
			found := map[int]bool{}
			for j := range scaleShifts + 1 {
				for g := range largestScale + 1 {
					if consistent(top, j, g) {
						addScales(found, top, j, g)
					}
				}
			}
			maximum := new(big.Int).Lsh(big.NewInt(int64(significand)), uint(field-1))
			want, finite := nearestHalf(maximum, big.NewInt(127))
			if len(found) != integer.OneIf(finite) || finite && !found[int(want)] {
				t.Fatalf("%v: %v, want %#04x (finite %v)", top, found, want, finite)
			}
		}
	}
}

// consistent is what the circuit says of shift and exponent.
func consistent(top Magnitude, j, g int) bool {
	carry := integer.OneIf(top.Significand >= 254)
	beyond := g + scaleExponent - top.Exponent - j
	return 0 <= beyond && beyond <= beyondRange && beyond*integer.OneIf(j != scaleShifts) == 0 &&
		g*(j-carry) == 0 && integer.OneIf(j == 0)*carry == 0
}

// addScales adds the patterns whose rounding the circuit takes.
func addScales(found map[int]bool, top Magnitude, j, g int) {
	for s := range 1 << 11 {
		distance := 2048*top.Significand<<(scaleShifts-j) + (127-254*s)<<scaleShifts - 1
		if 0 <= distance && distance <= scaleDistance {
			found[1024*g+s] = true
		}
	}
}

// Bits and flags of a scale and its maximum that are neither 0 nor 1, but fit all other rules.
func TestScaleChoicesThatAreNoRoots(t *testing.T) {
	system := compileOf(t, &scaleCircuit{})
	// The significand's low byte gets 256 more, the high one 1 less.
	bytes := scaled(t, 125<<7, 0, 5)
	bytes.Scale.Significand[0] = bytes.Scale.Significand[0].(int) + 256
	bytes.Scale.Significand[8] = bytes.Scale.Significand[8].(int) - 1
	bytes.Low, bytes.High = bytes.Low.(int)+256, bytes.High.(int)-1
	// 253 as 128 + 126 - 1 carries as 254 does.
	carry := scaled(t, 125<<7|125, 1, 6)
	for i := range carry.Maximum.Mantissa {
		carry.Maximum.Mantissa[i] = 1
	}
	carry.Maximum.Mantissa[0] = -1
	// The exponent 126 with the bits 3, 0 for 1, 1: another power of two for the codes.
	exponent := scaled(t, 127<<7, 0, 7)
	exponent.Maximum.Exponent[1], exponent.Maximum.Exponent[2] = 3, 0
	// Flags 1, -2, 1 shift by nothing, and make 9/8 of the maximum.
	flags := scaled(t, 125<<7, 0, 5)
	flags.Scale.Shift[0], flags.Scale.Shift[1], flags.Scale.Shift[2] = 1, -2, 1
	integer.SetBits(flags.Scale.Significand[:], 1161)
	doubled := 2048*128*(1<<scaleShifts+1024) + (127-254*1161)<<scaleShifts
	setChoice(flags.Scale.Distance[:], doubled-1, scaleDistance)
	flags.Low, flags.High = (5*1024+1161)&255, (5*1024+1161)>>8
	for name, c := range map[string]*scaleCircuit{
		"a byte of 256": bytes, "a false carry": carry, "a false power": exponent,
		"9/8 of the scale": flags,
	} {
		if solves(t, system, c) {
			t.Errorf("%s was shown", name)
		}
	}
}

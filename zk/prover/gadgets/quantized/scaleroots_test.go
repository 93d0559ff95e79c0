// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"math/big"
	"testing"

	"provenance/zkprover/gadgets/integer"
)

// All choices of a scale. Each is a root, too: a one-hot shift j, an exponent g in [0, 29], what is
// beyond in [0, 127] and a significand. For each maximum exactly the nearest finite float16 is left.
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

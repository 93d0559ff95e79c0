// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"maps"
	"slices"
	"testing"

	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/rankone"
)

// Sums of some halves are the integers from 0 to n, and no others.
func TestHalves(t *testing.T) {
	for n := 1; n < 600; n++ {
		parts, sums := halves(n), map[int]bool{0: true}
		for _, part := range parts {
			for _, sum := range slices.Collect(maps.Keys(sums)) {
				sums[sum+part] = true
			}
		}
		for number := range n + 1 {
			chosen := 0
			for i, take := range choose(number, n) {
				if take {
					chosen += parts[i]
				}
			}
			if !sums[number] || chosen != number {
				t.Fatalf("%d of %d: %d is chosen", number, n, chosen)
			}
		}
		if len(sums) != n+1 {
			t.Fatalf("%d: %d sums", n, len(sums))
		}
	}
}

// boundedCircuit is a number up to 29.
type boundedCircuit struct {
	Number frontend.Variable `gnark:",public"`
	Flags  [4]frontend.Variable
}

func (c *boundedCircuit) Define(api frontend.API) error {
	assertUpTo(rankone.New(api), c.Number, c.Flags[:], largestScale)
	return nil
}

func TestNumbersAreBounded(t *testing.T) {
	system := compileOf(t, &boundedCircuit{})
	for number := -3; number < 40; number++ {
		c := &boundedCircuit{Number: number}
		setChoice(c.Flags[:], number, largestScale)
		if want := 0 <= number && number <= largestScale; solves(t, system, c) != want {
			t.Errorf("%d: want %v", number, want)
		}
		for i, part := range halves(largestScale)[1:] {
			c.Flags = [4]frontend.Variable{0, 0, 0, 0}
			c.Flags[i] = quotient(int64(number), int64(part))
			if number != 0 && number != part && solves(t, system, c) {
				t.Errorf("%d by a flag of %d/%d", number, number, part)
			}
		}
	}
}

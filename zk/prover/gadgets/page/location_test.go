// SPDX-License-Identifier: Apache-2.0

package page

import (
	"testing"

	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/tree"
)

// placeCircuit states a block number and opens nothing.
type placeCircuit struct {
	Index frontend.Variable `gnark:",public"`
	At    Position
}

func (c *placeCircuit) Define(api frontend.API) error {
	api.AssertIsEqual(c.At.Constrain(api).Index, c.Index)
	return nil
}

// A location alone is a number below 7 * 16^levels: there is no other witness, whatever is opened
// there.
func TestPlacesAreInTheTree(t *testing.T) {
	circuit := &placeCircuit{At: NewPosition(1)}
	for _, index := range []int{0, 5, 6, 7, 7*tree.Arity - 1} {
		c := &placeCircuit{Index: index, At: NewPosition(1)}
		c.At.Set(index)
		if err := solves(circuit, c); err != nil {
			t.Errorf("block %d: %v", index, err)
		}
	}
	for name, change := range map[string]func(c *placeCircuit){
		"a page beyond the tree": func(c *placeCircuit) {
			c.At.Digits[0][3], c.Index = 100, 8*100*Blocks+6
		},
		"a page below the tree": func(c *placeCircuit) {
			c.At.Digits[0][0], c.Index = -1, shifted(0, -Blocks+6)
		},
		"slot -5 by two flags": func(c *placeCircuit) {
			c.At.Slot[0], c.At.Slot[1], c.Index = 1, 1, shifted(0, 1-6)
		},
		"slot 10 by a flag of two": func(c *placeCircuit) {
			c.At.Slot[5], c.Index = 2, 10-6
		},
		"slot -30 by a flag of -1": func(c *placeCircuit) {
			c.At.Slot[4], c.Index = -1, -4+2*6
		},
	} {
		c := &placeCircuit{At: NewPosition(1)}
		c.At.Set(6) // no flag; the seventh is 1 minus the six others
		change(c)
		if solves(circuit, c) == nil {
			t.Errorf("%s: the circuit is satisfied", name)
		}
	}
}

// If two flags could be set, the slot would be a sum of two blocks less the last one. In a page
// that holds a block twice, another block would be shown under the number of a block elsewhere.
func TestSlotOfTwoFlags(t *testing.T) {
	pages := map[int][][Values]uint16{}
	for i := range tree.Arity {
		pages[i] = drawnBlocks(Blocks, 8)
	}
	pages[3][6] = pages[3][2]
	g := grow(t, pages, 1)
	const shown, claimed = 3*Blocks + 1, 2*Blocks + 4 // 1 + 2 - 6 = 4 - 7
	c := g.block(t, shown, 8)
	c.At.Slot[2], c.Index = 1, claimed
	if solves(newBlockCircuit(8, 1), c) == nil {
		t.Error("a block was shown under the number of another one")
	}
}

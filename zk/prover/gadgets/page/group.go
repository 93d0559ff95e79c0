// SPDX-License-Identifier: Apache-2.0

package page

import (
	"math/bits"

	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/std/selector"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/tree"
)

// Pages is the number of pages that hold the blocks of one block column in the layout lora_a.
func Pages(rank int) int { return (rank + Blocks - 1) / Blocks }

// GroupPages is the number of pages of a group, empty ones included: a power of two.
func GroupPages(rank int) int { return 1 << groupBits(rank) }

func groupBits(rank int) int { return bits.Len(uint(Pages(rank) - 1)) }

// Column is the witness of the number of a block column in the layout lora_a: first the bits of its
// place below one parent of pages, then its base-16 digits, lowest first.
type Column struct {
	Within []frontend.Variable
	Digits [][digitBits]frontend.Variable
}

// NewColumn is a column in trees with these levels above the pages.
func NewColumn(rank, levels int) Column {
	return Column{
		Within: make([]frontend.Variable, digitBits-groupBits(rank)),
		Digits: make([][digitBits]frontend.Variable, levels-1),
	}
}

// Set assigns a column number.
func (c *Column) Set(number int) {
	integer.SetBits(c.Within, number)
	setDigits(c.Digits, number>>len(c.Within))
}

// Group constrains values[k], for every k, to be block (k, column) of a tree of the layout lora_a,
// and the blocks that fill up the group to be zero. It returns the column, which is below
// 16^levels. The caller must constrain each value to be below 2^16. path holds the group's
// siblings, then those of their parent, and so on.
func (t *Tree) Group(
	c *Column, path []Children, values [][Values]frontend.Variable,
) (column frontend.Variable) {
	within := integer.FromBits(t.api, c.Within)
	column = t.api.Add(within, t.api.Mul(digitsNumber(t.api, c.Digits), 1<<len(c.Within)))
	parent := t.top
	if len(path) != 0 {
		parent = &path[0]
	}
	pages := GroupPages(len(values))
	for i := range pages {
		var page frontend.Variable = 0
		if i*Blocks < len(values) {
			page = t.page(values[i*Blocks : min((i+1)*Blocks, len(values))])
		}
		var options []frontend.Variable
		for at := i; at < tree.Arity; at += pages {
			options = append(options, parent[at])
		}
		t.api.AssertIsEqual(selector.BinaryMux(t.api, c.Within, options), page)
	}
	if len(path) != 0 {
		t.climb(t.hash.Hash(path[0][:]...), c.Digits, path[1:])
	}
	return column
}

// page is the hash of a page of whole blocks.
func (t *Tree) page(blocks [][Values]frontend.Variable) frontend.Variable {
	elements := make([]frontend.Variable, tree.Arity)
	for i := range elements {
		elements[i] = 0
	}
	for j := range blocks {
		elements[2*j] = pack(t.api, blocks[j][:packed])
		elements[2*j+1] = pack(t.api, blocks[j][packed:2*packed])
		rest := pack(t.api, blocks[j][2*packed:])
		elements[2*Blocks] = t.api.Add(elements[2*Blocks],
			t.api.Mul(rest, integer.PowerOfTwo(2*valueBits*j)))
	}
	return t.hash.Hash(elements...)
}

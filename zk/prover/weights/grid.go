// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"fmt"
	"math/bits"

	"provenance/zkprover/fault"
	"provenance/zkprover/tree"
)

// MaxDepth is the largest number of levels above the pages.
const MaxDepth = 7

// DType is the type of a tensor's values, as its number in the table of tensors.
type DType uint8

// The types that can be committed to.
const (
	BF16 DType = iota
	F16
	F32
)

var dtypeNames = [...]string{"BF16", "F16", "F32"}

// String is the name in safetensors files.
func (d DType) String() string { return dtypeNames[d] }

// Bits is the width of a value.
func (d DType) Bits() int {
	if d == F32 {
		return 32
	}
	return 16
}

func (d DType) bytes() int { return d.Bits() / 8 }

// BlocksPerPage is 7 for values of 16 bits, 3 for values of 32.
func (d DType) BlocksPerPage() int {
	if d == F32 {
		return blocksOf32
	}
	return blocksOf16
}

// Layout is the order of a tensor's blocks, as its number in the table of tensors.
type Layout uint8

// The layouts.
const (
	Rows Layout = iota
	LoraA
	LoraB
)

var layoutNames = [...]string{"rows", "lora_a", "lora_b"}

func (l Layout) String() string { return layoutNames[l] }

// ParseLayout is the layout of this name.
func ParseLayout(name string) (Layout, error) {
	for l, known := range layoutNames {
		if name == known {
			return Layout(l), nil
		}
	}
	return 0, fault.Differs(fault.BadRequest, "layout", layoutNames, name)
}

// Ranks are the ranks that adapters are padded to.
var Ranks = [...]int{8, 16, 32, 64}

// Grid is where the blocks of a tensor lie, in the tensor and among the pages.
type Grid struct {
	DType         DType
	Layout        Layout
	Rows, Columns int
	Rank          int // R of the two adapter layouts; 0 for rows
}

// NewGrid checks shape and layout. A vector has one row. Rank 0 means the padded rank that follows
// from the adapter's shape; any other value must be equal to it.
func NewGrid(dtype DType, layout Layout, rows, columns, rank int) (Grid, error) {
	g := Grid{DType: dtype, Layout: layout, Rows: rows, Columns: columns}
	if rows < 1 || columns < 1 {
		return g, fault.Differs(fault.BadFile, "shape", "at least one value",
			fmt.Sprintf("%d x %d", rows, columns))
	}
	if layout == Rows {
		if rank != 0 {
			return g, fault.Differs(fault.BadRequest, "rank of a tensor of layout rows", 0, rank)
		}
		return g, nil
	}
	if dtype.Bits() != 16 {
		return g, fault.Differs(fault.BadFile, "values of an adapter", "BF16 or F16", dtype)
	}
	own := rows
	if layout == LoraB {
		own = columns
	}
	for _, r := range Ranks {
		if g.Rank == 0 && own <= r {
			g.Rank = r
		}
	}
	if g.Rank == 0 {
		return g, fault.Differs(fault.BadFile, "rank of the adapter",
			fmt.Sprintf("at most %d", Ranks[len(Ranks)-1]), own)
	}
	if rank != 0 && rank != g.Rank {
		return g, fault.Differs(fault.BadRequest, "rank",
			fmt.Sprintf("%d for an adapter of rank %d", g.Rank, own), rank)
	}
	return g, nil
}

// BlocksPerRow is C = ceil(columns / 32).
func (g Grid) BlocksPerRow() int { return (g.Columns + BlockValues - 1) / BlockValues }

// Blocks is the number of the tensor's blocks in the layout, without those that fill up the tree.
func (g Grid) Blocks() int {
	if g.Layout == LoraA {
		return g.Rank * g.BlocksPerRow()
	}
	return g.Rows * g.BlocksPerRow()
}

// GroupPages is how many pages a block column of lora_a takes: those that hold blocks, and all of
// its group, empty ones included.
func (g Grid) GroupPages() (filled, all int) {
	filled = (g.Rank + blocksOf16 - 1) / blocksOf16
	return filled, 1 << bits.Len(uint(filled-1))
}

// Slots is the number of slots of the tree up to the last page that holds a block.
func (g Grid) Slots() int {
	if g.Layout == LoraA {
		filled, all := g.GroupPages()
		return (g.BlocksPerRow()-1)*all + filled
	}
	return (g.Blocks() + g.DType.BlocksPerPage() - 1) / g.DType.BlocksPerPage()
}

// Depth is the smallest depth of a tree that holds the pages.
func (g Grid) Depth() int {
	depth := 1
	for depth < MaxDepth+1 && tree.Capacity(depth) < g.Slots() {
		depth++
	}
	return depth
}

// RequireDepth returns the depth of the tree: the tensor's own for 0, else the given one, which
// must have room for the tensor's pages.
func (g Grid) RequireDepth(depth int) (int, error) {
	own := g.Depth()
	if depth == 0 {
		depth = own
	}
	if depth < own || depth > MaxDepth {
		return 0, fault.Differs(fault.BadRequest, "depth",
			fmt.Sprintf("%d..%d", own, MaxDepth), depth)
	}
	return depth, nil
}

// Place is the slot of a block's page and the block's place in it. Blocks of lora_a are numbered
// column by column: block j*R + k is (k, j).
func (g Grid) Place(block int) (slot, position int) {
	if g.Layout != LoraA {
		per := g.DType.BlocksPerPage()
		return block / per, block % per
	}
	_, all := g.GroupPages()
	column, k := block/g.Rank, block%g.Rank
	return column*all + k/blocksOf16, k % blocksOf16
}

// cell is the row and block column of the block at a place; false if the place holds no value of
// the tensor.
func (g Grid) cell(slot, position int) (row, column int, ok bool) {
	if g.Layout != LoraA {
		block := slot*g.DType.BlocksPerPage() + position
		return block / g.BlocksPerRow(), block % g.BlocksPerRow(), block < g.Blocks()
	}
	_, all := g.GroupPages()
	row, column = slot%all*blocksOf16+position, slot/all
	return row, column, row < g.Rows && column < g.BlocksPerRow()
}

// isPage tells whether a slot holds a page, which may be blank, or is empty.
func (g Grid) isPage(slot int) bool {
	if g.Layout == LoraA {
		filled, all := g.GroupPages()
		return slot < g.Slots() && slot%all < filled
	}
	return slot < g.Slots()
}

// span is where a block's values lie in the tensor's bytes. The last block of a row may be shorter.
func (g Grid) span(row, column int) (start, end int64) {
	width := int64(g.DType.bytes())
	first := int64(row)*int64(g.Columns) + int64(column)*BlockValues
	count := min(BlockValues, g.Columns-column*BlockValues)
	return first * width, (first + int64(count)) * width
}

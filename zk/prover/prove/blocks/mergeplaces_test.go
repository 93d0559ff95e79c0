// SPDX-License-Identifier: Apache-2.0

package blocks

import (
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/page"
	"provenance/zkprover/internal/wires"
	"provenance/zkprover/statement"
	"provenance/zkprover/weights"
)

// mergeWith merges the 32 values from a cell on with another row of B, and another block column of
// an A with this many columns.
func (m *model) mergeWith(cell int, row, a []uint16, columns, from int) {
	for v := range page.Values {
		column := make([]uint16, m.rank)
		for k := range column {
			column[k] = a[k*columns+from+v]
		}
		m.merged[cell+v] = statement.MergedValue(m.base[cell+v], m.scale, row, column)
	}
}

// falseBlock assigns a block whose merge is false by the honest reading.
func falseBlock(t *testing.T, m *Merger, shape circuits.Shape, index int) *circuits.Merge {
	t.Helper()
	c, err := m.assignment(shape, []int{index})
	var failure *fault.Error
	if !errors.As(err, &failure) || failure.Code != fault.Unproven {
		t.Fatalf("block %d: %v", index, err)
	}
	return c
}

// With rank 64 a row of B is two blocks. If one need not belong to the other, a row could be merged
// with halves of two rows, of which the adapter has no product.
func TestHalfOfAnotherRow(t *testing.T) {
	const width = page.Values
	for half := range 2 {
		m := drawModel(8, 2*width, 64)
		m.depth = 2
		row := slices.Clone(m.b[64 : 2*64])
		copy(row[half*width:(half+1)*width], m.b[2*64+half*width:])
		m.mergeWith(2*width, row, m.a, m.columns, 0)
		merger, shape := m.merger(t), circuits.MergeShape(1, 2, 64)
		c := falseBlock(t, merger, shape, 2)
		other, err := merger.assignment(shape, []int{4})
		if err != nil {
			t.Fatal(err)
		}
		b, next := &c.Blocks[0], &other.Blocks[0]
		b.Rows[half], b.RowOpenings[half] = next.Rows[half], next.RowOpenings[half]
		copy(b.RowValues[half*width:(half+1)*width], next.RowValues[half*width:])
		if wires.Satisfied(t, shape, c) {
			t.Errorf("half %d: the circuit is satisfied", half)
		}
	}
}

// If the number of A's block column were not that of its place, a block could be merged with
// another column of A, here in a tree of two levels.
func TestColumnOfAnotherPlace(t *testing.T) {
	m := drawModel(8, 2*page.Values, 64)
	m.depth = 2
	m.mergeWith(2*page.Values, m.b[64:2*64], m.a, m.columns, page.Values)
	merger, shape := m.merger(t), circuits.MergeShape(1, 2, 64)
	c := falseBlock(t, merger, shape, 2)
	other, err := merger.assignment(shape, []int{3})
	if err != nil {
		t.Fatal(err)
	}
	b, there := &c.Blocks[0], &other.Blocks[0]
	b.Column, b.ColumnPath, b.ColumnValues = there.Column, there.ColumnPath, there.ColumnValues
	if wires.Satisfied(t, shape, c) {
		t.Error("the circuit is satisfied")
	}
}

// Block 7 of two columns lies in row 3 and column 1. If columns could be counted beyond the row's
// end, it could be merged as row 2 and column 3 of an A with more columns than the base has.
func TestColumnBeyondTheRow(t *testing.T) {
	m := drawModel(8, 64, 8)
	wide := drawModel(8, 128, 8)
	wide.b = m.b
	wide.merge()
	m.mergeWith(attackedCell, m.b[2*8:3*8], wide.a, 128, 3*page.Values)
	merger := m.merger(t)
	merger.A = tensor(t, "adapter q.A", weights.LoraA, 8, 128, 1, wide.a)
	c := falseBlock(t, merger, smallMerge, attacked)
	other, err := wide.merger(t).assignment(smallMerge, []int{2*4 + 3})
	if err != nil {
		t.Fatal(err)
	}
	b, there := &c.Blocks[0], &other.Blocks[0]
	b.Rows, b.RowOpenings, b.RowValues = there.Rows, there.RowOpenings, there.RowValues
	b.Column, b.ColumnPath, b.ColumnValues = there.Column, there.ColumnPath, there.ColumnValues
	if wires.Satisfied(t, smallMerge, c) {
		t.Error("the circuit is satisfied")
	}
}

// In row 0 the number of columns does not show in the block's number; its range does.
func TestColumnsBeyondTheirRange(t *testing.T) {
	merger := drawModel(8, 64, 8).merger(t)
	for columns, want := range map[int]bool{2: true, 1<<16 + 1: true, 1<<16 + 2: false, 1: false} {
		c, err := merger.assignment(smallMerge, []int{1})
		if err != nil {
			t.Fatal(err)
		}
		c.Columns = columns
		if got := wires.Satisfied(t, smallMerge, c); got != want {
			t.Errorf("%d columns: %v, want %v", columns, got, want)
		}
	}
}

// units is a number of the window as an integer.
func units(pattern uint16, unit int) *big.Int {
	out := big.NewInt(int64(pattern&127 | 128))
	out.Lsh(out, uint(int(pattern>>7&255)-134+unit))
	if pattern>>15 == 1 {
		out.Neg(out)
	}
	return out
}

// A scale beyond its range could be a quotient in the field: then any value at all would be the
// merge of a base with an adapter that changes it by one product.
func TestScaleAsAQuotient(t *testing.T) {
	m := drawModel(8, 64, 8)
	for k := range 8 {
		clear(m.a[k*64+32 : k*64+64])
	}
	m.a[32] = 0x3f80
	m.merge()
	const wanted = 0x4123
	m.merged[attackedCell] = wanted
	c := falseBlock(t, m.merger(t), smallMerge, attacked)
	change := new(big.Int).Sub(units(wanted, 110), units(m.base[attackedCell], 110))
	product := new(big.Int).Mul(units(m.b[3*8], 47), units(m.a[32], 47))
	var scale, divisor fr.Element
	scale.SetBigInt(change)
	divisor.SetBigInt(product)
	c.Scale = *scale.Div(&scale, &divisor)
	if wires.Satisfied(t, smallMerge, c) {
		t.Error("any value was shown to be the merged one")
	}
}

// An honest merge with a scale of 33 bits has no witness; the largest of 32 bits has one.
func TestScaleBounds(t *testing.T) {
	for scale, want := range map[uint64]bool{1<<32 - 1: true, 1 << 32: false} {
		m := drawModel(8, 64, 8)
		m.a, m.scale = patterns(8*64, -30), scale
		m.merge()
		c, err := m.merger(t).assignment(smallMerge, []int{attacked})
		if err != nil {
			t.Fatal(err)
		}
		if got := wires.Satisfied(t, smallMerge, c); got != want {
			t.Errorf("scale %d: %v, want %v", scale, got, want)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package blocks

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/page"
	"provenance/zkprover/internal/wires"
	"provenance/zkprover/statement"
)

// mergeAttack changes an honest model or the witness made from it.
type mergeAttack struct {
	name    string
	model   func(m *model)
	merger  func(t *testing.T, m *model, merger *Merger)
	witness func(t *testing.T, m *Merger, c *circuits.Merge)
}

const attacked, attackedCell = 7, 3*64 + 32 // block 7 of 8 x 64 values begins in row 3

var mergeAttacks = []mergeAttack{
	{name: "one unit up", model: func(m *model) { m.merged[attackedCell+5]++ }},
	{name: "one unit down", model: func(m *model) { m.merged[attackedCell+5]-- }},
	{name: "one unit up in the first value", model: func(m *model) { m.merged[attackedCell]++ }},
	{name: "one unit up in the last value", model: func(m *model) { m.merged[attackedCell+31]++ }},
	{name: "the other sign", model: func(m *model) { m.merged[attackedCell+5] ^= 1 << 15 }},
	{name: "a value of the unmerged base", model: func(m *model) {
		copy(m.merged[attackedCell:attackedCell+32], m.base[attackedCell:])
	}},
	{name: "a tie rounded to odd", model: func(m *model) {
		m.tie(0x3f80, 0x3b80)
		m.merged[attackedCell] = 0x3f81
	}},
	{name: "a tie rounded to odd, downwards", model: func(m *model) {
		m.tie(0x3f82, 0xbb80)
		m.merged[attackedCell] = 0x3f81
	}},
	{name: "a tie below a power of two rounded to odd", model: func(m *model) {
		m.tie(0x3f80, 0xbb00)
		m.merged[attackedCell] = 0x3f7f
	}},
	{name: "a power of two for a number nearer to its lower neighbour", model: func(m *model) {
		m.tie(0x3f80, 0xbb10)
		m.merged[attackedCell] = 0x3f80
	}},
	{name: "minus zero", model: func(m *model) {
		m.tie(0x3f80, 0xbf80)
		m.merged[attackedCell] = 1 << 15
	}},
	{name: "zero for a number that is not", model: func(m *model) { m.merged[attackedCell] = 0 }},
	{name: "an edit of low rank", merger: func(t *testing.T, m *model, merger *Merger) {
		m.b[3*8+2] ^= 1 << 6
		merger.B = m.merger(t).B
	}},
	{name: "an edit of A", merger: func(t *testing.T, m *model, merger *Merger) {
		for v := range page.Values { // one value alone might round to the same
			m.a[2*64+32+v] ^= 1 << 6
		}
		merger.A = m.merger(t).A
	}},
	{name: "base and merged swapped", merger: func(_ *testing.T, _ *model, merger *Merger) {
		merger.Base.Tree, merger.Merged.Tree = merger.Merged.Tree, merger.Base.Tree
	}},
	{name: "a tensor of equal shape", merger: func(t *testing.T, _ *model, merger *Merger) {
		merger.Base = drawModel(8, 64, 8).merger(t).Base
	}},
	{name: "scale 0", merger: func(_ *testing.T, _ *model, merger *Merger) { merger.Scale = 0 }},
	{name: "another scale", merger: func(_ *testing.T, _ *model, merger *Merger) {
		merger.Scale += one / 2
	}},
	{name: "scale of 33 bits", merger: func(_ *testing.T, _ *model, merger *Merger) {
		merger.Scale += 1 << 32
	}},
	{name: "another model's root", witness: func(t *testing.T, _ *Merger, c *circuits.Merge) {
		c.Merged = drawModel(8, 64, 8).merger(t).Merged.Root()
	}},
	{name: "the number of another block", witness: func(_ *testing.T, _ *Merger,
		c *circuits.Merge) {
		c.Indexes[0] = page.PackIndexes([]int{attacked - 2})[0]
	}},
	{name: "A of another column", witness: func(t *testing.T, m *Merger, c *circuits.Merge) {
		other := m.witness(t, attacked-1).Blocks[0]
		b := &c.Blocks[0]
		b.Column, b.ColumnPath, b.ColumnValues = other.Column, other.ColumnPath, other.ColumnValues
	}},
	{name: "B of another row", witness: func(t *testing.T, m *Merger, c *circuits.Merge) {
		other := m.witness(t, attacked+2).Blocks[0]
		b := &c.Blocks[0]
		b.Rows, b.RowOpenings, b.RowValues = other.Rows, other.RowOpenings, other.RowValues
	}},
	{name: "twice the columns, so that block 7 lies in row 1 and column 3",
		witness: func(_ *testing.T, _ *Merger, c *circuits.Merge) {
			c.Columns = 4
		}},
	{name: "a value of A that flags zero", witness: func(_ *testing.T, _ *Merger,
		c *circuits.Merge) {
		c.Blocks[0].ColumnValues[0][0].Zero = 1
	}},
}

// tie makes the first value of the attacked block base + term.
func (m *model) tie(base, term uint16) {
	m.scale = one
	clear(m.b[3*8 : 4*8])
	m.b[3*8] = 0x3f80
	m.base[attackedCell], m.a[32] = base, term
	m.merge()
}

func TestMergeAttacks(t *testing.T) {
	for _, a := range mergeAttacks {
		m := drawModel(8, 64, 8)
		if a.model != nil {
			a.model(m)
		}
		merger := m.merger(t)
		if a.merger != nil {
			a.merger(t, m, merger)
		}
		assignment := merger.witness(t, attacked)
		if a.witness != nil {
			a.witness(t, merger, assignment)
		} else {
			var failure *fault.Error
			_, err := merger.assignment(smallMerge, []int{attacked})
			if !errors.As(err, &failure) || failure.Code != fault.Unproven ||
				!strings.Contains(failure.What, "merged q: block 7, column ") {
				t.Errorf("%s: %v", a.name, err)
			}
		}
		if err := wires.Solve(t, smallMerge, assignment); err == nil {
			t.Errorf("%s: the circuit is satisfied", a.name)
		}
	}
}

// With rank 64 a row of B is two blocks. If the first block's number could be odd, two blocks of
// different rows would be taken for one row.
func TestHalvesOfTwoRows(t *testing.T) {
	const width = page.Values
	m := drawModel(8, 2*width, 64)
	m.depth = 2                          // two groups of sixteen pages
	halves := m.b[64+width : 2*64+width] // the second half of row 1 and the first of row 2
	for v := range width {
		column := make([]uint16, m.rank)
		for k := range column {
			column[k] = m.a[k*m.columns+v]
		}
		m.merged[3*width+v] = statement.MergedValue(m.base[3*width+v], m.scale, halves, column)
	}
	merger, shape := m.merger(t), circuits.MergeShape(1, 2, 64)
	c, err := merger.assignment(shape, []int{3})
	other, otherErr := merger.assignment(shape, []int{4})
	if err == nil || otherErr != nil {
		t.Fatalf("block 3: %v, block 4: %v", err, otherErr)
	}
	b, next := &c.Blocks[0], &other.Blocks[0]
	b.Column, b.ColumnPath, b.ColumnValues = next.Column, next.ColumnPath, next.ColumnValues
	b.Rows[0], b.RowOpenings[0] = b.Rows[1], b.RowOpenings[1]
	b.Rows[1], b.RowOpenings[1] = next.Rows[0], next.RowOpenings[0]
	b.RowValues = append(slices.Clone(b.RowValues[width:]), next.RowValues[:width]...)
	if err := wires.Solve(t, shape, c); err == nil {
		t.Error("the circuit is satisfied")
	}
}

// Numbers outside the window have no witness, whatever bits a prover chooses.
func TestNumbersOutsideTheWindow(t *testing.T) {
	for name, change := range map[string]func(m *model){
		"NaN":                 func(m *model) { m.base[attackedCell] = 0x7fc0 },
		"infinity":            func(m *model) { m.merged[attackedCell] = 0x7f80 },
		"2^8":                 func(m *model) { m.base[attackedCell] = 0x4380 },
		"below 2^-100":        func(m *model) { m.base[attackedCell] = 0x0d7f },
		"subnormal":           func(m *model) { m.merged[attackedCell] = 1 },
		"2^4 in A":            func(m *model) { m.a[32] = 0x4180 },
		"below 2^-40 in B":    func(m *model) { m.b[3*8+1] = 0x2b7f },
		"minus 2^4 in B":      func(m *model) { m.b[3*8+1] = 0xc180 },
		"NaN in A, last row":  func(m *model) { m.a[7*64+63] = 0xffff },
		"subnormal in A":      func(m *model) { m.a[63] = 0x8001 },
		"the largest finite":  func(m *model) { m.base[attackedCell] = 0x7f7f },
		"the largest in base": func(m *model) { m.base[attackedCell] = 0x437f; m.merge() },
	} {
		m := drawModel(8, 64, 8)
		change(m)
		_, err := m.merger(t).assignment(smallMerge, []int{attacked})
		var failure *fault.Error
		refused := errors.As(err, &failure) && failure.Code == fault.BadFile &&
			strings.Contains(failure.What, "value [")
		if refused != (name != "the largest in base") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

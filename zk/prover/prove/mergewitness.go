// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"fmt"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/bfloat16"
	"provenance/zkprover/gadgets/page"
	"provenance/zkprover/statement"
)

// assignment fills in the circuit. With a false statement the block that shows it is filled in, too.
func (m *Merger) assignment(shape circuits.Shape, indexes []int) (*circuits.Merge, error) {
	c := circuits.NewMerge(shape.Slots, shape.Levels(), shape.Rank())
	setMergePublic(c, m.public(indexes))
	for i, index := range indexes {
		w := &mergeWitness{Merger: m, circuit: c, block: &c.Blocks[i], index: index}
		if err := w.set(); err != nil {
			return c, err
		}
	}
	return c, nil
}

func setMergePublic(c *circuits.Merge, public []fr.Element) {
	for i, to := range []*frontend.Variable{&c.Base, &c.A, &c.B, &c.Merged, &c.Scale, &c.Columns} {
		*to = public[i]
	}
	for i := range c.Indexes {
		c.Indexes[i] = public[circuits.MergePublic+i]
	}
}

// mergeWitness fills in one block of the circuit.
type mergeWitness struct {
	*Merger
	circuit *circuits.Merge
	block   *circuits.MergeBlock
	index   int
}

func (w *mergeWitness) set() error {
	columns := w.Base.Grid().BlocksPerRow()
	i, j := w.index/columns, w.index%columns
	w.block.At.Set(w.index)
	base, err := w.open(w.Base, w.index, &w.block.Base, &w.circuit.BaseTop)
	if err != nil {
		return err
	}
	merged, err := w.open(w.Merged, w.index, &w.block.Merged, &w.circuit.MergedTop)
	if err != nil {
		return err
	}
	row, err := w.row(i)
	if err != nil {
		return err
	}
	column, err := w.column(j)
	if err != nil {
		return err
	}
	if err := w.values(i, j, base, merged, row, column); err != nil {
		return err
	}
	return w.requireMerged(base, merged, row, column)
}

// open assigns the opening of one block and returns its values.
func (w *mergeWitness) open(t Tensor, index int, to *page.Opening, top *page.Children) ([]uint16, error) {
	opened, err := t.Open(index)
	if err != nil {
		return nil, fault.At(t.Name, err)
	}
	slot := index % page.Blocks
	if err := to.Set(&opened.Page, slot, opened.Path); err != nil {
		return nil, fault.New(fault.Internal, "%s: %v", t.Name, err)
	}
	page.SetChildren(top, &opened.Path[len(opened.Path)-1])
	blocks, err := page.Unpack(&opened.Page)
	if err != nil {
		return nil, fault.New(fault.Internal, "%s: %v", t.Name, err)
	}
	return blocks[slot][:], nil
}

// row opens row i of B.
func (w *mergeWitness) row(i int) ([]uint16, error) {
	var row []uint16
	parts := len(w.block.Rows)
	for t := range parts {
		w.block.Rows[t].Set(parts*i + t)
		values, err := w.open(w.B, parts*i+t, &w.block.RowOpenings[t], &w.circuit.BTop)
		if err != nil {
			return nil, err
		}
		row = append(row, values...)
	}
	return row[:len(w.block.RowValues)], nil
}

// column opens the block column j of A and returns its rows.
func (w *mergeWitness) column(j int) ([][]uint16, error) {
	opened, err := w.A.OpenGroup(j)
	if err != nil {
		return nil, fault.At(w.A.Name, err)
	}
	w.block.Column.Set(j)
	page.SetPath(w.block.ColumnPath, opened.Path)
	page.SetChildren(&w.circuit.ATop, &opened.Path[len(opened.Path)-1])
	var rows [][]uint16
	for i := range opened.Pages {
		blocks, err := page.Unpack(&opened.Pages[i])
		if err != nil {
			return nil, fault.New(fault.Internal, "%s: %v", w.A.Name, err)
		}
		for k := range blocks {
			rows = append(rows, blocks[k][:])
		}
	}
	return rows[:len(w.block.ColumnValues)], nil
}

// values assigns all numbers.
func (w *mergeWitness) values(i, j int, base, merged, row []uint16, column [][]uint16) error {
	first := j * page.Values
	err := setNumbers(w.Base, bfloat16.Weights, w.block.BaseValues[:], base, i, first)
	if err == nil {
		err = setNumbers(w.Merged, bfloat16.Weights, w.block.MergedValues[:], merged, i, first)
	}
	if err == nil {
		err = setNumbers(w.B, bfloat16.Factors, w.block.RowValues, row, i, 0)
	}
	for k := 0; k < len(column) && err == nil; k++ {
		err = setNumbers(w.A, bfloat16.Factors, w.block.ColumnValues[k][:], column[k], k, first)
	}
	return err
}

// setNumbers assigns consecutive values of a row; one outside the window is the caller's to mend, and is not printed.
func setNumbers(t Tensor, window bfloat16.Window, to []bfloat16.Number, patterns []uint16, row, first int) error {
	for v, pattern := range patterns {
		if !window.Holds(pattern) {
			return fault.Differs(fault.BadFile, fmt.Sprintf("%s: value [%d, %d]", t.Name, row, first+v), window, "outside").
				WithHint("round such values to zero before merging; the statement `merge` does not cover them")
		}
		to[v].Set(pattern, window)
	}
	return nil
}

// requireMerged computes the block anew.
func (w *mergeWitness) requireMerged(base, merged, row []uint16, column [][]uint16) error {
	for v := range merged {
		a := make([]uint16, len(column))
		for k := range column {
			a[k] = column[k][v]
		}
		if statement.MergedValue(base[v], w.Scale, row, a) != merged[v] {
			columns := w.Base.Grid().BlocksPerRow()
			return fault.New(fault.Unproven, "%s: block %d, column %d is not the rounded merge of base and adapter",
				w.Merged.Name, w.index, w.index%columns*page.Values+v)
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package blocks

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

// assignment assigns the circuit. If the statement is false, it returns an error, and the block
// that is false is assigned, too.
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

// mergeWitness assigns one block of the circuit. It holds the patterns of the block in the base and
// in the merged tensor, of its row of B, and of its block column of A, row by row.
type mergeWitness struct {
	*Merger
	circuit *circuits.Merge
	block   *circuits.MergeBlock
	index   int

	base, merged, bRow []uint16
	aColumn            [][]uint16
}

// row and column are where the block lies, counted in rows and in block columns.
func (w *mergeWitness) row() int    { return w.index / w.Base.Grid().BlocksPerRow() }
func (w *mergeWitness) column() int { return w.index % w.Base.Grid().BlocksPerRow() }

func (w *mergeWitness) set() (err error) {
	w.block.At.Set(w.index)
	if w.base, err = open(w.Base, w.index, &w.block.Base, &w.circuit.BaseTop); err != nil {
		return err
	}
	if w.merged, err = open(w.Merged, w.index, &w.block.Merged, &w.circuit.MergedTop); err != nil {
		return err
	}
	if err := w.openRow(); err != nil {
		return err
	}
	if err := w.openColumn(); err != nil {
		return err
	}
	if err := w.setValues(); err != nil {
		return err
	}
	return w.requireMerged()
}

// open assigns the path of one block and returns the block's values.
func open(t Tensor, index int, to *page.BlockPath, top *page.Children) ([]uint16, error) {
	values, err := openBlock(t.Tree, index, to, top)
	if err != nil {
		return nil, fault.At(t.Name, err)
	}
	return values[:], nil
}

// openRow opens the row of B, which is one block, or two with rank 64.
func (w *mergeWitness) openRow() error {
	parts := len(w.block.Rows)
	for t := range parts {
		at := parts*w.row() + t
		w.block.Rows[t].Set(at)
		values, err := open(w.B, at, &w.block.RowOpenings[t], &w.circuit.BTop)
		if err != nil {
			return err
		}
		w.bRow = append(w.bRow, values...)
	}
	w.bRow = w.bRow[:len(w.block.RowValues)]
	return nil
}

// openColumn opens the block column of A.
func (w *mergeWitness) openColumn() error {
	opened, err := w.A.OpenGroup(w.column())
	if err != nil {
		return fault.At(w.A.Name, err)
	}
	w.block.Column.Set(w.column())
	page.SetPath(w.block.ColumnPath, opened.Path)
	page.SetChildren(&w.circuit.ATop, &opened.Path[len(opened.Path)-1])
	for i := range opened.Pages {
		blocks, err := page.Unpack(&opened.Pages[i])
		if err != nil {
			return fault.New(fault.Internal, "%s: %v", w.A.Name, err)
		}
		for k := range blocks {
			w.aColumn = append(w.aColumn, blocks[k][:])
		}
	}
	w.aColumn = w.aColumn[:len(w.block.ColumnValues)]
	return nil
}

// setValues assigns all numbers.
func (w *mergeWitness) setValues() error {
	row, column := w.row(), w.column()*page.Values // of the block's first value
	b := w.block
	if err := setWeights(w.Base, b.BaseValues[:], w.base, row, column); err != nil {
		return err
	}
	if err := setWeights(w.Merged, b.MergedValues[:], w.merged, row, column); err != nil {
		return err
	}
	if err := setFactors(w.B, b.RowValues, w.bRow, row, 0); err != nil {
		return err
	}
	for k := range w.aColumn {
		if err := setFactors(w.A, b.ColumnValues[k][:], w.aColumn[k], k, column); err != nil {
			return err
		}
	}
	return nil
}

func setWeights(t Tensor, to []bfloat16.Number, patterns []uint16, row, column int) error {
	return setNumbers(bfloat16.Weights, to, patterns, place{t.Name, row, column})
}

func setFactors(t Tensor, to []bfloat16.Number, patterns []uint16, row, column int) error {
	return setNumbers(bfloat16.Factors, to, patterns, place{t.Name, row, column})
}

// place is where the first of consecutive values stands: the tensor, its row and column.
type place struct {
	tensor      string
	row, column int
}

// setNumbers assigns consecutive values of a row. A value outside the window is a fault that the
// caller can mend; the fault does not quote the value.
func setNumbers(window bfloat16.Window, to []bfloat16.Number, patterns []uint16, at place) error {
	for v, pattern := range patterns {
		if !window.Holds(pattern) {
			what := fmt.Sprintf("%s: value [%d, %d]", at.tensor, at.row, at.column+v)
			return fault.Differs(fault.BadFile, what, window, "outside").
				WithHint("round such values to zero before merging: " +
					"the statement `merge` does not cover them")
		}
		to[v].Set(pattern, window)
	}
	return nil
}

// requireMerged computes the merged block again, and requires that the merged tensor has it.
func (w *mergeWitness) requireMerged() error {
	for v := range w.merged {
		a := make([]uint16, len(w.aColumn))
		for k := range w.aColumn {
			a[k] = w.aColumn[k][v]
		}
		if statement.MergedValue(w.base[v], w.Scale, w.bRow, a) != w.merged[v] {
			return fault.New(fault.Unproven,
				"%s: block %d, column %d is not the rounded merge of base and adapter",
				w.Merged.Name, w.index, w.column()*page.Values+v)
		}
	}
	return nil
}

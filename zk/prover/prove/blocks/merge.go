// SPDX-License-Identifier: Apache-2.0

package blocks

import (
	"fmt"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/page"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove"
	"provenance/zkprover/weights"
)

// scaleBits is the width of a scale, in units of 2^-16.
const scaleBits = 32

// Tensor is a tensor's tree, and its name in faults.
type Tensor struct {
	Name string
	*weights.Tree
}

// Merger proves merges of one adapted tensor: merged = base + Scale/2^16 * b * a.
type Merger struct {
	Base, A, B, Merged Tensor
	Scale              uint64
}

// Prove proves the blocks with these numbers, as many as the key has slots. Faults name tensors and
// positions, never values.
func (m *Merger) Prove(key *keys.Key, indexes []int) (*proof.Proof, error) {
	if err := m.check(key.Shape, indexes); err != nil {
		return nil, err
	}
	assignment, err := m.assignment(key.Shape, indexes)
	if err != nil {
		return nil, err
	}
	return prove.Statement(key, assignment, m.public(indexes))
}

// check requires that the tensors' shapes, layouts and depths fit each other and the key.
func (m *Merger) check(shape circuits.Shape, indexes []int) error {
	if want := circuits.MergeShape(shape.Slots, m.Base.Depth(), m.A.Grid().Rank); shape != want {
		return fault.Differs(fault.Mismatch, "key", want, shape)
	}
	if err := m.checkTensors(); err != nil {
		return err
	}
	if m.Scale >= 1<<scaleBits {
		return fault.Differs(fault.BadRequest, "scale in units of 2^-16",
			fmt.Sprintf("below 2^%d", scaleBits), m.Scale)
	}
	if len(indexes) != shape.Slots {
		return fault.Differs(fault.BadRequest, "indexes of a proof", shape.Slots, len(indexes))
	}
	for _, index := range indexes {
		if index < 0 || index >= m.Base.Blocks() {
			return fault.Differs(fault.BadRequest, "index",
				fmt.Sprintf("0..%d", m.Base.Blocks()-1), index)
		}
	}
	return nil
}

func (m *Merger) checkTensors() error {
	base, a := m.Base.Grid(), m.A.Grid()
	for _, t := range []struct {
		tensor Tensor
		want   weights.Grid
	}{
		{m.Base, weights.Grid{Layout: weights.Rows, Rows: base.Rows, Columns: base.Columns}},
		{m.Merged, weights.Grid{Layout: weights.Rows, Rows: base.Rows, Columns: base.Columns}},
		{m.A, weights.Grid{Layout: weights.LoraA, Rows: a.Rows, Columns: base.Columns,
			Rank: a.Rank}},
		{m.B, weights.Grid{Layout: weights.LoraB, Rows: base.Rows, Columns: a.Rows, Rank: a.Rank}},
	} {
		t.want.DType = weights.BF16
		if got := t.tensor.Grid(); got != t.want {
			return fault.Differs(fault.Mismatch, t.tensor.Name, gridText(t.want), gridText(got))
		}
		if t.tensor.Depth() != m.Base.Depth() {
			return fault.Differs(fault.Mismatch, t.tensor.Name+": depth of its tree",
				m.Base.Depth(), t.tensor.Depth())
		}
	}
	return nil
}

func gridText(g weights.Grid) string {
	return fmt.Sprintf("%v %v %d x %d", g.Layout, g.DType, g.Rows, g.Columns)
}

// public is base, a, b, merged, scale, columns and the index words.
func (m *Merger) public(indexes []int) []fr.Element {
	columns := fr.NewElement(uint64(m.Base.Grid().BlocksPerRow()))
	public := []fr.Element{
		m.Base.Root(), m.A.Root(), m.B.Root(), m.Merged.Root(), fr.NewElement(m.Scale), columns,
	}
	return append(public, page.PackIndexes(indexes)...)
}

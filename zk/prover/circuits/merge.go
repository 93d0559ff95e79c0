// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/bfloat16"
	"provenance/zkprover/gadgets/page"
	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/kinds"
	"provenance/zkprover/tree"
)

// Merge is the circuit of the statement `merge`: sampled blocks of an exactly rounded LoRA merge.
//
// Shown, for each block number n of the index words: let i and j be the quotient and the remainder
// of n divided by the blocks per row, and s = scale / 2^16. Every one of the 32 values of block n
// of the tree `merged` is the bfloat16 nearest (even on ties, zero as +0) to the value of `base` at
// the same place plus s * sum_k B[i,k] * A[k,j]. B[i,k] is in row i of the tree `b`, A[k,j] in the
// block column j of the tree `a`. Nothing is rounded in between.
//
// Not shown: that n is below the tensor's number of blocks, and that `columns` is its number of
// blocks per row (the verifier takes both from the tables of tensors); anything about blocks that
// were not drawn; that A and B are zero from the adapter's own rank on.
//
// Inputs. Roots: any element below r. scale < 2^32 and columns <= 2^16 + j are enforced. Values of
// A and B are 0 or of absolute value in [2^-40, 2^4), those of W and W' 0 or in [2^-100, 2^8),
// enforced by their witnesses' form.
//
// Bounds, as integers in units of 2^-110: |A|, |B| < 2^51 (units of 2^-47), scale < 2^32 (2^-16),
// at most 64 products, so the sum is below 2^140 and with W, below 2^118, the total below 2^141, as
// package bfloat16 requires. Block numbers are below 7 * 16^7 < 2^31 and columns below 2^29, so
// i * columns + j has no wrap, and with j < columns it fixes i and j.
//
// Commitments: none, and no lookups.
//
// Constraints of rank 8 with 3 levels: 20,281 per block and 2,475 per proof (63,318 for 3 blocks;
// snapshot-tested), and a few where the compiler cuts long sums. Of those per block 7,842 are
// Poseidon, 5,888 the values of A and 5,664 those of W and W' with products and rounding.
//
// Source: docs/formats/statements.md, "merge"; trainer/provenance_trainer/model/merge.py is the
// reference.
type Merge struct {
	Base    frontend.Variable   `gnark:",public"`
	A       frontend.Variable   `gnark:",public"`
	B       frontend.Variable   `gnark:",public"`
	Merged  frontend.Variable   `gnark:",public"`
	Scale   frontend.Variable   `gnark:",public"`
	Columns frontend.Variable   `gnark:",public"`
	Indexes []frontend.Variable `gnark:",public"`

	BaseTop, ATop, BTop, MergedTop page.Children
	Blocks                         []MergeBlock
}

// MergeBlock is the witness of one block: its place, its paths in the four trees, and the values
// there.
type MergeBlock struct {
	At           page.Position
	Base, Merged page.BlockPath
	Rows         []page.Position // of the blocks that hold row i of B: two for rank 64
	RowOpenings  []page.BlockPath
	Column       page.Column
	ColumnPath   []page.Children
	BaseValues   [page.Values]bfloat16.Number
	MergedValues [page.Values]bfloat16.Number
	RowValues    []bfloat16.Number              // B[i,k]
	ColumnValues [][page.Values]bfloat16.Number // A[k,j]
}

const (
	// MergePublic is the number of public inputs before the index words.
	MergePublic = kinds.MergeFixed

	scaleBits   = 32
	columnsBits = 16
)

// MergeShape is the shape of a key for b blocks, levels above the pages and a padded rank.
func MergeShape(blocks, levels, rank int) Shape {
	return Shape{Kind: kinds.Merge, Slots: blocks, Depth: levels + kinds.RankUnit*rank}
}

// Levels is the number of levels above the pages of a merge key.
func (s Shape) Levels() int { return kinds.Levels(s.Depth) }

// Rank is the padded rank of a merge key.
func (s Shape) Rank() int { return kinds.Rank(s.Depth) }

// NewMerge is the circuit for b blocks in trees with these levels above the pages.
func NewMerge(blocks, levels, rank int) *Merge {
	c := &Merge{Indexes: make([]frontend.Variable, kinds.IndexCount(blocks)),
		Blocks: make([]MergeBlock, blocks)}
	for i := range c.Blocks {
		c.Blocks[i] = newMergeBlock(levels, rank)
	}
	return c
}

func newMergeBlock(levels, rank int) MergeBlock {
	b := MergeBlock{
		At: page.NewPosition(levels), Base: page.NewBlockPath(page.Values, levels),
		Merged: page.NewBlockPath(page.Values, levels),
		Column: page.NewColumn(rank, levels), ColumnPath: make([]page.Children, levels-1),
		RowValues:    make([]bfloat16.Number, rank),
		ColumnValues: make([][page.Values]bfloat16.Number, rank),
	}
	for start := 0; start < rank; start += page.Values {
		b.Rows = append(b.Rows, page.NewPosition(levels))
		b.RowOpenings = append(b.RowOpenings, page.NewBlockPath(min(rank, page.Values), levels))
	}
	for v := range page.Values {
		b.BaseValues[v], b.MergedValues[v] = bfloat16.Weights.Number(), bfloat16.Weights.Number()
	}
	for k := range rank {
		b.RowValues[k] = bfloat16.Factors.Number()
		for v := range page.Values {
			b.ColumnValues[k][v] = bfloat16.Factors.Number()
		}
	}
	return b
}

// merging is what the blocks of one circuit share.
type merging struct {
	api                frontend.API
	base, a, b, merged *page.Tree
	scale, columns     frontend.Variable
	faults             *bfloat16.Faults
}

// Define implements frontend.Circuit.
func (c *Merge) Define(api frontend.API) error {
	hash, err := poseidon.NewGadget(api, tree.Arity)
	if err != nil {
		return err
	}
	m := &merging{
		api: api, scale: c.Scale, columns: c.Columns, faults: bfloat16.NewFaults(api),
		base:   page.NewTree(api, hash, c.Base, &c.BaseTop),
		a:      page.NewTree(api, hash, c.A, &c.ATop),
		b:      page.NewTree(api, hash, c.B, &c.BTop),
		merged: page.NewTree(api, hash, c.Merged, &c.MergedTop),
	}
	api.ToBinary(c.Scale, scaleBits)
	indexes := make([]frontend.Variable, len(c.Blocks))
	for i := range c.Blocks {
		indexes[i] = m.block(&c.Blocks[i])
	}
	m.faults.Assert()
	page.AssertIndexes(api, c.Indexes, indexes)
	return nil
}

// block constrains one block and returns its number.
func (m *merging) block(b *MergeBlock) frontend.Variable {
	at := b.At.Constrain(m.api)
	weights, rounded := values(b.BaseValues[:], m.weight), values(b.MergedValues[:], m.result)
	m.base.Block(at, &b.Base, patterns(weights))
	m.merged.Block(at, &b.Merged, patterns(rounded))
	row, factors := m.row(b)
	column, entries := m.column(b)
	m.api.AssertIsEqual(at.Index, m.api.Add(m.api.Mul(row, m.columns), column))
	m.api.ToBinary(m.api.Sub(m.columns, 1, column), columnsBits)
	for v := range rounded {
		m.entry(weights[v], rounded[v], factors, func(k int) *bfloat16.Value {
			return entries[k][v]
		})
	}
	return at.Index
}

// entry constrains one value of W': factors are scale * B[i,k], and entryOf gives A[k,j].
func (m *merging) entry(
	weight, rounded *bfloat16.Value, factors []frontend.Variable,
	entryOf func(k int) *bfloat16.Value,
) {
	total := m.api.Mul(weight.Integer(), bfloat16.WeightUnits)
	for k := range factors {
		total = m.api.Add(total, m.api.Mul(entryOf(k).Integer(), factors[k]))
	}
	bfloat16.AssertRounded(m.api, total, rounded, m.faults)
}

// scaled is scale * B[i,k].
func (m *merging) scaled(row []*bfloat16.Value) []frontend.Variable {
	out := make([]frontend.Variable, len(row))
	for k, number := range row {
		out[k] = m.api.Mul(number.Integer(), m.scale)
	}
	return out
}

// row opens row i of B and returns i and scale * B[i,k]. With rank 64 the row is blocks 2i and
// 2i + 1. The number of the first block must be even: half of it must have 31 bits, which half of
// an odd number has not in this field.
func (m *merging) row(b *MergeBlock) (row frontend.Variable, factors []frontend.Variable) {
	numbers := values(b.RowValues, m.factor)
	for t := range b.Rows {
		at := b.Rows[t].Constrain(m.api)
		part := numbers[t*page.Values : min((t+1)*page.Values, len(numbers))]
		m.b.Block(at, &b.RowOpenings[t], patterns(part))
		switch {
		case t > 0:
			m.api.AssertIsEqual(at.Index, m.api.Add(m.api.Mul(row, 2), 1))
		case len(b.Rows) == 2:
			row = m.api.DivUnchecked(at.Index, 2)
			m.api.ToBinary(row, page.IndexBits-1)
		default:
			row = at.Index
		}
	}
	return row, m.scaled(numbers)
}

// column opens the block column j of A and returns j and A[k,j].
func (m *merging) column(b *MergeBlock) (column frontend.Variable, entries [][]*bfloat16.Value) {
	blocks := make([][page.Values]frontend.Variable, len(b.ColumnValues))
	for k := range b.ColumnValues {
		entries = append(entries, values(b.ColumnValues[k][:], m.factor))
		blocks[k] = [page.Values]frontend.Variable(patterns(entries[k]))
	}
	return m.a.Group(&b.Column, b.ColumnPath, blocks), entries
}

func (m *merging) factor(n *bfloat16.Number) *bfloat16.Value {
	return bfloat16.Factors.Constrain(m.api, n, m.faults)
}

func (m *merging) weight(n *bfloat16.Number) *bfloat16.Value {
	return bfloat16.Weights.Constrain(m.api, n, m.faults)
}

func (m *merging) result(n *bfloat16.Number) *bfloat16.Value {
	return bfloat16.Weights.ConstrainUnsignedZero(m.api, n, m.faults)
}

func values(
	numbers []bfloat16.Number, constrain func(*bfloat16.Number) *bfloat16.Value,
) []*bfloat16.Value {
	out := make([]*bfloat16.Value, len(numbers))
	for i := range numbers {
		out[i] = constrain(&numbers[i])
	}
	return out
}

func patterns(values []*bfloat16.Value) []frontend.Variable {
	out := make([]frontend.Variable, len(values))
	for i, v := range values {
		out[i] = v.Pattern
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

package proofs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"provenance/zkprover/circuits"
	"provenance/zkprover/cmd/vectors/draw"
	"provenance/zkprover/gadgets/page"
	"provenance/zkprover/gadgets/quantized"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove/blocks"
	"provenance/zkprover/statement"
	"provenance/zkprover/weights"
)

const (
	mergeRows, mergeColumns, mergeRank = 8, 64, 8
	mergeScale                         = 3 << 15 // 1.5
)

// patterns are drawn bfloat16 numbers with |x| in [2^-6, 2^-2).
func patterns(count int, what string) []uint16 {
	out := make([]uint16, count)
	for i := range out {
		d := draw.Digest("%s %d", what, i)
		out[i] = uint16(d[0]&1)<<15 | (127-6+uint16(d[1]&3))<<7 | uint16(d[2]&127)
	}
	return out
}

func newTensor(
	name string, layout weights.Layout, rows, columns int, values []uint16,
) (blocks.Tensor, error) {
	grid, err := weights.NewGrid(weights.BF16, layout, rows, columns, 0)
	if err != nil {
		return blocks.Tensor{}, err
	}
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint16(data, v)
	}
	built, err := weights.New(grid, 1, bytes.NewReader(data), nil)
	return blocks.Tensor{Name: name, Tree: built}, err
}

// quantizedBlock is the deployed form of a block. Codes are rounded from 64-bit floats: no ratio of
// two bfloat16 numbers lies so near a tie that this rounds it to the wrong side.
func quantizedBlock(kind kinds.Kind, block []uint16) ([]byte, error) {
	top, err := new(quantized.Maximum).Set((*[page.Values]uint16)(block))
	if err != nil {
		return nil, err
	}
	scale, err := new(quantized.Scale).Set(top)
	if err != nil {
		return nil, err
	}
	largest := 0.0
	for _, pattern := range block {
		largest = max(largest, math.Abs(number(pattern)))
	}
	out := binary.LittleEndian.AppendUint16(nil, scale)
	if kind == kinds.Int8 {
		out = binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(largest)))
	}
	for _, pattern := range block {
		out = append(out, byte(int8(math.Round(127*number(pattern)/largest))))
	}
	return out, nil
}

// number is the value of a bfloat16 pattern.
func number(pattern uint16) float64 { return float64(math.Float32frombits(uint32(pattern) << 16)) }

// Quantized makes proofs of three blocks of one tensor, one block each.
func Quantized(cache string, kind kinds.Kind) (any, error) {
	key, err := loadKey(cache, circuits.Shape{Kind: kind, Slots: 1, Depth: 1})
	if err != nil {
		return nil, err
	}
	const count = 9 // blocks, one in a row
	values := patterns(count*page.Values, "quantized")
	tensor, err := newTensor("tensor", weights.Rows, count, page.Values, values)
	if err != nil {
		return nil, err
	}
	provers := map[kinds.Kind]func(*keys.Key, *weights.Tree, []int,
		[]byte) (*proof.Proof, error){
		kinds.Q8_0: blocks.Q8_0, kinds.Int8: blocks.Int8,
	}
	var proofs []labelled
	for _, index := range []int{0, 4, count - 1} {
		deployed, err := quantizedBlock(kind, values[index*page.Values:(index+1)*page.Values])
		if err != nil {
			return nil, err
		}
		p, err := provers[kind](key, tensor.Tree, []int{index}, deployed)
		if err != nil {
			return nil, err
		}
		proofs = append(proofs, labelled{fmt.Sprintf("%s: block %d", kind, index), p})
	}
	return plainProofs(key, proofs)
}

// newMerger is one adapted tensor, honestly merged.
func newMerger() (*blocks.Merger, error) {
	base, merged := patterns(mergeRows*mergeColumns, "base"), make([]uint16, mergeRows*mergeColumns)
	a, b := patterns(mergeRank*mergeColumns, "a"), patterns(mergeRows*mergeRank, "b")
	for at := range merged {
		i, j := at/mergeColumns, at%mergeColumns
		column := make([]uint16, mergeRank)
		for k := range column {
			column[k] = a[k*mergeColumns+j]
		}
		merged[at] = statement.MergedValue(base[at], mergeScale,
			b[i*mergeRank:(i+1)*mergeRank], column)
	}
	m := &blocks.Merger{Scale: mergeScale}
	for _, t := range []struct {
		to            *blocks.Tensor
		name          string
		layout        weights.Layout
		rows, columns int
		values        []uint16
	}{
		{&m.Base, "base", weights.Rows, mergeRows, mergeColumns, base},
		{&m.A, "a", weights.LoraA, mergeRank, mergeColumns, a},
		{&m.B, "b", weights.LoraB, mergeRows, mergeRank, b},
		{&m.Merged, "merged", weights.Rows, mergeRows, mergeColumns, merged},
	} {
		var err error
		if *t.to, err = newTensor(t.name, t.layout, t.rows, t.columns, t.values); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func Merge(cache string) (any, error) {
	key, err := loadKey(cache, circuits.MergeShape(1, 1, mergeRank))
	if err != nil {
		return nil, err
	}
	merger, err := newMerger()
	if err != nil {
		return nil, err
	}
	var proofs []labelled
	for _, index := range []int{0, 5, 15} {
		p, err := merger.Prove(key, []int{index})
		if err != nil {
			return nil, err
		}
		proofs = append(proofs, labelled{fmt.Sprintf("merge: block %d", index), p})
	}
	return plainProofs(key, proofs)
}

// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/quantized"
	"provenance/zkprover/gadgets/rankone"
)

// Q8_0 is the circuit of the statement `q8_0`: blocks of a committed bfloat16 tensor and their
// bytes in a GGUF file.
//
// Shown, for each block number n of the index words: block n of the tree with this root quantizes
// to the 34 bytes given. The first two are the scale: the float16 nearest (even on ties) to
// max|x|/127, low byte first. Each other byte is code + 128, for an integer code nearest to
// 127*x/max|x|; at an exact tie either one. A block of zeros has scale 0 and codes 0.
//
// Not shown: that n is below the tensor's number of blocks, and that n was drawn; anything about
// other blocks. Blocks with NaN, infinities, a scale that is not finite or a subnormal maximum have
// no witness.
//
// Inputs. Root and nodes: any element. The circuit makes the bits of values and scales boolean, and
// bounds codes, so every byte is in [0, 255]. No equation wraps around r: sides with all
// denominators are below 2^150 (package quantized).
//
// Commitments: none, and no lookups.
//
// Constraints: 4,379 for one block at depth 3 and 3,767 for each more, of which 1,827
// are Poseidon and 512 the values' bits (snapshot-tested).
//
// Source: docs/formats/statements.md, "q8_0"; quantize_row_q8_0_ref of ggml-org/ggml,
// src/ggml-quants.c.
type Q8_0 struct {
	Quantized
	Blocks []Q8_0Block
}

// Q8_0Block is the witness of one block.
type Q8_0Block struct {
	OpenedBlock
	Maximum quantized.Maximum
	Scale   quantized.Scale
}

// NewQ8_0 is the circuit for b blocks in a tree with these levels above the pages.
func NewQ8_0(blocks, levels int) *Q8_0 {
	c := &Q8_0{Quantized: newQuantized(blocks, Q8_0Bytes), Blocks: make([]Q8_0Block, blocks)}
	for i := range c.Blocks {
		c.Blocks[i].OpenedBlock = newOpenedBlock(levels, quantized.FormatQ8_0)
	}
	return c
}

// Define implements frontend.Circuit.
func (c *Q8_0) Define(api frontend.API) error {
	t, err := c.open(api)
	if err != nil {
		return err
	}
	rows := rankone.New(api)
	var indexes, bytes []frontend.Variable
	for i := range c.Blocks {
		b := &c.Blocks[i]
		index, values := b.values(rows, t)
		top := b.Maximum.Constrain(rows, values)
		low, high := b.Scale.Constrain(rows, &b.Maximum, top)
		indexes = append(indexes, index)
		codes := b.codes(rows, quantized.FormatQ8_0, values, top)
		bytes = append(append(bytes, low, high), codes...)
	}
	c.assert(api, indexes, bytes)
	return nil
}

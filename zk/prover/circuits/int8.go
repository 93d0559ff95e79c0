// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/quantized"
	"provenance/zkprover/gadgets/rankone"
)

// Int8 is the circuit of the statement `int8`: blocks of a committed bfloat16 tensor and their
// codes in a row-wise quantized file (LLM.int8).
//
// Shown, for each block number n of the index words: block n of the tree with this root quantizes
// to the 36 bytes given. The first four are SCB, the row's maximum as a float32, little-endian;
// each other byte is code + 128. Every weight x, rounded to float16, satisfies |x| <= SCB. Its code
// is an integer nearest to 127*x/SCB; at an exact tie either one.
//
// Not shown: that SCB is the maximum of the whole row, or that blocks of one row have the same;
// that n is below the tensor's number of blocks, and that n was drawn; anything about other blocks.
//
// No witness exists for blocks with NaN or infinities, and for other values of SCB than these: 0,
// and then the block is zeros, or a float16 in [2^-9, 65504].
//
// Inputs. Root and nodes: any element. The circuit makes the bits of values and SCB boolean, and
// bounds codes, so every byte is in [0, 255]. No equation wraps around r: sides with all
// denominators are below 2^150 (package quantized).
//
// Commitments: none, and no lookups.
//
// Constraints: 4,388 for one block at depth 3 and 3,776 for each more, of which 1,827
// are Poseidon and 512 the values' bits (snapshot-tested).
//
// Source: docs/formats/statements.md, "int8"; Dettmers et al., "LLM.int8()", NeurIPS 2022;
// bitsandbytes, int8_vectorwise_quant.
type Int8 struct {
	Quantized
	Blocks []Int8Block
}

// Int8Block is the witness of one block.
type Int8Block struct {
	OpenedBlock
	Maximum quantized.Float32
}

// NewInt8 is the circuit for b blocks in a tree with these levels above the pages.
func NewInt8(blocks, levels int) *Int8 {
	c := &Int8{Quantized: newQuantized(blocks, Int8Bytes), Blocks: make([]Int8Block, blocks)}
	for i := range c.Blocks {
		c.Blocks[i].OpenedBlock = newOpenedBlock(levels, quantized.FormatInt8)
	}
	return c
}

// Define implements frontend.Circuit.
func (c *Int8) Define(api frontend.API) error {
	t, err := c.open(api)
	if err != nil {
		return err
	}
	rows := rankone.New(api)
	var indexes, bytes []frontend.Variable
	for i := range c.Blocks {
		b := &c.Blocks[i]
		index, values := b.values(rows, t)
		top, maximum := b.Maximum.Constrain(rows, values)
		indexes = append(indexes, index)
		codes := b.codes(rows, quantized.FormatInt8, values, top)
		bytes = append(append(bytes, maximum...), codes...)
	}
	c.assert(api, indexes, bytes)
	return nil
}

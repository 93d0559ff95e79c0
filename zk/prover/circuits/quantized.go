// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/page"
	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/gadgets/quantized"
	"provenance/zkprover/gadgets/rankone"
	"provenance/zkprover/kinds"
	"provenance/zkprover/tree"
)

// Q8_0Bytes and Int8Bytes are the bytes of a block: its scale or maximum, then 32 codes.
const (
	Q8_0Bytes = kinds.Q8_0BlockBytes
	Int8Bytes = kinds.Int8BlockBytes
)

// Quantized is what the circuits of quantized blocks have in common: root, index words and code
// words are public, and every block is opened in one tree.
type Quantized struct {
	Root    frontend.Variable   `gnark:",public"`
	Indexes []frontend.Variable `gnark:",public"`
	Codes   []frontend.Variable `gnark:",public"`

	Top page.Children // of the root
}

// OpenedBlock is the witness of one block: its place, its values and its codes.
type OpenedBlock struct {
	At      page.Position
	Opening page.BlockPath
	Bits    [page.Values][quantized.PatternBits]frontend.Variable // see quantized.Lowered
	Codes   [page.Values]quantized.Code
}

func newQuantized(blocks, blockBytes int) Quantized {
	return Quantized{
		Indexes: make([]frontend.Variable, kinds.IndexCount(blocks)),
		Codes:   make([]frontend.Variable, kinds.CodeCount(blocks, blockBytes)),
	}
}

func newOpenedBlock(levels int, format quantized.Format) OpenedBlock {
	b := OpenedBlock{At: page.NewPosition(levels), Opening: page.NewBlockPath(page.Values, levels)}
	for i := range b.Codes {
		b.Codes[i] = format.NewCode()
	}
	return b
}

// open returns the tree that the blocks are opened in.
func (c *Quantized) open(api frontend.API) (*page.Tree, error) {
	hash, err := poseidon.NewGadget(api, tree.Arity)
	if err != nil {
		return nil, err
	}
	return page.NewTree(api, hash, c.Root, &c.Top), nil
}

// values decodes the block's values and opens the block; it returns the block's number. Together
// with the constraints of [OpenedBlock.codes] patterns are below 2^16.
func (b *OpenedBlock) values(
	api *rankone.API, t *page.Tree,
) (frontend.Variable, []*quantized.Value) {
	at := b.At.Constrain(api)
	values := make([]*quantized.Value, len(b.Bits))
	patterns := make([]frontend.Variable, len(b.Bits))
	for i := range values {
		values[i] = quantized.Decode(api, &b.Bits[i], b.Codes[i].Normal)
		patterns[i] = values[i].Pattern
	}
	t.Block(at, &b.Opening, patterns)
	return at.Index, values
}

// codes returns the biased codes of the values.
func (b *OpenedBlock) codes(
	api *rankone.API, f quantized.Format, values []*quantized.Value, top quantized.Top,
) []frontend.Variable {
	out := make([]frontend.Variable, len(values))
	for i := range out {
		out[i] = f.Constrain(api, &b.Codes[i], values[i], top)
	}
	return out
}

// assert constrains the public words. Every byte is in [0, 255]: codes by [quantized.Format], the
// scale's by [quantized.Scale], the maximum's by [quantized.Float32]. So the bytes can be packed in
// one way only.
func (c *Quantized) assert(api frontend.API, indexes, bytes []frontend.Variable) {
	page.AssertIndexes(api, c.Indexes, indexes)
	for w := range c.Codes {
		var sum frontend.Variable = 0
		for i := w * kinds.BytesPerWord; i < (w+1)*kinds.BytesPerWord; i++ {
			sum = api.Mul(sum, 256)
			if i < len(bytes) {
				sum = api.Add(sum, bytes[i])
			}
		}
		api.AssertIsEqual(sum, c.Codes[w])
	}
}

// SPDX-License-Identifier: Apache-2.0

package blocks

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/page"
	"provenance/zkprover/gadgets/quantized"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove"
	"provenance/zkprover/weights"
)

const (
	// codeBias is what circuits add to a code. Files hold codes as signed bytes, so adding it flips
	// the highest bit.
	codeBias = 0x80
	// scaleBytes and maximumBytes stand before the codes of a block: a float16 in GGUF, a float32
	// in int8 files.
	scaleBytes   = circuits.Q8_0Bytes - page.Values
	maximumBytes = circuits.Int8Bytes - page.Values
)

var errScale = errors.New("the scale is not the nearest one")

// quantization is a statement about blocks of a tensor and their bytes in a deployed file.
type quantization struct {
	kind       kinds.Kind
	blockBytes int
	assign     assigner
}

// assigner assigns the circuit of a shape from bytes with biased codes, and returns it with its
// public inputs.
type assigner func(
	shape circuits.Shape, t *weights.Tree, indexes []int, biased []byte,
) (frontend.Circuit, []fr.Element, error)

// Q8_0 proves that the blocks with these numbers quantize to the given bytes: 34 a block, as they
// stand in a GGUF file. The tree's tensor must be BF16 of layout rows, and its depth the key's.
func Q8_0(key *keys.Key, t *weights.Tree, indexes []int, deployed []byte) (*proof.Proof, error) {
	q := quantization{kinds.Q8_0, circuits.Q8_0Bytes, newQ8_0}
	return q.prove(key, t, indexes, deployed)
}

// Int8 proves that the blocks with these numbers quantize to the given bytes: for each block the
// row's float32 maximum, little-endian, then 32 codes as signed bytes.
func Int8(key *keys.Key, t *weights.Tree, indexes []int, deployed []byte) (*proof.Proof, error) {
	q := quantization{kinds.Int8, circuits.Int8Bytes, newInt8}
	return q.prove(key, t, indexes, deployed)
}

func newQ8_0(
	shape circuits.Shape, t *weights.Tree, indexes []int, biased []byte,
) (frontend.Circuit, []fr.Element, error) {
	c := circuits.NewQ8_0(shape.Slots, shape.Depth)
	public, err := assignQ8_0(c, t, indexes, biased)
	return c, public, err
}

func newInt8(
	shape circuits.Shape, t *weights.Tree, indexes []int, biased []byte,
) (frontend.Circuit, []fr.Element, error) {
	c := circuits.NewInt8(shape.Slots, shape.Depth)
	public, err := assignInt8(c, t, indexes, biased)
	return c, public, err
}

func (q *quantization) prove(
	key *keys.Key, t *weights.Tree, indexes []int, deployed []byte,
) (*proof.Proof, error) {
	shape := circuits.Shape{Kind: q.kind, Slots: len(indexes), Depth: t.Depth()}
	if key.Shape != shape {
		return nil, fault.Differs(fault.Mismatch, "key", shape, key.Shape)
	}
	if grid := t.Grid(); grid.DType != weights.BF16 || grid.Layout != weights.Rows {
		return nil, fault.Differs(fault.BadRequest, "tensor", "BF16 of layout rows",
			fmt.Sprintf("%v of layout %v", grid.DType, grid.Layout))
	}
	if want := len(indexes) * q.blockBytes; len(deployed) != want {
		return nil, fault.Differs(fault.BadFile, "bytes of the blocks", want, len(deployed))
	}
	circuit, public, err := q.assign(key.Shape, t, indexes, biasCodes(deployed, q.blockBytes))
	if err != nil {
		return nil, err
	}
	return prove.Statement(key, circuit, public)
}

// biasCodes returns the bytes of the blocks with [codeBias] added to each code.
func biasCodes(deployed []byte, blockBytes int) []byte {
	out := append([]byte(nil), deployed...)
	for i := range out {
		if i%blockBytes >= blockBytes-page.Values {
			out[i] ^= codeBias
		}
	}
	return out
}

// assignQ8_0 assigns everything and returns the public inputs. If a block's bytes are not its
// quantization, the error names block and code; the assignment is then complete, but false.
func assignQ8_0(
	c *circuits.Q8_0, t *weights.Tree, indexes []int, biased []byte,
) ([]fr.Element, error) {
	var failure error
	for i := range c.Blocks {
		b, content := &c.Blocks[i], biased[i*circuits.Q8_0Bytes:(i+1)*circuits.Q8_0Bytes]
		w, err := openQuantized(&c.Quantized, &b.OpenedBlock, t, indexes[i])
		if err != nil {
			return nil, err
		}
		top, err := b.Maximum.Set(&w.patterns)
		w.require("maximum", err)
		scale, err := b.Scale.Set(top)
		if err == nil && scale != binary.LittleEndian.Uint16(content) {
			err = errScale
		}
		w.require("scale", err)
		w.setCodes(quantized.FormatQ8_0, top, content[scaleBytes:])
		failure = first(failure, w.failure)
	}
	return assignPublic(&c.Quantized, t, indexes, biased), failure
}

// assignInt8 is assignQ8_0 for the statement `int8`.
func assignInt8(
	c *circuits.Int8, t *weights.Tree, indexes []int, biased []byte,
) ([]fr.Element, error) {
	var failure error
	for i := range c.Blocks {
		b, content := &c.Blocks[i], biased[i*circuits.Int8Bytes:(i+1)*circuits.Int8Bytes]
		w, err := openQuantized(&c.Quantized, &b.OpenedBlock, t, indexes[i])
		if err != nil {
			return nil, err
		}
		top, err := b.Maximum.Set(binary.LittleEndian.Uint32(content))
		w.require("maximum", err)
		w.setCodes(quantized.FormatInt8, top, content[maximumBytes:])
		failure = first(failure, w.failure)
	}
	return assignPublic(&c.Quantized, t, indexes, biased), failure
}

// quantizedWitness assigns one block and keeps the first fault that it finds.
type quantizedWitness struct {
	index    int
	block    *circuits.OpenedBlock
	patterns [page.Values]uint16
	failure  error
}

// openQuantized assigns a block's place and values.
func openQuantized(
	c *circuits.Quantized, b *circuits.OpenedBlock, t *weights.Tree, index int,
) (*quantizedWitness, error) {
	patterns, err := openBlock(t, index, &b.Opening, &c.Top)
	if err != nil {
		return nil, err
	}
	b.At.Set(index)
	for i, pattern := range patterns {
		integer.SetBits(b.Bits[i][:], quantized.Lowered(pattern))
	}
	return &quantizedWitness{index: index, block: b, patterns: patterns}, nil
}

func (w *quantizedWitness) setCodes(f quantized.Format, top quantized.Magnitude, biased []byte) {
	for i := range w.block.Codes {
		w.require(fmt.Sprintf("code %d", i), w.block.Codes[i].Set(f, w.patterns[i], top, biased[i]))
	}
}

// require keeps the fault of a part of the block, if it is the first. The fault names the place,
// and quotes no value.
func (w *quantizedWitness) require(part string, err error) {
	if err == nil || w.failure != nil {
		return
	}
	hint := "the deployed file was not made from this tensor by this quantization, " +
		"or a value of it was changed"
	if quantized.Beyond(err) {
		hint = "the file may be right: no proof can be made about this block, whatever its codes"
	}
	w.failure = fault.New(fault.Unproven, "block %d, %s: %v", w.index, part, err).WithHint(hint)
}

func first(earlier, later error) error {
	if earlier != nil {
		return earlier
	}
	return later
}

// assignPublic assigns the public inputs and returns them in order.
func assignPublic(
	c *circuits.Quantized, t *weights.Tree, indexes []int, biased []byte,
) []fr.Element {
	words := codeWords(biased)
	public := append([]fr.Element{t.Root()}, page.PackIndexes(indexes)...)
	for i := range c.Indexes {
		c.Indexes[i] = public[1+i]
	}
	for i := range c.Codes {
		c.Codes[i] = words[i]
	}
	c.Root = public[0]
	return append(public, words...)
}

// codeWords cuts bytes into words, the last one filled up with zeros.
func codeWords(content []byte) []fr.Element {
	words := make([]fr.Element, kinds.CodeCount(1, len(content)))
	for i := range words {
		var piece [kinds.BytesPerWord]byte
		copy(piece[:], content[i*kinds.BytesPerWord:])
		words[i].SetBytes(piece[:])
	}
	return words
}

// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"encoding/binary"
	"fmt"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/page"
	"provenance/zkprover/gadgets/quantized"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/weights"
)

// Q8_0 proves that the blocks of these numbers quantize to the bytes given, 34 a block as they stand in a GGUF file. The
// tree's tensor must be BF16 of layout rows, its depth the key's.
func Q8_0(key *keys.Key, t *weights.Tree, indexes []int, deployed []byte) (*proof.Proof, error) {
	return quantize(key, circuits.KindQ8_0, t, indexes, deployed, func(biased []byte) (frontend.Circuit, []fr.Element, error) {
		c := circuits.NewQ8_0(key.Shape.Slots, key.Shape.Depth)
		public, err := assignQ8_0(c, t, indexes, biased)
		return c, public, err
	})
}

// Int8 proves that the blocks of these numbers quantize to the bytes given: for each the row's float32 maximum,
// little-endian, then 32 codes as signed bytes.
func Int8(key *keys.Key, t *weights.Tree, indexes []int, deployed []byte) (*proof.Proof, error) {
	return quantize(key, circuits.KindInt8, t, indexes, deployed, func(biased []byte) (frontend.Circuit, []fr.Element, error) {
		c := circuits.NewInt8(key.Shape.Slots, key.Shape.Depth)
		public, err := assignInt8(c, t, indexes, biased)
		return c, public, err
	})
}

func quantize(key *keys.Key, kind circuits.Kind, t *weights.Tree, indexes []int, deployed []byte,
	assign func(biased []byte) (frontend.Circuit, []fr.Element, error)) (*proof.Proof, error) {
	if shape := (circuits.Shape{Kind: kind, Slots: len(indexes), Depth: t.Depth()}); key.Shape != shape {
		return nil, fault.Differs(fault.Mismatch, "key", shape, key.Shape)
	}
	if grid := t.Grid(); grid.DType != weights.BF16 || grid.Layout != weights.Rows {
		return nil, fault.Differs(fault.BadRequest, "tensor", "BF16 of layout rows", fmt.Sprintf("%v of layout %v", grid.DType, grid.Layout))
	}
	blockBytes := blockBytes(kind)
	if len(deployed) != len(indexes)*blockBytes {
		return nil, fault.Differs(fault.BadFile, "bytes of the blocks", len(indexes)*blockBytes, len(deployed))
	}
	circuit, public, err := assign(biasCodes(deployed, blockBytes))
	if err != nil {
		return nil, err
	}
	p, err := groth16Proof(key, circuit)
	if err != nil {
		return nil, err
	}
	p.Public = public
	return p, check(key, p)
}

func blockBytes(kind circuits.Kind) int {
	if kind == circuits.KindInt8 {
		return circuits.Int8Bytes
	}
	return circuits.Q8_0Bytes
}

// biasCodes flips the highest bit of each code, which adds 128 to it.
func biasCodes(deployed []byte, blockBytes int) []byte {
	out := append([]byte(nil), deployed...)
	for i := range out {
		if i%blockBytes >= blockBytes-page.Values {
			out[i] ^= 0x80
		}
	}
	return out
}

// assignQ8_0 assigns everything and returns the public inputs. A block whose bytes are not its quantization is an error
// that names block and code; the assignment is complete then, and false.
func assignQ8_0(c *circuits.Q8_0, t *weights.Tree, indexes []int, biased []byte) ([]fr.Element, error) {
	var failure error
	for i := range c.Blocks {
		b, bytes := &c.Blocks[i], biased[i*circuits.Q8_0Bytes:(i+1)*circuits.Q8_0Bytes]
		patterns, err := openBlock(&c.Quantized, &b.OpenedBlock, t, indexes[i])
		if err != nil {
			return nil, err
		}
		top, err := b.Maximum.Set(patterns)
		failure = first(failure, unproven(indexes[i], "maximum", err))
		scale, err := b.Scale.Set(top)
		if err == nil && scale != binary.LittleEndian.Uint16(bytes) {
			err = fmt.Errorf("the scale is not the nearest one")
		}
		failure = first(failure, unproven(indexes[i], "scale", err))
		failure = first(failure, assignCodes(&b.OpenedBlock, quantized.FormatQ8_0, patterns, top, indexes[i], bytes[2:]))
	}
	return assignPublic(&c.Quantized, t, indexes, biased), failure
}

func assignInt8(c *circuits.Int8, t *weights.Tree, indexes []int, biased []byte) ([]fr.Element, error) {
	var failure error
	for i := range c.Blocks {
		b, bytes := &c.Blocks[i], biased[i*circuits.Int8Bytes:(i+1)*circuits.Int8Bytes]
		patterns, err := openBlock(&c.Quantized, &b.OpenedBlock, t, indexes[i])
		if err != nil {
			return nil, err
		}
		top, err := b.Maximum.Set(binary.LittleEndian.Uint32(bytes))
		failure = first(failure, unproven(indexes[i], "maximum", err))
		failure = first(failure, assignCodes(&b.OpenedBlock, quantized.FormatInt8, patterns, top, indexes[i], bytes[4:]))
	}
	return assignPublic(&c.Quantized, t, indexes, biased), failure
}

// openBlock assigns a block's place and values, which it returns.
func openBlock(c *circuits.Quantized, b *circuits.OpenedBlock, t *weights.Tree, index int) (*[page.Values]uint16, error) {
	opening, err := t.Open(index)
	if err != nil {
		return nil, err
	}
	b.At.Set(index)
	slot := index % page.Blocks
	if err := b.Opening.Set(&opening.Page, slot, opening.Path); err != nil {
		return nil, fault.New(fault.Internal, "%v", err)
	}
	page.SetChildren(&c.Top, &opening.Path[len(opening.Path)-1])
	blocks, err := page.Unpack(&opening.Page)
	if err != nil {
		return nil, fault.New(fault.Internal, "%v", err)
	}
	for i, pattern := range blocks[slot] {
		for k := range b.Bits[i] {
			b.Bits[i][k] = pattern >> k & 1
		}
	}
	return &blocks[slot], nil
}

func assignCodes(b *circuits.OpenedBlock, f quantized.Format, patterns *[page.Values]uint16, top quantized.Magnitude, index int, biased []byte) error {
	var failure error
	for i := range b.Codes {
		err := b.Codes[i].Set(f, patterns[i], top, biased[i])
		failure = first(failure, unproven(index, fmt.Sprintf("code %d", i), err))
	}
	return failure
}

// assignPublic assigns the public inputs and returns them in order.
func assignPublic(c *circuits.Quantized, t *weights.Tree, indexes []int, biased []byte) []fr.Element {
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
func codeWords(bytes []byte) []fr.Element {
	words := make([]fr.Element, (len(bytes)+circuits.BytesPerWord-1)/circuits.BytesPerWord)
	for i := range words {
		var piece [circuits.BytesPerWord]byte
		copy(piece[:], bytes[i*circuits.BytesPerWord:])
		words[i].SetBytes(piece[:])
	}
	return words
}

// unproven names the place of what is false, and no values.
func unproven(index int, part string, err error) error {
	if err == nil {
		return nil
	}
	hint := "the deployed file was not made from this tensor by this quantization, or a value of it was changed"
	if quantized.Beyond(err) {
		hint = "the file may be right: no proof can be made about this block, whatever its codes"
	}
	return fault.New(fault.Unproven, "block %d, %s: %v", index, part, err).WithHint(hint)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

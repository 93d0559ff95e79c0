// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"encoding/binary"
	"errors"
	"io"

	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// reader turns bytes of a tensor into pages. It belongs to one goroutine.
type reader struct {
	grid   Grid
	values io.ReaderAt
	buffer []byte
	bytes  int64
}

// taken is the number of bytes read since the last call.
func (r *reader) taken() int64 {
	n := r.bytes
	r.bytes = 0
	return n
}

// hashes are the hashes of the pages below node `parent` of level 1, 0 for empty slots.
func (r *reader) hashes(parent int) (Page, error) {
	var out Page
	blocks, err := r.pages(parent*tree.Arity, tree.Arity)
	if err != nil {
		return out, err
	}
	per := r.grid.DType.BlocksPerPage()
	for i := range out {
		if r.grid.isPage(parent*tree.Arity + i) {
			page := Pack(r.grid.DType.Bits(), blocks[i*per:(i+1)*per])
			out[i] = poseidon.Hash16(&page)
		}
	}
	return out, nil
}

// page is the blocks of one slot.
func (r *reader) page(slot int) ([]Block, error) { return r.pages(slot, 1) }

// pages are the blocks of consecutive slots; places without values are zeros.
func (r *reader) pages(slot, count int) ([]Block, error) {
	per := r.grid.DType.BlocksPerPage()
	blocks := make([]Block, count*per)
	var from, to int64 // of the tensor's bytes in the buffer
	for i := range blocks {
		row, column, ok := r.grid.cell(slot+i/per, i%per)
		if !ok {
			continue
		}
		start, end := r.grid.span(row, column)
		if start < from || end > to {
			from, to = start, r.readAhead(slot, count, start, end)
			if err := r.fill(from, to); err != nil {
				return nil, err
			}
		}
		unpack(r.grid.DType, r.buffer[start-from:end-from], &blocks[i])
	}
	return blocks, nil
}

// readAhead is how far to read when a block's bytes are needed. If the blocks lie in the order of
// the file, it is the end of the last slot's blocks.
func (r *reader) readAhead(slot, count int, start, end int64) int64 {
	if r.grid.Layout == LoraA {
		return end
	}
	last := min((slot+count)*r.grid.DType.BlocksPerPage(), r.grid.Blocks()) - 1
	per := r.grid.BlocksPerRow()
	_, end = r.grid.span(last/per, last%per)
	return end
}

func (r *reader) fill(from, to int64) error {
	size := int(to - from)
	if cap(r.buffer) < size {
		r.buffer = make([]byte, size)
	}
	r.buffer = r.buffer[:size]
	n, err := r.values.ReadAt(r.buffer, from)
	r.bytes += int64(n)
	if n == size {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fault.New(fault.BadFile, "the file shrank while it was read")
	}
	return fault.New(fault.BadFile, "%v", err)
}

// unpack reads little-endian patterns.
func unpack(dtype DType, data []byte, into *Block) {
	if dtype.Bits() == 32 {
		for i := range len(data) / 4 {
			into[i] = binary.LittleEndian.Uint32(data[4*i:])
		}
		return
	}
	for i := range len(data) / 2 {
		into[i] = uint32(binary.LittleEndian.Uint16(data[2*i:]))
	}
}

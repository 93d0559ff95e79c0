// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"provenance/zkprover/fault"
)

const (
	ggufMagic            = "GGUF"
	ggufDefaultAlignment = 32
	ggufMaxAlignment     = 1 << 16
	ggufMaxDims          = 4
	ggufMaxKeys          = 1 << 16
	ggufSmallestKey      = 8 + 4 + 1
	ggufSmallestTensor   = 8 + 4 + 8 + 4 + 8
	ggufUint32           = 4
	ggufString           = 8
	ggufArray            = 9
	maxValues            = 1 << 52 // of a tensor, whose bytes then fit 63 bits
)

// ggufWidths are the bytes of each scalar type of a key's value, by the type's number; 0 for
// strings, arrays and unknown types.
var ggufWidths = [...]int64{
	0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 8: 0, 9: 0, 10: 8, 11: 8, 12: 8,
}

// ggufBlock is how many values a block of a type has, and how many bytes.
type ggufBlock struct{ values, bytes uint64 }

// ggufTypes are the types of tensors by number, as in ggml's type traits.
var ggufTypes = map[uint32]ggufBlock{
	0: {1, 4}, 1: {1, 2}, 2: {32, 18}, 3: {32, 20}, 6: {32, 22}, 7: {32, 24}, 8: {32, 34},
	9: {32, 40}, 10: {256, 84}, 11: {256, 110}, 12: {256, 144}, 13: {256, 176}, 14: {256, 210},
	15: {256, 292}, 16: {256, 66}, 17: {256, 74}, 18: {256, 98}, 19: {256, 50}, 20: {32, 18},
	21: {256, 110}, 22: {256, 82}, 23: {256, 136}, 24: {1, 1}, 25: {1, 2}, 26: {1, 4}, 27: {1, 8},
	28: {1, 8}, 29: {256, 56}, 30: {1, 2}, 34: {256, 54}, 35: {256, 66}, 39: {32, 17},
	40: {64, 36}, 41: {128, 18},
}

// ggufNames are the types that can be committed to; others are named by their number.
var ggufNames = map[uint32]string{0: "F32", 1: "F16", 30: "BF16"}

// readGGUF reads the header: keys and tensor infos. It compares every count and length with what is
// left of the header's limit before it uses them. Of keys it only keeps the names.
//
// Layout (little-endian): "GGUF" | version u32 | tensor count u64 | key count u64 | keys | tensor
// infos | padding | data. Source: the GGUF specification (ggml-org/ggml, docs/gguf.md), versions 2
// and 3.
func readGGUF(file io.Reader, limit, size int64) ([]Entry, error) {
	c := &cursor{reader: bufio.NewReaderSize(file, 1<<16), left: limit}
	c.take(int64(len(ggufMagic)), "magic")
	if version := c.u32("version"); c.err == nil && version != 2 && version != 3 {
		return nil, fault.Differs(fault.BadFile, "GGUF version", "2 or 3", version)
	}
	tensors := c.count(ggufSmallestTensor, maxTensors, "tensors")
	alignment := c.keys()
	var entries []Entry
	var starts []uint64
	seen := map[string]bool{}
	for i := int64(0); i < tensors && c.err == nil; i++ {
		entry, offset := c.tensor()
		if seen[entry.Name] {
			c.fail(fault.Differs(fault.BadFile, "tensor "+clipped(entry.Name), "once", "twice"))
		}
		seen[entry.Name] = true
		entries, starts = append(entries, entry), append(starts, offset)
	}
	if c.err != nil {
		return nil, c.err
	}
	base := (limit - c.left + alignment - 1) / alignment * alignment
	return entries, placeGGUF(entries, starts, base, alignment, size)
}

// placeGGUF turns offsets into positions. Tensors must lie in the file, be aligned and not overlap.
func placeGGUF(entries []Entry, offsets []uint64, base, alignment, size int64) error {
	for i := range entries {
		e := &entries[i]
		length := uint64(e.End) // set by tensor
		room := uint64(max(0, size-base))
		if offsets[i]%uint64(alignment) != 0 || offsets[i] > room || length > room-offsets[i] {
			return fault.Differs(fault.BadFile, "tensor "+clipped(e.Name),
				fmt.Sprintf("aligned, and within %d bytes", room),
				fmt.Sprintf("%d bytes at %d", length, offsets[i])).
				WithHint("the file is truncated or malformed")
		}
		e.Start = base + int64(offsets[i])
		e.End = e.Start + int64(length)
	}
	previous := base
	for _, e := range byStart(entries) {
		if e.Start < previous {
			return fault.Differs(fault.BadFile, "start of tensor "+clipped(e.Name),
				fmt.Sprintf("at least %d", previous), e.Start)
		}
		previous = e.End
	}
	return nil
}

// cursor reads a header from front to back and keeps the first error.
type cursor struct {
	reader *bufio.Reader
	left   int64
	err    error
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// admit takes count bytes from the limit; false if fewer are left.
func (c *cursor) admit(count int64, what string) bool {
	if c.err == nil && (count < 0 || count > c.left) {
		c.fail(fault.Differs(fault.BadFile, "GGUF "+what,
			fmt.Sprintf("at most %d bytes", c.left), count).
			WithHint("the file is truncated, or its header is larger than 100 MB"))
	}
	if c.err == nil {
		c.left -= count
	}
	return c.err == nil
}

func (c *cursor) take(count int64, what string) []byte {
	if !c.admit(count, what) {
		return make([]byte, 8) // for callers that read at most 8 bytes; the error is kept
	}
	data := make([]byte, count)
	if _, err := io.ReadFull(c.reader, data); err != nil {
		c.fail(fault.New(fault.BadFile, "GGUF %s: %v", what, err))
	}
	return data
}

func (c *cursor) skip(count int64, what string) {
	if !c.admit(count, what) {
		return
	}
	if _, err := io.CopyN(io.Discard, c.reader, count); err != nil {
		c.fail(fault.New(fault.BadFile, "GGUF %s: %v", what, err))
	}
}

func (c *cursor) u32(what string) uint32 { return binary.LittleEndian.Uint32(c.take(4, what)) }
func (c *cursor) u64(what string) uint64 { return binary.LittleEndian.Uint64(c.take(8, what)) }

// count reads a number of items, each of which takes at least `smallest` bytes.
func (c *cursor) count(smallest, most int64, what string) int64 {
	n := c.u64(what)
	if bound := min(c.left/smallest, most); c.err == nil && n > uint64(bound) {
		c.fail(fault.Differs(fault.BadFile, "GGUF count of "+what,
			fmt.Sprintf("at most %d", bound), n))
	}
	if c.err != nil {
		return 0
	}
	return int64(n)
}

func (c *cursor) text(what string) string {
	data := c.take(c.count(1, maxHeaderBytes, what), what)
	if c.err == nil && !utf8.Valid(data) {
		c.fail(fault.New(fault.BadFile, "GGUF %s is not UTF-8", what))
	}
	return string(data)
}

// keys skips the keys and returns the alignment that one of them may set.
func (c *cursor) keys() int64 {
	alignment := int64(ggufDefaultAlignment)
	seen := map[string]bool{}
	for n := c.count(ggufSmallestKey, ggufMaxKeys, "keys"); n > 0 && c.err == nil; n-- {
		name := c.text("key name")
		if seen[name] {
			c.fail(fault.Differs(fault.BadFile, "GGUF key "+clipped(name), "once", "twice"))
		}
		seen[name] = true
		kind := c.u32("value type")
		if name != "general.alignment" {
			c.value(kind)
			continue
		}
		value := uint32(0)
		if kind == ggufUint32 {
			value = c.u32("alignment")
		}
		if c.err == nil && (value < 8 || value > ggufMaxAlignment || value&(value-1) != 0) {
			c.fail(fault.Differs(fault.BadFile, "GGUF general.alignment",
				"a power of two, 8..65536, as uint32", value))
		}
		alignment = int64(value)
	}
	return max(1, alignment)
}

// value skips a value.
func (c *cursor) value(kind uint32) {
	switch {
	case c.err != nil:
	case kind == ggufString:
		c.text("value")
	case kind == ggufArray:
		c.array()
	case int(kind) < len(ggufWidths):
		c.skip(ggufWidths[kind], "value")
	default:
		c.fail(fault.Differs(fault.BadFile, "GGUF value type", "0..12", kind))
	}
}

func (c *cursor) array() {
	item := c.u32("item type")
	switch {
	case c.err != nil:
	case item == ggufString:
		for n := c.count(8, maxHeaderBytes, "array items"); n > 0 && c.err == nil; n-- {
			c.skip(c.count(1, maxHeaderBytes, "array item"), "array item")
		}
	case item != ggufArray && int(item) < len(ggufWidths):
		width := ggufWidths[item]
		c.skip(c.count(width, maxHeaderBytes, "array items")*width, "array")
	default:
		c.fail(fault.Differs(fault.BadFile, "GGUF item type", "a scalar or string", item))
	}
}

// tensor reads one tensor info. End holds the tensor's length until [placeGGUF] sets it.
func (c *cursor) tensor() (e Entry, offset uint64) {
	e.Name = c.text("tensor name")
	dims := c.u32("tensor rank")
	if c.err == nil && (dims < 1 || dims > ggufMaxDims) {
		c.fail(fault.Differs(fault.BadFile, "dimensions of tensor "+clipped(e.Name), "1..4", dims))
	}
	for i := uint32(0); i < dims && c.err == nil; i++ {
		e.Shape = append(e.Shape, c.u64("tensor shape"))
	}
	number := c.u32("tensor type")
	offset = c.u64("tensor offset")
	if c.err != nil {
		return e, 0
	}
	block, ok := ggufTypes[number]
	if !ok {
		c.fail(fault.Differs(fault.BadFile, "type of tensor "+clipped(e.Name),
			"a known one", number))
		return e, 0
	}
	values, ok := product(e.Shape, maxValues)
	if !ok || e.Shape[0]%block.values != 0 {
		c.fail(fault.Differs(fault.BadFile, "shape of tensor "+clipped(e.Name),
			fmt.Sprintf("at most 2^52 values in whole blocks of %d", block.values), e.Shape))
		return e, 0
	}
	e.Type = ggufNames[number]
	if e.Type == "" {
		e.Type = fmt.Sprintf("GGML type %d", number)
	}
	slices.Reverse(e.Shape) // the file's order is the reverse of row-major
	e.End = int64(values / block.values * block.bytes)
	return e, offset
}

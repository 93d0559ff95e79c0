// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"provenance/zkprover/fault"
)

var safetensorsBytes = map[string]uint64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2,
	"F16": 2, "BF16": 2,
	"I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}

// readSafetensors reads a length (64 bits, little-endian) and a JSON header of that length. Tensors
// must cover the rest of the file without gap or overlap.
//
// Source: the safetensors format description (huggingface/safetensors, README "Format").
func readSafetensors(file io.Reader, size int64) ([]Entry, error) {
	var prefix [8]byte
	if _, err := io.ReadFull(file, prefix[:]); err != nil {
		return nil, fault.Differs(fault.BadFile, "safetensors file", "at least 8 bytes", size)
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	if limit := uint64(min(size, maxHeaderBytes) - 8); length > limit {
		return nil, fault.Differs(fault.BadFile, "safetensors header",
			fmt.Sprintf("at most %d bytes", limit), length)
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(file, header); err != nil {
		return nil, fault.New(fault.BadFile, "safetensors header: %v", err)
	}
	if !utf8.Valid(header) {
		return nil, fault.New(fault.BadFile, "safetensors header is not UTF-8")
	}
	entries, err := parseEntries(header, 8+int64(length), size)
	if err != nil {
		return nil, err
	}
	return entries, requireCover(entries, 8+int64(length), size)
}

// parseEntries reads the header's object.
func parseEntries(header []byte, base, size int64) ([]Entry, error) {
	fields, err := objectFields(header, maxTensors)
	if err != nil {
		return nil, fault.New(fault.BadFile, "safetensors header: %v", err)
	}
	entries := make([]Entry, 0, len(fields))
	for _, f := range fields {
		if f.name == "__metadata__" {
			continue
		}
		entry, err := parseEntry(f.name, f.value, base, size)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

type objectField struct {
	name  string
	value json.RawMessage
}

// objectFields reads a JSON object and refuses anything else. It does not decode into a map or
// struct, since that would hide a name that occurs twice.
func objectFields(text []byte, most int) ([]objectField, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, fmt.Errorf("want a JSON object")
	}
	var fields []objectField
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		f := objectField{}
		f.name, _ = token.(string)
		// The decoder replaces a lone surrogate, which is not valid UTF-8, by utf8.RuneError.
		if seen[f.name] || strings.ContainsRune(f.name, utf8.RuneError) {
			return nil, fmt.Errorf("name %s is not valid, or occurs twice", clipped(f.name))
		}
		if err := decoder.Decode(&f.value); err != nil {
			return nil, err
		}
		seen[f.name] = true
		if fields = append(fields, f); len(fields) > most {
			return nil, fmt.Errorf("more than %d entries", most)
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("text after the object")
	}
	return fields, nil
}

func parseEntry(name string, text json.RawMessage, base, size int64) (Entry, error) {
	malformed := fault.Differs(fault.BadFile, "entry of tensor "+clipped(name),
		"dtype, shape and data_offsets", "something else")
	fields, err := objectFields(text, 16)
	if err != nil {
		return Entry{}, malformed
	}
	e := Entry{Name: name}
	var offsets []uint64
	for _, f := range fields {
		switch f.name {
		case "dtype":
			err = errors.Join(err, json.Unmarshal(f.value, &e.Type))
		case "shape":
			e.Shape, err = naturals(f.value, err)
		case "data_offsets":
			offsets, err = naturals(f.value, err)
		}
	}
	if err != nil || e.Shape == nil || len(offsets) != 2 || len(e.Shape) > 255 {
		return Entry{}, malformed
	}
	width, ok := safetensorsBytes[e.Type]
	if !ok {
		return Entry{}, fault.Differs(fault.BadFile, "dtype of tensor "+clipped(name),
			"a known one", clipped(e.Type))
	}
	room := uint64(size - base)
	values, ok := product(e.Shape, room/width)
	if !ok || offsets[0] > offsets[1] || offsets[1] > room ||
		offsets[1]-offsets[0] != values*width {
		return Entry{}, fault.Differs(fault.BadFile, "tensor "+clipped(name),
			fmt.Sprintf("its shape's bytes within %d", room),
			fmt.Sprintf("%d..%d", offsets[0], offsets[1]))
	}
	e.Start, e.End = base+int64(offsets[0]), base+int64(offsets[1])
	return e, nil
}

// naturals reads a list of JSON integers below 2^63, without sign, fraction or exponent. If there
// is an earlier error, it returns that.
func naturals(text json.RawMessage, earlier error) ([]uint64, error) {
	var numbers []json.RawMessage
	if err := errors.Join(earlier, json.Unmarshal(text, &numbers)); err != nil || numbers == nil {
		return nil, errors.Join(err, errors.New("no list"))
	}
	out := make([]uint64, len(numbers))
	for i, n := range numbers {
		var err error
		if out[i], err = strconv.ParseUint(string(n), 10, 63); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// requireCover refuses gaps, overlaps and bytes after the last tensor.
func requireCover(entries []Entry, base, size int64) error {
	order := byStart(entries)
	position := base
	for _, e := range order {
		if e.Start != position {
			return fault.Differs(fault.BadFile, "start of tensor "+clipped(e.Name),
				position, e.Start)
		}
		position = e.End
	}
	if position != size {
		return fault.Differs(fault.BadFile, "size of the file", position, size).
			WithHint("it is truncated, or has bytes after its tensors")
	}
	return nil
}

func byStart(entries []Entry) []*Entry {
	order := make([]*Entry, len(entries))
	for i := range entries {
		order[i] = &entries[i]
	}
	sort.Slice(order, func(i, j int) bool {
		if order[i].Start != order[j].Start {
			return order[i].Start < order[j].Start
		}
		return order[i].End < order[j].End
	})
	return order
}

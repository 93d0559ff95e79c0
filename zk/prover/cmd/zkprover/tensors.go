// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"provenance/zkprover/fault"
	"provenance/zkprover/weights"
)

// storedTensor names a bfloat16 matrix of a safetensors file.
type storedTensor struct {
	File   string `json:"file"`
	Tensor string `json:"tensor"`
}

const maxHeaderBytes = 100_000_000 // the limit of the safetensors library

// build makes the tensor's tree over the open file, which the caller closes.
func (s storedTensor) build(layout weights.Layout, depth int) (*os.File, *weights.Tree, error) {
	if s.File == "" || s.Tensor == "" {
		return nil, nil, fault.New(fault.BadRequest, "no file or no tensor named")
	}
	file, err := os.Open(s.File)
	if err != nil {
		return nil, nil, fault.New(fault.BadFile, "%v", err)
	}
	built, err := s.read(file, layout, depth)
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, built, nil
}

func (s storedTensor) read(file *os.File, layout weights.Layout, depth int) (*weights.Tree, error) {
	entry, values, err := s.find(file)
	if err != nil {
		return nil, err
	}
	if entry.DType != "BF16" || len(entry.Shape) != 2 {
		return nil, fault.Differs(fault.BadFile, "tensor", "BF16 with two dimensions", fmt.Sprintf("%s %v", entry.DType, entry.Shape))
	}
	grid, err := weights.NewGrid(weights.BF16, layout, entry.Shape[0], entry.Shape[1], 0)
	if err != nil {
		return nil, err
	}
	bytesPerRow := 2 * int64(grid.Columns)
	if values.Size()%bytesPerRow != 0 || values.Size()/bytesPerRow != int64(grid.Rows) { // a product could wrap
		return nil, fault.Differs(fault.BadFile, "bytes of the tensor", fmt.Sprintf("2 * %d * %d", grid.Rows, grid.Columns), values.Size())
	}
	return weights.New(grid, depth, values, nil)
}

// headerEntry describes a tensor; offsets count from the end of the header.
type headerEntry struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// find reads the header, whose length and offsets are held against the file's size.
// Source: the safetensors format description (huggingface/safetensors, README "Format").
func (s storedTensor) find(file *os.File) (entry headerEntry, values *io.SectionReader, err error) {
	info, err := file.Stat()
	if err != nil {
		return entry, nil, fault.New(fault.BadFile, "%v", err)
	}
	var length [8]byte
	if _, err := file.ReadAt(length[:], 0); err != nil {
		return entry, nil, fault.New(fault.BadFile, "not a safetensors file: %v", err)
	}
	size, rest := binary.LittleEndian.Uint64(length[:]), info.Size()-int64(len(length))
	if size > min(maxHeaderBytes, uint64(rest)) {
		return entry, nil, fault.New(fault.BadFile, "not a safetensors file: its header would have %d bytes", size)
	}
	header := make([]byte, size)
	if _, err := file.ReadAt(header, int64(len(length))); err != nil {
		return entry, nil, fault.New(fault.BadFile, "%v", err)
	}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(header, &entries); err != nil {
		return entry, nil, fault.New(fault.BadFile, "not a safetensors file: %v", err)
	}
	text, found := entries[s.Tensor]
	if !found {
		return entry, nil, fault.New(fault.BadFile, "the file has no such tensor")
	}
	if err := json.Unmarshal(text, &entry); err != nil {
		return entry, nil, fault.New(fault.BadFile, "not a safetensors file: %v", err)
	}
	from, to, data := entry.Offsets[0], entry.Offsets[1], rest-int64(size)
	if from < 0 || to < from || to > data {
		return entry, nil, fault.Differs(fault.BadFile, "offsets of the tensor", fmt.Sprintf("within %d bytes", data), entry.Offsets)
	}
	for _, length := range entry.Shape {
		if length < 1 || int64(length) > data {
			return entry, nil, fault.Differs(fault.BadFile, "shape", "of at least one value, none longer than the file", entry.Shape)
		}
	}
	return entry, io.NewSectionReader(file, int64(len(length))+int64(size)+from, to-from), nil
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"provenance/zkprover/fault"
	"provenance/zkprover/weights"
)

// storedTensor names a bfloat16 matrix of a safetensors or GGUF file.
type storedTensor struct {
	File   string `json:"file"`
	Tensor string `json:"tensor"`
}

// build makes the tensor's tree over the open file, which the caller closes.
func (s storedTensor) build(layout weights.Layout, depth int) (*weights.Model, *weights.Tree, error) {
	if s.File == "" || s.Tensor == "" {
		return nil, nil, fault.New(fault.BadRequest, "no file or no tensor named")
	}
	model, err := weights.OpenModel([]string{s.File})
	if err != nil {
		return nil, nil, err
	}
	built, err := s.tree(model, layout, depth)
	if err != nil {
		model.Close()
		return nil, nil, err
	}
	return model, built, nil
}

func (s storedTensor) tree(model *weights.Model, layout weights.Layout, depth int) (*weights.Tree, error) {
	entry, err := model.Entry(s.Tensor)
	if err != nil {
		return nil, err
	}
	if entry.Type != "BF16" || len(entry.Shape) != 2 {
		return nil, fault.Differs(fault.BadFile, "tensor", "BF16 with two dimensions", fmt.Sprintf("%s %v", entry.Type, entry.Shape))
	}
	grid, err := entry.Grid(layout, 0)
	if err != nil {
		return nil, err
	}
	return weights.New(grid, depth, entry.Values(), nil)
}

// SPDX-License-Identifier: Apache-2.0

package tensors

import (
	"strconv"

	"provenance/zkprover/commands/request"
	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove/blocks"
	"provenance/zkprover/server"
	"provenance/zkprover/weights"
)

type mergeRequest struct {
	Key     string       `json:"key"`
	Base    storedTensor `json:"base"`
	Adapter struct {
		File string `json:"file"`
		A    string `json:"a"`
		B    string `json:"b"`
	} `json:"adapter"`
	Merged storedTensor `json:"merged"`
	Scale  string       `json:"scale"` // decimal, in units of 2^-16
	Jobs   []weightJob  `json:"jobs"`
}

// ProveMerge proves blocks of a merged tensor.
func ProveMerge(call *server.Call, text []byte) (any, error) {
	var r mergeRequest
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	return proveWeights(call, r.Key, kinds.Merge, r.Jobs,
		func(key *keys.Key) (*opened, error) {
			merger, done, err := r.open(call, key.Shape.Levels())
			one := func(job *weightJob) (*proof.Proof, error) {
				if job.Codes != "" {
					return nil, fault.New(fault.BadRequest, "a merge has no codes")
				}
				return merger.Prove(key, job.Indexes)
			}
			return &opened{prove: one, done: done}, err
		})
}

// open builds the four trees, of the key's depth. The returned done closes their files.
func (r *mergeRequest) open(
	call *server.Call, depth int,
) (merger *blocks.Merger, done func(), err error) {
	scale, err := strconv.ParseUint(r.Scale, 10, 32)
	if err != nil {
		return nil, nil, fault.Differs(fault.BadRequest, "scale",
			"a decimal integer below 2^32, in units of 2^-16", r.Scale)
	}
	merger = &blocks.Merger{Scale: scale}
	var models []*weights.Model
	done = func() {
		for _, model := range models {
			model.Close()
		}
	}
	for _, t := range []struct {
		role   string
		stored storedTensor
		layout weights.Layout
		to     *blocks.Tensor
	}{
		{"base", r.Base, weights.Rows, &merger.Base},
		{"adapter", storedTensor{r.Adapter.File, r.Adapter.A}, weights.LoraA, &merger.A},
		{"adapter", storedTensor{r.Adapter.File, r.Adapter.B}, weights.LoraB, &merger.B},
		{"merged", r.Merged, weights.Rows, &merger.Merged},
	} {
		name := t.role + " " + t.stored.Tensor
		call.Progress("tree of %s", name)
		model, built, err := t.stored.build(t.layout, depth)
		if err != nil {
			done()
			return nil, nil, fault.At(name, err)
		}
		models = append(models, model)
		*t.to = blocks.Tensor{Name: name, Tree: built}
	}
	return merger, done, nil
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"strconv"
	"time"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
	"provenance/zkprover/prove"
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
	Jobs   []mergeJob   `json:"jobs"`
}

// storedTensor names a tensor of a safetensors file.
type storedTensor struct {
	File   string `json:"file"`
	Tensor string `json:"tensor"`
}

type mergeJob struct {
	Indexes []int  `json:"indexes"`
	Out     string `json:"out"`
}

type mergeResult struct {
	Out     string   `json:"out"`
	Public  []string `json:"public"`
	Seconds float64  `json:"seconds"`
}

// proveMerge runs the jobs one after the other. Proofs written before a failing job stay.
func proveMerge(call *server.Call, request []byte) (any, error) {
	var r mergeRequest
	if err := parseRequest(request, &r); err != nil {
		return nil, err
	}
	if len(r.Jobs) == 0 {
		return nil, fault.New(fault.BadRequest, "jobs: want a list with at least one entry")
	}
	begin := time.Now()
	key, err := call.Key(r.Key)
	if err != nil {
		return nil, err
	}
	if key.Shape.Kind != circuits.KindMerge {
		return nil, fault.Differs(fault.BadRequest, "kind of key", circuits.KindMerge, key.Shape.Kind)
	}
	merger, done, err := r.open(call, key.Shape.Levels())
	if err != nil {
		return nil, err
	}
	defer done()
	loading := since(begin)
	results := make([]mergeResult, 0, len(r.Jobs))
	for i := range r.Jobs {
		if err := call.Stopped(); err != nil {
			return nil, err
		}
		result, err := r.Jobs[i].run(key, merger)
		if err != nil {
			return nil, err
		}
		call.Progress("proof %d of %d in %.2f s", i+1, len(r.Jobs), result.Seconds)
		results = append(results, result)
		runtime.GC() // a proof's vectors are garbage by now; the next ones are as large
	}
	return map[string]any{"results": results, "loadSeconds": loading, "vkId": key.Info.VKID}, nil
}

// open builds the four trees of the depth that the key is for; done closes their files.
func (r *mergeRequest) open(call *server.Call, depth int) (merger *prove.Merger, done func(), err error) {
	scale, err := strconv.ParseUint(r.Scale, 10, 32)
	if err != nil {
		return nil, nil, fault.Differs(fault.BadRequest, "scale", "a decimal integer below 2^32, in units of 2^-16", r.Scale)
	}
	merger = &prove.Merger{Scale: scale}
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
		to     *prove.Tensor
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
		*t.to = prove.Tensor{Name: name, Tree: built}
	}
	return merger, done, nil
}

// build makes the tensor's tree over its open file, which the caller closes.
func (s storedTensor) build(layout weights.Layout, depth int) (*weights.Model, *weights.Tree, error) {
	if s.File == "" || s.Tensor == "" {
		return nil, nil, fault.New(fault.BadRequest, "no file or no tensor named")
	}
	model, err := weights.OpenModel([]string{s.File})
	if err != nil {
		return nil, nil, err
	}
	built, err := buildTensor(model, s.Tensor, layout, depth)
	if err != nil {
		model.Close()
	}
	return model, built, err
}

func buildTensor(model *weights.Model, name string, layout weights.Layout, depth int) (*weights.Tree, error) {
	entry, err := model.Entry(name)
	if err != nil {
		return nil, err
	}
	grid, err := entry.Grid(layout, 0)
	if err != nil {
		return nil, err
	}
	return weights.New(grid, depth, entry.Values(), nil)
}

func (j *mergeJob) run(key *keys.Key, merger *prove.Merger) (mergeResult, error) {
	begin := time.Now()
	p, err := merger.Prove(key, j.Indexes)
	if err != nil {
		return mergeResult{}, err
	}
	text, err := p.Marshal()
	if err != nil {
		return mergeResult{}, err
	}
	if err := writeFile(j.Out, append(text, '\n')); err != nil {
		return mergeResult{}, err
	}
	result := mergeResult{Out: j.Out, Seconds: since(begin)}
	for i := range p.Public {
		result.Public = append(result.Public, field.ScalarHex(&p.Public[i]))
	}
	return result, nil
}

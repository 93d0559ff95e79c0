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
func proveMerge(request []byte) (any, error) {
	var r mergeRequest
	if err := parseRequest(request, &r); err != nil {
		return nil, err
	}
	if len(r.Jobs) == 0 {
		return nil, fault.New(fault.BadRequest, "jobs: want a list with at least one entry")
	}
	begin := time.Now()
	key, err := keys.Load(r.Key)
	if err != nil {
		return nil, err
	}
	if key.Shape.Kind != circuits.KindMerge {
		return nil, fault.Differs(fault.BadRequest, "kind of key", circuits.KindMerge, key.Shape.Kind)
	}
	merger, done, err := r.open(key.Shape.Levels())
	if err != nil {
		return nil, err
	}
	defer done()
	loading := since(begin)
	results := make([]mergeResult, 0, len(r.Jobs))
	for i := range r.Jobs {
		result, err := r.Jobs[i].run(key, merger)
		if err != nil {
			return nil, err
		}
		progress("proof %d of %d in %.2f s", i+1, len(r.Jobs), result.Seconds)
		results = append(results, result)
		runtime.GC() // a proof's vectors are garbage by now; the next ones are as large
	}
	return map[string]any{"results": results, "loadSeconds": loading, "vkId": key.Info.VKID}, nil
}

// open builds the four trees of the depth that the key is for; done closes the files.
func (r *mergeRequest) open(depth int) (merger *prove.Merger, done func(), err error) {
	scale, err := strconv.ParseUint(r.Scale, 10, 32)
	if err != nil {
		return nil, nil, fault.Differs(fault.BadRequest, "scale", "a decimal integer below 2^32, in units of 2^-16", r.Scale)
	}
	merger = &prove.Merger{Scale: scale}
	var closers []func()
	done = func() {
		for _, close := range closers {
			close()
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
		progress("tree of %s", name)
		file, built, err := t.stored.build(t.layout, depth)
		if err != nil {
			done()
			return nil, nil, fault.At(name, err)
		}
		closers = append(closers, func() { file.Close() })
		*t.to = prove.Tensor{Name: name, Tree: built}
	}
	return merger, done, nil
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

// SPDX-License-Identifier: Apache-2.0

// Package tensors holds the commands about weights: tables of committed tensors, and proofs of
// merges and quantizations.
//
// It may import package request, server and everything below them.
package tensors

import (
	"runtime"
	"time"

	"provenance/zkprover/commands/request"
	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/server"
	"provenance/zkprover/weights"
)

// storedTensor names a tensor of a safetensors file.
type storedTensor struct {
	File   string `json:"file"`
	Tensor string `json:"tensor"`
}

// weightJob holds the fields of a job: one proof about blocks of weights.
type weightJob struct {
	Indexes []int `json:"indexes"`
	// for quantizations: file with the blocks' bytes as they stand in the deployed file
	Codes string `json:"codes"`
	Out   string `json:"out"`
}

type weightResult struct {
	Out     string   `json:"out"`
	Indexes []int    `json:"indexes"`
	Public  []string `json:"public"`
	Seconds float64  `json:"seconds"`
}

// opened proves jobs about weights. Its files stay open until done is called.
type opened struct {
	prove func(*weightJob) (*proof.Proof, error)
	facts map[string]any // of the result
	done  func()
}

// proveWeights runs jobs under a key of a kind, one after the other. Proofs written before a
// failing job stay.
func proveWeights(
	call *server.Call, keyDir string, kind kinds.Kind, jobs []weightJob,
	open func(*keys.Key) (*opened, error),
) (any, error) {
	if len(jobs) == 0 {
		return nil, fault.New(fault.BadRequest, "jobs: want a list with at least one entry")
	}
	begin := time.Now()
	key, err := call.Key(keyDir)
	if err != nil {
		return nil, err
	}
	if key.Shape.Kind != kind {
		return nil, fault.Differs(fault.BadRequest, "kind of key", kind, key.Shape.Kind)
	}
	files, err := open(key)
	if err != nil {
		return nil, err
	}
	defer files.done()
	loading := request.Since(begin)
	results := make([]weightResult, 0, len(jobs))
	for i := range jobs {
		if err := call.Stopped(); err != nil {
			return nil, err
		}
		result, err := jobs[i].run(files.prove)
		if err != nil {
			return nil, err
		}
		call.Progress("proof %d of %d in %.2f s", i+1, len(jobs), result.Seconds)
		results = append(results, result)
		runtime.GC() // free this proof's vectors before the next one needs as much
	}
	answer := map[string]any{"results": results, "loadSeconds": loading, "vkId": key.Info.VKID}
	for name, fact := range files.facts {
		answer[name] = fact
	}
	return answer, nil
}

func (j *weightJob) run(prove func(*weightJob) (*proof.Proof, error)) (weightResult, error) {
	begin := time.Now()
	p, err := prove(j)
	if err != nil {
		return weightResult{}, err
	}
	public, err := request.WriteProof(j.Out, p)
	return weightResult{Out: j.Out, Indexes: j.Indexes, Public: public,
		Seconds: request.Since(begin)}, err
}

// build makes the tensor's tree over its open file, which the caller closes.
func (s storedTensor) build(
	layout weights.Layout, depth int,
) (*weights.Model, *weights.Tree, error) {
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

func buildTensor(
	model *weights.Model, name string, layout weights.Layout, depth int,
) (*weights.Tree, error) {
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

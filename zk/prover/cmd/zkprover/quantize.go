// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"time"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove"
	"provenance/zkprover/server"
	"provenance/zkprover/weights"
)

// maxCodesBytes bounds a file of blocks' bytes; no proof holds as many.
const maxCodesBytes = 1 << 16

type quantizeRequest struct {
	Key string `json:"key"`
	storedTensor
	Jobs []quantizeJob `json:"jobs"`
}

type quantizeJob struct {
	Indexes []int  `json:"indexes"`
	Codes   string `json:"codes"` // file with the blocks' bytes as they stand in the deployed file
	Out     string `json:"out"`
}

type quantizeResult struct {
	Out     string   `json:"out"`
	Indexes []int    `json:"indexes"`
	Public  []string `json:"public"`
	Seconds float64  `json:"seconds"`
}

type prover func(*keys.Key, *weights.Tree, []int, []byte) (*proof.Proof, error)

func proveQ8_0(call *server.Call, request []byte) (any, error) {
	return proveQuantized(call, request, circuits.KindQ8_0, prove.Q8_0)
}

func proveInt8(call *server.Call, request []byte) (any, error) {
	return proveQuantized(call, request, circuits.KindInt8, prove.Int8)
}

// proveQuantized runs the jobs one after the other. Proofs written before a failing job stay.
func proveQuantized(call *server.Call, request []byte, kind circuits.Kind, one prover) (any, error) {
	var r quantizeRequest
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
	if key.Shape.Kind != kind {
		return nil, fault.Differs(fault.BadRequest, "kind of key", kind, key.Shape.Kind)
	}
	model, built, err := r.build(weights.Rows, key.Shape.Depth)
	if err != nil {
		return nil, err
	}
	defer model.Close()
	loading := since(begin)
	results := make([]quantizeResult, 0, len(r.Jobs))
	for i := range r.Jobs {
		if err := call.Stopped(); err != nil {
			return nil, err
		}
		result, err := r.Jobs[i].run(key, built, one)
		if err != nil {
			return nil, err
		}
		call.Progress("proof %d of %d in %.2f s", i+1, len(r.Jobs), result.Seconds)
		results = append(results, result)
		runtime.GC() // a proof's vectors are garbage by now; the next ones are as large
	}
	root := built.Root()
	return map[string]any{
		"results": results, "loadSeconds": loading, "vkId": key.Info.VKID, "root": field.ScalarHex(&root), "blocks": built.Blocks(),
	}, nil
}

func (j *quantizeJob) run(key *keys.Key, built *weights.Tree, one prover) (quantizeResult, error) {
	begin := time.Now()
	codes, err := readFile("codes", j.Codes, maxCodesBytes)
	if err != nil {
		return quantizeResult{}, err
	}
	p, err := one(key, built, j.Indexes, codes)
	if err != nil {
		return quantizeResult{}, err
	}
	text, err := p.Marshal()
	if err != nil {
		return quantizeResult{}, err
	}
	if err := writeFile(j.Out, append(text, '\n')); err != nil {
		return quantizeResult{}, err
	}
	result := quantizeResult{Out: j.Out, Indexes: j.Indexes, Seconds: since(begin)}
	for i := range p.Public {
		result.Public = append(result.Public, field.ScalarHex(&p.Public[i]))
	}
	return result, nil
}

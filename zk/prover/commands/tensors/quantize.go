// SPDX-License-Identifier: Apache-2.0

package tensors

import (
	"provenance/zkprover/commands/request"
	"provenance/zkprover/field"
	"provenance/zkprover/files"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove/blocks"
	"provenance/zkprover/server"
	"provenance/zkprover/weights"
)

// maxCodesBytes is the largest size of a file of blocks' bytes; every proof takes fewer.
const maxCodesBytes = 1 << 16

type quantizeRequest struct {
	Key string `json:"key"`
	storedTensor
	Jobs []weightJob `json:"jobs"`
}

type prover func(*keys.Key, *weights.Tree, []int, []byte) (*proof.Proof, error)

// ProveQ8_0 proves blocks of a tensor quantized as Q8_0.
func ProveQ8_0(call *server.Call, text []byte) (any, error) {
	return proveQuantized(call, text, kinds.Q8_0, blocks.Q8_0)
}

// ProveInt8 proves blocks of a tensor quantized by rows as int8.
func ProveInt8(call *server.Call, text []byte) (any, error) {
	return proveQuantized(call, text, kinds.Int8, blocks.Int8)
}

func proveQuantized(call *server.Call, text []byte, kind kinds.Kind, one prover) (any, error) {
	var r quantizeRequest
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	return proveWeights(call, r.Key, kind, r.Jobs, func(key *keys.Key) (*opened, error) {
		model, built, err := r.build(weights.Rows, key.Shape.Depth)
		if err != nil {
			return nil, err
		}
		run := func(job *weightJob) (*proof.Proof, error) {
			codes, err := files.Read("codes", job.Codes, maxCodesBytes)
			if err != nil {
				return nil, err
			}
			return one(key, built, job.Indexes, codes)
		}
		root := built.Root()
		facts := map[string]any{"root": field.ScalarHex(&root), "blocks": built.Blocks()}
		return &opened{prove: run, facts: facts, done: func() { model.Close() }}, nil
	})
}

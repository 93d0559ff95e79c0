// SPDX-License-Identifier: Apache-2.0

// Package verifying holds the commands that need only a verifying key: they show its facts, and
// check proofs.
//
// It may import package request, server and everything below them.
package verifying

import (
	"provenance/zkprover/commands/request"
	"provenance/zkprover/fault"
	"provenance/zkprover/files"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/server"
	"provenance/zkprover/verify"
)

type verdict struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// Verify checks proof files. A malformed proof is reported as false; a missing file is an error.
func Verify(_ *server.Call, text []byte) (any, error) {
	var r struct {
		Words  string       `json:"words"`
		Proofs []string     `json:"proofs"`
		Mask   *verify.Mask `json:"mask"`
	}
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	vk, err := keys.LoadWords(r.Words)
	if err != nil {
		return nil, err
	}
	if len(r.Proofs) == 0 {
		// Verifying nothing must never look like success.
		return nil, fault.New(fault.BadRequest, "no proofs named")
	}
	if r.Mask == nil { // a forgotten mask must not mean that no knowledge is checked
		return nil, fault.New(fault.BadRequest, "no mask given")
	}
	if *r.Mask >= 1<<vk.Shape.Commitments() {
		return nil, fault.Differs(fault.BadRequest, "mask", "bits of existing commitments", *r.Mask)
	}
	results := make([]verdict, len(r.Proofs))
	result := map[string]any{"ok": true, "results": results}
	var answer error
	for i, path := range r.Proofs {
		content, err := files.Read("proof", path, proof.MaxBytes)
		if err != nil {
			return nil, err
		}
		if results[i] = judge(vk, content, *r.Mask); !results[i].OK {
			result["ok"], answer = false, server.ErrFalse
		}
	}
	return result, answer
}

// judge checks the content of one proof file, which an attacker may have written.
func judge(vk *keys.Verifying, content []byte, mask verify.Mask) verdict {
	p, err := proof.Parse(content)
	if err == nil {
		err = verify.Verify(vk, p, mask)
	}
	if err != nil {
		return verdict{Reason: err.Error()}
	}
	return verdict{OK: true}
}

// SPDX-License-Identifier: Apache-2.0

// Package datasets holds the commands about datasets and epochs: trees, orders, commitments,
// products and proofs.
//
// It may import package request, server and everything below them.
package datasets

import (
	"encoding/json"
	"runtime"
	"time"

	"provenance/zkprover/commands/request"
	"provenance/zkprover/fault"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/server"
)

// job holds the fields of the prove commands. With "jobs", each entry's fields replace those of the
// request.
type job struct {
	Key       string `json:"key"`
	Leaves    string `json:"leaves"`
	Used      string `json:"used"`
	Order     string `json:"order"`
	Blindings string `json:"blindings"`
	Count     int    `json:"count"`
	Depth     int    `json:"depth"`
	Chunk     int    `json:"chunk"`
	K         int    `json:"k"`
	Gamma     string `json:"gamma"`
	Delta     string `json:"delta"`
	Out       string `json:"out"`
	audit
}

type jobResult struct {
	Out     string   `json:"out"`
	Chunk   int      `json:"chunk"`
	Public  []string `json:"public"`
	Seconds float64  `json:"seconds"`
}

// statementOf makes the proof that one job asks for.
type statementOf func(*session, *job) (*proof.Proof, error)

// proveAll runs the request's jobs one after the other. Proofs written before a failing job stay.
func proveAll(call *server.Call, text []byte, kind kinds.Kind, one statementOf) (any, error) {
	jobs, many, err := parseJobs(text)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	key, err := call.Key(jobs[0].Key)
	if err != nil {
		return nil, err
	}
	if key.Shape.Kind != kind {
		return nil, fault.Differs(fault.BadRequest, "kind of key", kind, key.Shape.Kind)
	}
	loading := request.Since(begin)
	s := newSession(key)
	results := make([]jobResult, 0, len(jobs))
	for i := range jobs {
		if err := call.Stopped(); err != nil {
			return nil, err
		}
		result, err := s.run(&jobs[i], one)
		if err != nil {
			return nil, err
		}
		call.Progress("proof %d of %d in %.2f s", i+1, len(jobs), result.Seconds)
		results = append(results, result)
		runtime.GC() // free this proof's vectors before the next one needs as much
	}
	if !many {
		return results[0], nil
	}
	return map[string]any{"results": results, "loadSeconds": loading, "vkId": key.Info.VKID}, nil
}

// run makes and writes one proof.
func (s *session) run(j *job, one statementOf) (jobResult, error) {
	begin := time.Now()
	p, err := one(s, j)
	if err != nil {
		return jobResult{}, err
	}
	public, err := request.WriteProof(j.Out, p)
	if err != nil {
		return jobResult{}, err
	}
	result := jobResult{Out: j.Out, Chunk: j.Chunk, Public: public, Seconds: request.Since(begin)}
	if s.key.Shape.Kind != kinds.Epoch {
		result.Chunk = j.K
	}
	return result, nil
}

// parseJobs returns the request's jobs: the request with its fields replaced by those of each entry
// of "jobs".
func parseJobs(text []byte) (jobs []job, many bool, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, false, fault.New(fault.BadRequest, "request: %v", err)
	}
	entries := []json.RawMessage{[]byte("{}")}
	if list, ok := fields["jobs"]; ok {
		many = true
		if err := json.Unmarshal(list, &entries); err != nil || len(entries) == 0 {
			return nil, false, fault.New(fault.BadRequest,
				"jobs: want a list with at least one entry")
		}
		delete(fields, "jobs")
	}
	shared, err := json.Marshal(fields)
	if err != nil {
		return nil, false, fault.New(fault.BadRequest, "%v", err)
	}
	jobs = make([]job, len(entries))
	for i, entry := range entries {
		for _, layer := range [][]byte{shared, entry} {
			if err := request.Parse(layer, &jobs[i]); err != nil {
				return nil, false, err
			}
		}
		if jobs[i].Key != jobs[0].Key {
			return nil, false, fault.New(fault.BadRequest, "all jobs must use one key")
		}
	}
	return jobs, many, nil
}

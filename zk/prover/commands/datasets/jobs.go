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
	// Registered is the chunk's D, and the proof that its maker knows it; epochs only.
	Registered *registered `json:"registered"`
	audit
}

type registered struct {
	Point     []string `json:"point"`
	Knowledge []string `json:"knowledge"`
}

type jobResult struct {
	Out     string   `json:"out"`
	Chunk   int      `json:"chunk"`
	Public  []string `json:"public"`
	Seconds float64  `json:"seconds"`
}

// statementOf reads what one job needs, and returns what makes the proof of it.
type statementOf func(*session, *job) (prover, error)

// prover makes a proof. It touches nothing that other provers change.
type prover func() (*proof.Proof, error)

// proveAll runs the request's jobs in order. Proofs written before a failing job stay.
//
// Where there is memory for a second proof, the next one begins before the one before it is done:
// gnark's solver has one thread for much of its work, and leaves the other cores idle.
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
	run := &running{call: call, session: newSession(key), jobs: jobs, most: 1}
	if len(jobs) > 1 {
		if done, ok := call.Second(); ok {
			defer done()
			run.most = 2
		}
	}
	results, err := run.all(one)
	if err != nil {
		return nil, err
	}
	if !many {
		return results[0], nil
	}
	return map[string]any{"results": results, "loadSeconds": loading, "vkId": key.Info.VKID}, nil
}

// running proves jobs in order, at most `most` at a time.
type running struct {
	call    *server.Call
	session *session
	jobs    []job
	most    int
	begun   []chan made // of the jobs that are not done, in order
	results []jobResult
}

// made is the end of a job.
type made struct {
	result jobResult
	err    error
	panic  any
}

func (r *running) all(one statementOf) ([]jobResult, error) {
	defer func() {
		for _, left := range r.begun { // what was begun ends before its memory is given away
			<-left
		}
	}()
	for i := range r.jobs {
		if len(r.begun) == r.most {
			if err := r.finish(); err != nil {
				return nil, err
			}
		}
		if err := r.call.Stopped(); err != nil {
			return nil, err
		}
		if err := r.begin(&r.jobs[i], one); err != nil {
			return nil, err
		}
	}
	for len(r.begun) > 0 {
		if err := r.finish(); err != nil {
			return nil, err
		}
	}
	return r.results, nil
}

// begin reads a job's inputs, and starts to make and write its proof.
func (r *running) begin(j *job, one statementOf) error {
	start := time.Now()
	prove, err := one(r.session, j)
	if err != nil {
		return err
	}
	done := make(chan made, 1)
	r.begun = append(r.begun, done)
	go func() {
		var m made
		defer func() {
			m.panic = recover() // what asked for the proof handles it
			done <- m
		}()
		p, err := prove()
		if err != nil {
			m.err = err
			return
		}
		m.result = jobResult{Out: j.Out, Chunk: j.Chunk}
		if r.session.key.Shape.Kind != kinds.Epoch {
			m.result.Chunk = j.K
		}
		m.result.Public, m.err = request.WriteProof(j.Out, p)
		m.result.Seconds = request.Since(start)
	}()
	return nil
}

// finish waits for the first job that is not done.
func (r *running) finish() error {
	m := <-r.begun[0]
	r.begun = r.begun[1:]
	if m.panic != nil {
		panic(m.panic)
	}
	if m.err != nil {
		return m.err
	}
	r.results = append(r.results, m.result)
	r.call.Progress("proof %d of %d in %.2f s", len(r.results), len(r.jobs), m.result.Seconds)
	runtime.GC() // free this proof's vectors before the next one needs as much
	return nil
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

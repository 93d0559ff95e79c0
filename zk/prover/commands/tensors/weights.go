// SPDX-License-Identifier: Apache-2.0

package tensors

import (
	"encoding/json"
	"sync/atomic"
	"time"

	"provenance/zkprover/commands/request"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/files"
	"provenance/zkprover/server"
	"provenance/zkprover/weights"
)

type weightsRequest struct {
	Files   []string        `json:"files"`
	Tensors []tensorRequest `json:"tensors"`
	All     bool            `json:"all"`
	Out     string          `json:"out"`
	State   string          `json:"state"`
}

// tensorRequest names a tensor and its layout. Depth 0 and rank 0 mean those that follow from its
// shape.
type tensorRequest struct {
	Name   string `json:"name"`
	Layout string `json:"layout"`
	Depth  int    `json:"depth"`
	Rank   int    `json:"rank"`
}

// tensorResult is a tensor's commitment.
type tensorResult struct {
	Name    string `json:"name"`
	DType   string `json:"dtype"`
	Layout  string `json:"layout"`
	Rows    int    `json:"rows"`
	Columns int    `json:"columns"`
	Depth   int    `json:"depth"`
	Blocks  int    `json:"blocks"`
	Root    string `json:"root"`
}

type weightsResult struct {
	Tensors []tensorResult `json:"tensors"`
	Seconds float64        `json:"seconds"`
	Bytes   int64          `json:"bytes"` // of values, those of resumed tensors included
}

// plan is a tensor to commit to: its result, with the root still to be computed.
type plan struct {
	entry  *weights.Entry
	grid   weights.Grid
	result tensorResult
}

// Commit commits to tensors. It checks all of them before it hashes the first.
func Commit(call *server.Call, text []byte) (any, error) {
	var r weightsRequest
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	if r.All != (len(r.Tensors) == 0) {
		return nil, fault.New(fault.BadRequest, `either "tensors" or "all": true`)
	}
	begin := time.Now()
	model, err := weights.OpenModel(r.Files)
	if err != nil {
		return nil, err
	}
	defer model.Close()
	plans, err := r.plans(model)
	if err != nil {
		return nil, err
	}
	state, err := openState(r.State, model, plans)
	if err != nil {
		return nil, err
	}
	defer state.close()
	if err := buildAll(call, plans, state); err != nil {
		return nil, err
	}
	result := weightsResult{Seconds: request.Since(begin)}
	for i := range plans {
		result.Tensors = append(result.Tensors, plans[i].result)
		result.Bytes += plans[i].entry.Bytes()
	}
	return result, result.write(r.Out)
}

// buildAll commits to the tensors that the state does not have, and adds each to it.
func buildAll(call *server.Call, plans []plan, state *state) error {
	meter := newMeter(call, plans, state)
	for i := range plans {
		if err := call.Stopped(); err != nil {
			return err
		}
		if state.has(i) {
			continue
		}
		if err := plans[i].build(meter); err != nil {
			return err
		}
		if err := state.add(i, &plans[i].result); err != nil {
			return err
		}
	}
	meter.report(len(plans))
	return nil
}

// write writes the result to a file, if one is named.
func (r *weightsResult) write(path string) error {
	if path == "" {
		return nil
	}
	text, err := json.Marshal(r)
	if err != nil {
		return fault.New(fault.Internal, "%v", err)
	}
	return files.Write(path, append(text, '\n'), files.Private)
}

func (r *weightsRequest) plans(model *weights.Model) ([]plan, error) {
	wanted := r.Tensors
	if r.All {
		for _, name := range model.Names() {
			wanted = append(wanted, tensorRequest{Name: name, Layout: weights.Rows.String()})
		}
	}
	plans := make([]plan, 0, len(wanted))
	for _, w := range wanted {
		layout, err := weights.ParseLayout(w.Layout)
		if err != nil {
			return nil, err
		}
		entry, err := model.Entry(w.Name)
		if err != nil {
			return nil, err
		}
		grid, err := entry.Grid(layout, w.Rank)
		if err != nil {
			return nil, err
		}
		depth, err := grid.RequireDepth(w.Depth)
		if err != nil {
			return nil, fault.At(w.Name, err)
		}
		plans = append(plans, plan{entry, grid, tensorResult{
			Name: w.Name, DType: grid.DType.String(), Layout: w.Layout, Rows: grid.Rows,
			Columns: grid.Columns, Depth: depth,
			Blocks: grid.Blocks(),
		}})
	}
	return plans, nil
}

// build hashes the tensor and fills in its root.
func (p *plan) build(m *meter) error {
	built, err := weights.New(p.grid, p.result.Depth, p.entry.Values(), m.add)
	if err != nil {
		return fault.At(p.result.Name, err)
	}
	root := built.Root()
	p.result.Root = field.ScalarHex(&root)
	m.finished.Add(1)
	return nil
}

const (
	bytesPerMB      = 1e6
	shortestSeconds = 1e-3 // that a rate is computed for
)

// meter prints progress at most once a second. Its methods may be called from several goroutines.
type meter struct {
	progress                      func(text string, args ...any)
	begin                         time.Time
	total, done, finished, second atomic.Int64
}

func newMeter(call *server.Call, plans []plan, s *state) *meter {
	m := &meter{progress: call.Progress, begin: time.Now()}
	for i := range plans {
		if !s.has(i) {
			m.total.Add(plans[i].entry.Bytes())
		}
	}
	return m
}

func (m *meter) add(bytes int64) {
	m.done.Add(bytes)
	if second, last := int64(time.Since(m.begin).Seconds()), m.second.Load(); second > last &&
		m.second.CompareAndSwap(last, second) {
		m.report(int(m.finished.Load()))
	}
}

func (m *meter) report(tensors int) {
	done, seconds := m.done.Load(), time.Since(m.begin).Seconds()
	rate := float64(done) / max(seconds, shortestSeconds)
	left := 0.0
	if rate > 0 {
		left = float64(max(0, m.total.Load()-done)) / rate
	}
	total := float64(m.total.Load())
	m.progress("%d tensors, %.1f of %.1f MB, %.1f MB/s, %.0f s left",
		tensors, float64(done)/bytesPerMB, total/bytesPerMB, rate/bytesPerMB, left)
}

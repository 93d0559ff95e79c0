// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"provenance/zkprover/circuits"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/kinds"
)

// weightsScene is a model of two tensors in two shards.
type weightsScene struct {
	dir   string
	files []string
	state string
}

func newWeightsScene(t *testing.T) *weightsScene {
	t.Helper()
	s := &weightsScene{dir: t.TempDir()}
	s.state = filepath.Join(s.dir, "state")
	for name, m := range map[string]*matrix{"a": drawnMatrix(9, 100), "b": drawnMatrix(4, 64)} {
		path := filepath.Join(s.dir, name+".safetensors")
		if err := os.WriteFile(path, safetensors(t, map[string]*matrix{name: m}),
			0o600); err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, path)
	}
	return s
}

func (s *weightsScene) request(change object) object {
	r := object{"files": s.files, "all": true, "state": s.state, "out": filepath.Join(s.dir, "out")}
	for name, value := range change {
		r[name] = value
	}
	return r
}

func TestWeightsCommand(t *testing.T) {
	s := newWeightsScene(t)
	whole := must(t, "weights", s.request(nil))
	tensors := whole["tensors"].([]any)
	if len(tensors) != 2 || whole["bytes"].(float64) != 2*(900+256) {
		t.Fatalf("%v", whole)
	}
	first := tensors[0].(object)
	if first["name"] != "a" || first["dtype"] != "BF16" || first["layout"] != "rows" ||
		first["blocks"].(float64) != 36 || first["depth"].(float64) != 1 {
		t.Errorf("%v", first)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "out")); err != nil {
		t.Error(err)
	}
	some := must(t, "weights", object{"files": s.files, "tensors": []object{
		{"name": "b", "layout": "lora_a"}, {"name": "a", "layout": "rows", "depth": 3},
	}})["tensors"].([]any)
	if some[0].(object)["blocks"].(float64) != 16 || some[1].(object)["depth"].(float64) != 3 ||
		some[1].(object)["root"] == first["root"] {
		t.Errorf("%v", some)
	}
}

// Whatever part of a state file a crash leaves, the result is the same, and no tensor in the file
// is hashed again.
func TestWeightsResume(t *testing.T) {
	s := newWeightsScene(t)
	want := must(t, "weights", s.request(nil))["tensors"].([]any)
	full, err := os.ReadFile(s.state)
	if err != nil {
		t.Fatal(err)
	}
	head := bytes.IndexByte(full, '\n') + 1
	for cut := head; cut <= len(full); cut += 37 {
		if err := os.WriteFile(s.state, full[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		got := must(t, "weights", s.request(nil))["tensors"].([]any)
		for i := range want {
			if got[i].(object)["root"] != want[i].(object)["root"] {
				t.Errorf("cut at %d: another root", cut)
			}
		}
		if after, err := os.ReadFile(s.state); err != nil || !bytes.Equal(after, full) {
			t.Errorf("cut at %d: the state is not whole again: %v", cut, err)
		}
	}
	// Put another root into the state: it appears in the result, so roots come from the state.
	root := want[0].(object)["root"].(string)
	other := root[:len(root)-1] + map[bool]string{true: "1", false: "0"}[root[len(root)-1] == '0']
	if err := os.WriteFile(s.state, bytes.ReplaceAll(full, []byte(root), []byte(other)),
		0o600); err != nil {
		t.Fatal(err)
	}
	if got := must(t, "weights",
		s.request(nil))["tensors"].([]any)[0].(object)["root"]; got != other {
		t.Error("a finished tensor was hashed again")
	}
}

func TestForeignStateIsRefused(t *testing.T) {
	s := newWeightsScene(t)
	must(t, "weights", s.request(nil))
	full, err := os.ReadFile(s.state)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(full, []byte("\n"))
	for name, data := range map[string][]byte{
		"wiped":             {},
		"without its head":  bytes.Join(lines[1:], nil),
		"another size":      bytes.Replace(full, []byte(`"size":`), []byte(`"size":1`), 1),
		"another header":    bytes.Replace(full, []byte(`"header":"`), []byte(`"header":"0`), 1),
		"a line of no JSON": append(bytes.Clone(full), "nonsense\n"...),
		"an unknown field":  append(bytes.Clone(full), "{\"x\":1}\n"...),
		"no root":           append(bytes.Clone(full), "{\"name\":\"a\"}\n"...),
	} {
		if err := os.WriteFile(s.state, data, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, name, "weights", s.request(nil), "mismatch")
	}
	if err := os.WriteFile(s.state, full, 0o600); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(s.files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.files[0], content, 0o600); err != nil { // a new time of modification
		t.Fatal(err)
	}
	refused(t, "files written again", "weights", s.request(nil), "mismatch")
}

func TestRefusedWeightsRequests(t *testing.T) {
	s := newWeightsScene(t)
	for what, c := range map[string]struct {
		change object
		code   string
	}{
		"no files":       {object{"files": []string{}}, "bad_request"},
		"a missing file": {object{"files": []string{s.dir + "/none"}}, "bad_file"},
		"a folder":       {object{"files": []string{s.dir}}, "bad_file"},
		"a file twice":   {object{"files": []string{s.files[0], s.files[0]}}, "bad_file"},
		"no tensors":     {object{"all": false}, "bad_request"},
		"tensors and all": {object{"tensors": []object{{"name": "a", "layout": "rows"}}},
			"bad_request"},
		"an unknown tensor": {object{"all": false,
			"tensors": []object{{"name": "c", "layout": "rows"}}}, "bad_file"},
		"an unknown layout": {object{"all": false,
			"tensors": []object{{"name": "a", "layout": "columns"}}}, "bad_request"},
		"another rank": {object{"all": false,
			"tensors": []object{{"name": "a", "layout": "lora_a", "rank": 8}}}, "bad_request"},
		"a rank beyond 64": {object{"all": false,
			"tensors": []object{{"name": "a", "layout": "lora_b"}}}, "bad_file"},
		"a depth of 8": {object{"all": false,
			"tensors": []object{{"name": "a", "layout": "rows", "depth": 8}}}, "bad_request"},
		"an unknown field":    {object{"layout": "rows"}, "bad_request"},
		"a state in a folder": {object{"state": s.dir}, "bad_file"},
	} {
		refused(t, what, "weights", s.request(c.change), c.code)
	}
}

// quantizeScene is a tensor of three of the shared blocks, the middle one of which is proved.
func quantizeScene(t *testing.T) (request object, deployed []byte) {
	t.Helper()
	var file struct {
		Cases []struct {
			Values []uint16 `json:"values"`
			Bytes  string   `json:"bytes"`
		} `json:"cases"`
	}
	fixture.Vectors(t, "q8_0.json", &file)
	m := &matrix{rows: 3, columns: 32}
	for _, c := range file.Cases[10:13] {
		m.values = append(m.values, c.Values...)
	}
	deployed, err := hex.DecodeString(file.Cases[11].Bytes)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"model": safetensors(t, map[string]*matrix{"w": m}),
		"codes": deployed} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := fixture.KeyDir(t, circuits.Shape{Kind: kinds.Q8_0, Slots: 1, Depth: 1})
	return object{"key": key, "file": filepath.Join(dir, "model"), "tensor": "w", "jobs": []object{
		{"indexes": []int{1}, "codes": filepath.Join(dir, "codes"),
			"out": filepath.Join(dir, "proof")},
	}}, deployed
}

func TestProveQ8_0Command(t *testing.T) {
	request, deployed := quantizeScene(t)
	job := request["jobs"].([]object)[0]
	result := must(t, "prove-q8_0", request)
	results := result["results"].([]any)
	if public := results[0].(object)["public"].([]any); len(public) != 4 ||
		public[0] != result["root"] || result["blocks"].(float64) != 3 {
		t.Errorf("%v", result)
	}
	committed := must(t, "weights", object{"files": []string{request["file"].(string)},
		"all": true})
	if committed["tensors"].([]any)[0].(object)["root"] != result["root"] {
		t.Error("another root than that of the command weights")
	}
	must(t, "verify", object{"words": request["key"].(string) + "/vk.words",
		"proofs": []any{job["out"]}, "mask": 0})
	deployed[2+17] ^= 4
	if err := os.WriteFile(job["codes"].(string), deployed, 0o600); err != nil {
		t.Fatal(err)
	}
	status, failed := call(t, "prove-q8_0", request)
	failure, _ := failed["error"].(object)
	if status != 2 || failure["code"] != "unproven" ||
		!strings.HasPrefix(failure["what"].(string), "block 1, code 17") {
		t.Errorf("status %d, %v", status, failed)
	}
	refused(t, "a key of another kind", "prove-int8", request, "bad_request")
	for what, change := range map[string]object{
		"no such tensor": {"tensor": "x"}, "no file": {"file": ""}, "no jobs": {"jobs": []object{}},
		"no codes": {"jobs": []object{{"indexes": []int{1}, "out": job["out"]}}},
	} {
		r := object{}
		for _, fields := range []object{request, change} {
			for name, value := range fields {
				r[name] = value
			}
		}
		code := "bad_request"
		if what == "no such tensor" {
			code = "bad_file"
		}
		refused(t, what, "prove-q8_0", r, code)
	}
}

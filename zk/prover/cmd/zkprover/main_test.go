// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"provenance/zkprover/commands/request"
	"provenance/zkprover/field"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/order"
	"provenance/zkprover/proof"
)

func TestMain(m *testing.M) { fixture.Main(m) }

type object = map[string]any

// call runs one command as the process would, and returns exit status and result.
func call(t *testing.T, command string, request object) (int, object) {
	t.Helper()
	text, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return callText(t, command, string(text))
}

func callText(t *testing.T, command, request string) (int, object) {
	t.Helper()
	var out bytes.Buffer
	status := run([]string{command}, strings.NewReader(request), &out)
	var result object
	decoder := json.NewDecoder(&out)
	if err := decoder.Decode(&result); err != nil {
		t.Fatalf("%s: stdout is not one JSON object: %v", command, err)
	}
	if decoder.More() {
		t.Fatalf("%s: more than one object on stdout", command)
	}
	return status, result
}

func must(t *testing.T, command string, request object) object {
	t.Helper()
	status, result := call(t, command, request)
	if status != 0 {
		t.Fatalf("%s: status %d, %v", command, status, result)
	}
	return result
}

// refused requires an error with the given status and code.
func refused(t *testing.T, what, command string, request object, code string) {
	t.Helper()
	status, result := call(t, command, request)
	failure, _ := result["error"].(object)
	if status != 2 || failure["code"] != code {
		t.Errorf("%s: status %d, %v", what, status, result)
	}
}

// scene is a folder with the files of one dataset and epoch of 300 records.
type scene struct {
	dir           string
	epoch, tree   string
	count         int
	gamma, delta  string
	leaves, order []byte
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, name) }

func (s *scene) write(t *testing.T, name string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(s.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return s.path(name)
}

func newScene(t *testing.T) *scene {
	t.Helper()
	challenge := fixture.Challenge()
	s := &scene{dir: t.TempDir(), count: 300, epoch: fixture.KeyDir(t, fixture.EpochShape),
		tree:  fixture.KeyDir(t, fixture.TreeShape),
		gamma: field.ScalarHex(&challenge.Gamma), delta: field.ScalarHex(&challenge.Delta)}
	digests, salts := fixture.Records(s.count)
	must(t, "dataset", object{"digests": s.write(t, "digests", digests),
		"salts": s.write(t, "salts", salts), "leaves_out": s.path("leaves")})
	must(t, "order", object{"seed": field.Word{5}.Hex(), "epoch": 2, "count": s.count,
		"out": s.path("order")})
	var err error
	if s.leaves, err = os.ReadFile(s.path("leaves")); err != nil {
		t.Fatal(err)
	}
	if s.order, err = os.ReadFile(s.path("order")); err != nil {
		t.Fatal(err)
	}
	a, err := order.Parse(s.order)
	if err != nil {
		t.Fatal(err)
	}
	var used []byte
	for _, leaf := range a {
		used = append(used, s.leaves[32*leaf:32*leaf+32]...)
	}
	s.write(t, "used", used)
	var secrets request.Blindings
	for range 2 {
		d, u := fixture.Scalar(), fixture.Scalar()
		secrets.D, secrets.U = append(secrets.D, field.ScalarHex(&d)), append(secrets.U,
			field.ScalarHex(&u))
	}
	text, err := json.Marshal(secrets)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "blindings", text)
	return s
}

// epochRequest is a valid request of prove-epoch with some fields replaced.
func (s *scene) epochRequest(change object) object {
	r := object{"key": s.epoch, "leaves": s.path("leaves"), "used": s.path("used"),
		"order": s.path("order"), "count": s.count, "chunk": 0, "blindings": s.path("blindings"),
		"gamma": s.gamma, "delta": s.delta, "out": s.path("epoch0")}
	for name, value := range change {
		if r[name] = value; value == nil {
			delete(r, name)
		}
	}
	return r
}

// All commands for a dataset and one epoch, in the order in which the service calls them.
func TestWholeWay(t *testing.T) {
	s := newScene(t)
	commitments := map[string]object{
		"D": must(t, "commit", object{"key": s.epoch, "vector": "D", "values": s.path("leaves"),
			"count": s.count, "blindings": s.path("blindings")}),
		"U": must(t, "commit", object{"key": s.epoch, "vector": "U", "values": s.path("used"),
			"count": s.count, "blindings": s.path("blindings")}),
		"P": must(t, "commit", object{"key": s.epoch, "vector": "P", "order": s.path("order"),
			"count": s.count}),
	}
	recomputed := must(t, "commit", object{"words": s.epoch + "/vk.words",
		"bases": s.epoch + "/bases.bin", "vector": "P",
		"order": s.path("order"), "count": s.count})
	if fmt.Sprint(recomputed["points"]) != fmt.Sprint(commitments["P"]["points"]) {
		t.Error("P recomputed from the bases differs")
	}
	result := must(t, "prove-epoch", s.epochRequest(object{"chunk": nil, "out": nil,
		"jobs": []object{
			{"chunk": 0, "out": s.path("epoch0")}, {"chunk": 1, "out": s.path("epoch1")}}}))
	if len(result["results"].([]any)) != 2 {
		t.Errorf("results %v", result)
	}
	must(t, "prove-link", s.epochRequest(object{"used": nil, "order": nil, "chunk": 1,
		"out": s.path("link1")}))
	must(t, "prove-tree", object{"key": s.tree, "leaves": s.path("leaves"), "depth": 5,
		"count": s.count, "gamma": s.gamma,
		"delta": s.delta, "jobs": []object{{"k": 0, "out": s.path("tree0")},
			{"k": 1, "out": s.path("tree1")}}})
	products := must(t, "products", object{"leaves": s.path("leaves"), "used": s.path("used"),
		"order": s.path("order"),
		"count": s.count, "slots": 256, "treeSlots": 256, "gamma": s.gamma, "delta": s.delta})
	for chunk := range 2 {
		p := s.proof(t, fmt.Sprintf("epoch%d", chunk))
		for i, vector := range []string{"D", "U", "P"} {
			point := fmt.Sprint(commitments[vector]["points"].([]any)[chunk])
			pok := fmt.Sprint(commitments[vector]["poks"].([]any)[chunk])
			if fmt.Sprint(p.Commitments[i]) != point || fmt.Sprint(p.Poks[i]) != pok {
				t.Errorf("chunk %d: commitment %s of the proof differs", chunk, vector)
			}
		}
		tree := s.proof(t, fmt.Sprintf("tree%d", chunk))
		for name, got := range map[string]string{"a": p.Public[3], "b": p.Public[4],
			"t": tree.Public[6], "z": tree.Public[7]} {
			if want := products[name].([]any)[chunk]; got != want {
				t.Errorf("chunk %d: %s is %s in the proof and %s in products", chunk,
					name, got, want)
			}
		}
	}
	must(t, "verify", object{"words": s.epoch + "/vk.words",
		"proofs": []string{s.path("epoch0"), s.path("epoch1")}, "mask": 6})
	must(t, "verify", object{"words": s.epoch + "/vk.words",
		"proofs": []string{s.path("link1")}, "mask": 0})
	must(t, "verify", object{"words": s.tree + "/vk.words",
		"proofs": []string{s.path("tree0"), s.path("tree1")}, "mask": 0})
	s.verdicts(t)
	s.silence(t)
}

func (s *scene) proof(t *testing.T, name string) proof.JSON {
	t.Helper()
	text, err := os.ReadFile(s.path(name))
	if err != nil {
		t.Fatal(err)
	}
	var p proof.JSON
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// verdicts requires that one false proof among true ones makes the whole answer false, with status
// 1.
func (s *scene) verdicts(t *testing.T) {
	request := object{"words": s.epoch + "/vk.words",
		"proofs": []string{s.path("epoch0"), s.path("link1")}, "mask": 6}
	status, result := call(t, "verify", request)
	results := result["results"].([]any)
	if status != 1 || result["ok"] != false || results[0].(object)["ok"] != true ||
		results[1].(object)["ok"] != false {
		t.Errorf("status %d, %v", status, result)
	}
	request["proofs"] = []string{s.write(t, "broken", []byte("{}"))}
	if status, result := call(t, "verify", request); status != 1 || result["ok"] != false {
		t.Errorf("a malformed proof: status %d, %v", status, result)
	}
	request["proofs"] = []string{}
	refused(t, "no proofs", "verify", request, "bad_request")
	request["proofs"] = []string{s.path("absent")}
	refused(t, "a missing proof", "verify", request, "bad_file")
	request["mask"] = 8
	refused(t, "mask 8", "verify", request, "bad_request")
	delete(request, "mask")
	refused(t, "no mask", "verify", request, "bad_request")
}

// silence requires that no secret appears in a proof.
func (s *scene) silence(t *testing.T) {
	var secrets request.Blindings
	text, err := os.ReadFile(s.path("blindings"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &secrets); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(s.path("epoch0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range append(secrets.D, secrets.U...) {
		if bytes.Contains(written, []byte(secret[2:])) {
			t.Error("a blinding stands in the proof")
		}
	}
}

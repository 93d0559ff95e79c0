// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/field"
	"provenance/zkprover/internal/fixture"
)

func TestSetupAndInspect(t *testing.T) {
	cache := t.TempDir()
	request := object{"kind": "epoch", "slots": 2, "cache": cache}
	first, second := must(t, "setup", request), must(t, "setup", request)
	if first["reused"] != false || second["reused"] != true || first["key"] != second["key"] ||
		first["class"] != "dev" {
		t.Errorf("%v, then %v", first, second)
	}
	seen := must(t, "inspect", object{"words": first["key"].(string) + "/vk.words"})
	if seen["vkId"] != first["vkId"] || seen["slots"] != 2.0 || seen["nCommitments"] != 3.0 {
		t.Errorf("inspect: %v", seen)
	}
	refused(t, "no cache", "setup", object{"kind": "epoch", "slots": 2}, "bad_request")
	refused(t, "no slots", "setup", object{"kind": "epoch", "cache": cache}, "bad_request")
	refused(t, "unknown kind", "setup", object{"kind": "merge", "slots": 2, "cache": cache},
		"bad_request")
	refused(t, "no words", "inspect", object{"words": cache + "/none"}, "bad_file")
}

func TestRootOfGivenLeaves(t *testing.T) {
	s := newScene(t)
	whole := must(t, "leaf-root", object{"leaves": s.path("leaves")})
	digests, salts := fixture.Records(s.count)
	again := must(t, "dataset", object{"digests": s.write(t, "d", digests),
		"salts": s.write(t, "s", salts), "leaves_out": s.path("l")})
	if fmt.Sprint(whole) != fmt.Sprint(again) {
		t.Errorf("%v and %v", whole, again)
	}
	deep := must(t, "leaf-root", object{"leaves": s.path("leaves"), "depth": 6})
	if deep["root"] == whole["root"] || deep["depth"] != 6.0 {
		t.Errorf("depth 6: %v", deep)
	}
	copy(digests[32:], digests[:32])
	refused(t, "a digest twice", "dataset", object{"digests": s.write(t, "d", digests),
		"salts": s.path("s"), "leaves_out": s.path("l")}, "bad_file")
	refused(t, "an element of r", "leaf-root", object{"leaves": s.write(t, "l",
		fr.Modulus().FillBytes(make([]byte, 32)))}, "bad_file")
	refused(t, "no leaves", "leaf-root", object{"leaves": s.write(t, "l", nil)}, "bad_file")
	refused(t, "depth 7", "leaf-root", object{"leaves": s.path("leaves"), "depth": 7},
		"bad_request")
}

func TestRefusedProveRequests(t *testing.T) {
	s := newScene(t)
	swapped := bytes.Clone(s.leaves)
	copy(swapped[:32], s.leaves[32:64])
	copy(swapped[32:64], s.leaves[:32])
	repeated := bytes.Clone(s.order)
	copy(repeated[:8], repeated[8:16])
	one := fixture.Scalar()
	short := fmt.Sprintf(`{"d":["%s"],"u":[]}`, field.ScalarHex(&one))
	zero := fmt.Sprintf(`{"d":["%[1]s","%[1]s"],"u":["%[1]s","%[1]s"]}`, field.Word{}.Hex())
	for name, c := range map[string]struct {
		change object
		code   string
	}{
		"used not in the order":  {object{"used": s.write(t, "swapped", swapped)}, "mismatch"},
		"order no permutation":   {object{"order": s.write(t, "repeated", repeated)}, "bad_file"},
		"chunk beyond the count": {object{"chunk": 2}, "bad_request"},
		"chunk negative":         {object{"chunk": -1}, "bad_request"},
		"count zero":             {object{"count": 0}, "bad_request"},
		"count too small":        {object{"count": 299}, "bad_file"},
		"gamma r": {object{"gamma": fmt.Sprintf("0x%064x", fr.Modulus())},
			"bad_request"},
		"delta short": {object{"delta": "0x01"}, "bad_request"},
		"no used":     {object{"used": nil}, "bad_request"},
		"too few blindings": {object{"blindings": s.write(t, "short", []byte(short))},
			"bad_file"},
		"zero blindings": {object{"blindings": s.write(t, "zero", []byte(zero))},
			"bad_file"},
		"blindings no JSON": {object{"blindings": s.path("leaves")}, "bad_file"},
		"tree key":          {object{"key": s.tree}, "bad_request"},
		"no key":            {object{"key": s.dir}, "bad_file"},
		"unknown option":    {object{"chunks": 1}, "bad_request"},
		"no jobs":           {object{"jobs": []object{}}, "bad_request"},
		"jobs of two keys":  {object{"jobs": []object{{}, {"key": s.tree}}}, "bad_request"},
		"no output":         {object{"out": nil}, "bad_request"},
	} {
		refused(t, name, "prove-epoch", s.epochRequest(c.change), c.code)
	}
	refused(t, "a link with used", "prove-link", s.epochRequest(nil), "bad_request")
	tree := object{"key": s.tree, "leaves": s.path("leaves"), "depth": 5, "count": s.count, "k": 2,
		"gamma": s.gamma, "delta": s.delta, "out": s.path("t")}
	refused(t, "an empty tree chunk", "prove-tree", tree, "bad_request")
	tree["k"], tree["depth"] = 0, 6
	refused(t, "another depth", "prove-tree", tree, "mismatch")
}

// Errors about secrets do not quote them.
func TestErrorsAboutSecretsAreSilent(t *testing.T) {
	s := newScene(t)
	for _, content := range []string{`{"d":["secret-text"],"u":[]}`,
		`{"d":["secret-text","x"],"u":["x","y"]}`, `{"secret-text":1}`, `secret-text`} {
		_, result := call(t, "prove-epoch", s.epochRequest(object{"blindings": s.write(t, "b",
			[]byte(content))}))
		if text := fmt.Sprint(result); strings.Contains(text, "secret") ||
			!strings.Contains(text, "error") {
			t.Errorf("%s", text)
		}
	}
}

func TestRequestsThatAreNoRequests(t *testing.T) {
	for _, command := range names() {
		for _, text := range []string{"", "{", "[]", "1", `{"nonsense":1}`, "{} {}"} {
			status, result := callText(t, command, text)
			if status != 2 || result["error"] == nil {
				t.Errorf("%s with %q: status %d, %v", command, text, status, result)
			}
		}
	}
	if status, result := callText(t, "frobnicate", "{}"); status != 2 || result["error"] == nil {
		t.Errorf("unknown command: %d, %v", status, result)
	}
}

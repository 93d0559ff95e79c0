// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"provenance/zkprover/internal/fixture"
)

// audits is a dataset of 40 records in a tree of depth 2, with a key of each kind made through the
// command.
type audits struct {
	scene
	digests, salts []byte
	keys           map[string]string
}

func newAudits(t *testing.T) *audits {
	t.Helper()
	a := &audits{scene: scene{dir: t.TempDir(), count: 40}, keys: map[string]string{}}
	a.digests, a.salts = fixture.Records(a.count)
	must(t, "dataset", object{"digests": a.write(t, "digests", a.digests),
		"salts":      a.write(t, "salts", a.salts),
		"leaves_out": a.path("leaves"), "depth": 2})
	for kind, slots := range map[string]int{"sorted": 16, "member": 1, "absent": 1} {
		a.keys[kind] = must(t, "setup", object{"kind": kind, "slots": slots, "depth": 2,
			"cache": a.path("keys")})["key"].(string)
	}
	return a
}

// record is digest and salt of record i.
func (a *audits) record(i int) []byte {
	return append(bytes.Clone(a.digests[32*i:32*i+32]), a.salts[31*i:31*i+31]...)
}

// request is a valid request about record 7, or about the gap behind it, with some fields replaced.
func (a *audits) request(t *testing.T, kind string, change object) object {
	t.Helper()
	r := object{"key": a.keys[kind], "count": a.count, "depth": 2, "out": a.path(kind)}
	switch kind {
	case "sorted":
		r["digests"], r["salts"] = a.path("digests"), a.path("salts")
	case "member":
		r["leaves"], r["position"], r["digest"] = a.path("leaves"), 7, digestOf(a.digests[32*7:])
		r["salt"] = a.write(t, "salt", a.salts[31*7:31*7+31])
	case "absent":
		r["leaves"], r["position"], r["digest"] = a.path("leaves"), 8, behind(a.digests[32*7:])
		r["neighbours"] = a.write(t, "neighbours", append(a.record(7), a.record(8)...))
	}
	for name, value := range change {
		if r[name] = value; value == nil {
			delete(r, name)
		}
	}
	return r
}

func digestOf(digest []byte) string { return "0x" + hex.EncodeToString(digest[:32]) }

// behind is a digest whose first half is larger by one.
func behind(digest []byte) string {
	next := bytes.Clone(digest[:32])
	for i := 15; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			break
		}
	}
	return digestOf(next)
}

func TestAudits(t *testing.T) {
	a := newAudits(t)
	must(t, "prove-sorted", a.request(t, "sorted", object{"out": nil, "jobs": []object{
		{"k": 0, "out": a.path("sorted0")}, {"k": 1, "out": a.path("sorted1")}, {"k": 2,
			"out": a.path("sorted2")}}}))
	answers := []object{
		must(t, "prove-member", a.request(t, "member", nil)),
		must(t, "prove-absent", a.request(t, "absent", nil)),
		must(t, "prove-absent", a.request(t, "absent",
			object{"out": a.path("start"), "position": 0, "digest": "0x" + strings.Repeat("0", 64),
				"neighbours": a.write(t, "first", a.record(0))})),
		must(t, "prove-absent", a.request(t, "absent",
			object{"out": a.path("end"), "position": 40, "digest": "0x" + strings.Repeat("f", 64),
				"neighbours": a.write(t, "last", a.record(39))})),
	}
	for kind, names := range map[string][]string{"sorted": {"sorted0", "sorted1", "sorted2"},
		"member": {"member"}, "absent": {"absent", "start", "end"}} {
		var paths []string
		for _, name := range names {
			paths = append(paths, a.path(name))
		}
		must(t, "verify", object{"words": a.keys[kind] + "/vk.words", "proofs": paths, "mask": 0})
	}
	for k := range 2 {
		this, next := a.proof(t, fmt.Sprintf("sorted%d", k)), a.proof(t,
			fmt.Sprintf("sorted%d", k+1))
		if this.Public[5] != next.Public[4] || this.Public[0] != next.Public[0] {
			t.Errorf("chunk %d does not chain", k)
		}
	}
	a.discretion(t, answers)
}

// discretion requires that neither answers nor proofs reveal positions, salts or neighbours.
func (a *audits) discretion(t *testing.T, answers []object) {
	for _, name := range []string{"member", "absent", "start", "end"} {
		text, err := os.ReadFile(a.path(name))
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, object{"proof": string(text)})
	}
	for _, answer := range answers {
		text, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		if answer["chunk"] != nil && answer["chunk"] != 0.0 {
			t.Errorf("a number that may be a position: %s", text)
		}
		for _, i := range []int{0, 7, 8, 39} {
			if bytes.Contains(text, []byte(hex.EncodeToString(a.salts[31*i:31*i+31]))) {
				t.Errorf("a salt stands in %s", text)
			}
		}
	}
}

func TestRefusedAudits(t *testing.T) {
	a := newAudits(t)
	pair := func(i, j int) string {
		return a.write(t, fmt.Sprintf("pair%d-%d", i, j), append(a.record(i), a.record(j)...))
	}
	one := a.write(t, "one", a.record(8))
	unsorted := append(bytes.Clone(a.digests[32:64]), a.digests[:32]...)
	for _, c := range []struct {
		what, kind string
		change     object
		code       string
	}{
		{"a chunk without records", "sorted", object{"k": 3}, "bad_request"},
		{"unsorted digests", "sorted", object{"digests": a.write(t, "unsorted",
			append(unsorted, a.digests[64:]...))}, "bad_file"},
		{"too few salts", "sorted", object{"salts": a.write(t, "few", a.salts[31:])}, "bad_file"},
		{"another count", "sorted", object{"count": 39}, "bad_request"},
		{"a key of another kind", "sorted", object{"key": a.keys["member"]}, "bad_request"},
		{"another depth", "sorted", object{"depth": 3}, "mismatch"},
		{"a digest that is not there", "member", object{"digest": behind(a.digests)}, "unproven"},
		{"another record", "member", object{"digest": digestOf(a.digests)}, "unproven"},
		{"another position", "member", object{"position": 6}, "unproven"},
		{"a position behind the end", "member", object{"position": 40}, "bad_request"},
		{"no position", "member", object{"position": nil}, "bad_request"},
		{"a long salt", "member", object{"salt": a.write(t, "long", make([]byte, 32))}, "bad_file"},
		{"a short salt", "member", object{"salt": a.write(t, "short",
			make([]byte, 30))}, "bad_file"},
		{"no salt", "member", object{"salt": nil}, "bad_request"},
		{"a short digest", "member", object{"digest": "0x00"}, "bad_request"},
		{"a digest that is there", "absent", object{"digest": digestOf(a.digests[32*7:])},
			"unproven"},
		{"the record above", "absent", object{"digest": digestOf(a.digests[32*8:])}, "unproven"},
		{"a record that is skipped", "absent", object{"digest": digestOf(a.digests[32*8:]),
			"neighbours": pair(7, 9)}, "mismatch"},
		{"another gap", "absent", object{"position": 9, "neighbours": pair(8, 9)}, "unproven"},
		{"the start pretended", "absent", object{"position": 0, "neighbours": one}, "mismatch"},
		{"the end pretended", "absent", object{"position": 40, "neighbours": one}, "mismatch"},
		{"the start for a larger digest", "absent",
			object{"position": 0, "neighbours": a.write(t, "first", a.record(0))}, "unproven"},
		{"the end for a smaller digest", "absent",
			object{"position": 40, "neighbours": a.write(t, "last", a.record(39))}, "unproven"},
		{"one neighbour where there are two", "absent", object{"neighbours": one}, "bad_file"},
		{"a position behind the end", "absent", object{"position": 41}, "bad_request"},
		{"a negative position", "absent", object{"position": -1}, "bad_request"},
		{"no position", "absent", object{"position": nil}, "bad_request"},
	} {
		refused(t, c.kind+": "+c.what, "prove-"+c.kind, a.request(t, c.kind, c.change), c.code)
		if _, err := os.Stat(a.path(c.kind)); err == nil {
			t.Errorf("%s: %s: a proof was written", c.kind, c.what)
		}
	}
}

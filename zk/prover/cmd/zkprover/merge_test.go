// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/statement"
)

// matrix is a bfloat16 tensor for a safetensors file.
type matrix struct {
	rows, columns int
	values        []uint16
}

func drawnMatrix(rows, columns int) *matrix {
	m := &matrix{rows, columns, make([]uint16, rows*columns)}
	for i := range m.values {
		m.values[i] = uint16(rand.IntN(2)<<15 | (120+rand.IntN(6))<<7 | rand.IntN(128))
	}
	return m
}

func safetensors(t *testing.T, tensors map[string]*matrix) []byte {
	t.Helper()
	header, data := object{"__metadata__": object{"format": "pt"}}, []byte{}
	for name, m := range tensors {
		start := len(data)
		for _, v := range m.values {
			data = binary.LittleEndian.AppendUint16(data, v)
		}
		header[name] = object{"dtype": "BF16", "shape": []int{m.rows, m.columns},
			"data_offsets": []int{start, len(data)}}
	}
	return withHeader(t, header, data)
}

func withHeader(t *testing.T, header object, data []byte) []byte {
	t.Helper()
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	return append(append(out, text...), data...)
}

// mergeScene is the files of an honest merge of one tensor.
type mergeScene struct {
	dir                string
	base, a, b, merged *matrix
}

func newMergeScene(t *testing.T) *mergeScene {
	t.Helper()
	s := &mergeScene{t.TempDir(), drawnMatrix(8, 64), drawnMatrix(4, 64), drawnMatrix(8, 4),
		drawnMatrix(8, 64)}
	for at := range s.merged.values {
		var column []uint16
		for k := range 4 {
			column = append(column, s.a.values[k*64+at%64])
		}
		s.merged.values[at] = statement.MergedValue(s.base.values[at], 3<<15,
			s.b.values[at/64*4:at/64*4+4], column)
	}
	s.save(t)
	return s
}

func (s *mergeScene) save(t *testing.T) {
	s.write(t, "base", safetensors(t, map[string]*matrix{"q.weight": s.base,
		"k.weight": drawnMatrix(3, 5)}))
	s.write(t, "adapter", safetensors(t, map[string]*matrix{"q.lora_A": s.a, "q.lora_B": s.b}))
	s.write(t, "merged", safetensors(t, map[string]*matrix{"q.weight": s.merged}))
}

func (s *mergeScene) path(name string) string { return filepath.Join(s.dir, name) }

func (s *mergeScene) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(s.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *mergeScene) request(t *testing.T, change object) object {
	r := object{
		"key": fixture.KeyDir(t, fixture.MergeShape), "scale": "98304",
		"base":    object{"file": s.path("base"), "tensor": "q.weight"},
		"adapter": object{"file": s.path("adapter"), "a": "q.lora_A", "b": "q.lora_B"},
		"merged":  object{"file": s.path("merged"), "tensor": "q.weight"},
		"jobs": []object{{"indexes": []int{7}, "out": s.path("proof7")},
			{"indexes": []int{0}, "out": s.path("proof0")}},
	}
	for name, value := range change {
		r[name] = value
	}
	return r
}

func TestMergeCommand(t *testing.T) {
	s := newMergeScene(t)
	result := must(t, "prove-merge", s.request(t, nil))
	if results := result["results"].([]any); len(results) != 2 ||
		len(results[0].(object)["public"].([]any)) != 7 {
		t.Errorf("%v", result)
	}
	words := fixture.KeyDir(t, fixture.MergeShape) + "/vk.words"
	must(t, "verify", object{"words": words, "proofs": []string{s.path("proof7"),
		s.path("proof0")}, "mask": 0})
}

func TestFalseMergesAreNamed(t *testing.T) {
	s := newMergeScene(t)
	s.merged.values[3*64+32+5]++
	s.save(t)
	status, result := call(t, "prove-merge", s.request(t, nil))
	failure, _ := result["error"].(object)
	if status != 2 || failure["code"] != "unproven" ||
		!strings.HasPrefix(failure["what"].(string), "merged q.weight: block 7, column 37 ") {
		t.Errorf("status %d, %v", status, result)
	}
	s.base.values[3*64+63] = 0x7fc0
	s.save(t)
	_, result = call(t, "prove-merge", s.request(t, nil))
	failure, _ = result["error"].(object)
	if failure["code"] != "bad_file" || failure["what"] != "base q.weight: value [3, 63]" ||
		failure["actual"] != "outside" {
		t.Errorf("%v", result)
	}
}

func TestRefusedMergeFiles(t *testing.T) {
	s := newMergeScene(t)
	s.write(t, "short", safetensors(t, map[string]*matrix{"q.weight": s.base})[:500])
	s.write(t, "tiny", []byte("short"))
	for name, entry := range map[string]object{
		"F32":    {"dtype": "F32", "shape": []int{8, 64}, "data_offsets": []int{0, 2048}},
		"F16":    {"dtype": "F16", "shape": []int{16, 64}, "data_offsets": []int{0, 2048}},
		"vector": {"dtype": "BF16", "shape": []int{1024}, "data_offsets": []int{0, 2048}},
		"cube":   {"dtype": "BF16", "shape": []int{16, 8, 8}, "data_offsets": []int{0, 2048}},
	} {
		s.write(t, name, withHeader(t, object{"q.weight": entry}, make([]byte, 2048)))
	}
	for file, code := range map[string]string{"absent": "bad_file", "short": "bad_file",
		"tiny": "bad_file", "cube": "bad_file",
		"F32": "mismatch", "F16": "mismatch", "vector": "mismatch"} {
		refused(t, file, "prove-merge", s.request(t,
			object{"base": object{"file": s.path(file), "tensor": "q.weight"}}), code)
	}
}

func TestRefusedMergeFields(t *testing.T) {
	s := newMergeScene(t)
	for what, c := range map[string]struct {
		change object
		code   string
	}{
		"no key":           {object{"key": s.path("none")}, "bad_file"},
		"another kind":     {object{"key": fixture.KeyDir(t, fixture.EpochShape)}, "bad_request"},
		"no jobs":          {object{"jobs": []object{}}, "bad_request"},
		"scale 1.5":        {object{"scale": "1.5"}, "bad_request"},
		"scale -1":         {object{"scale": "-1"}, "bad_request"},
		"scale of 33 bits": {object{"scale": "4294967296"}, "bad_request"},
		"no scale":         {object{"scale": ""}, "bad_request"},
		"another scale":    {object{"scale": "65536"}, "unproven"},
		"no tensor named":  {object{"base": object{"file": s.path("base")}}, "bad_request"},
		"no such tensor": {object{"base": object{"file": s.path("base"), "tensor": "v.weight"}},
			"bad_file"},
		"another shape": {object{"base": object{"file": s.path("base"), "tensor": "k.weight"}},
			"mismatch"},
		"A and B exchanged": {object{"adapter": object{"file": s.path("adapter"), "a": "q.lora_B",
			"b": "q.lora_A"}}, "mismatch"},
		"base as merged": {object{"merged": object{"file": s.path("base"),
			"tensor": "q.weight"}}, "unproven"},
		"an index too large": {object{"jobs": []object{{"indexes": []int{16}, "out": s.path("p")}}},
			"bad_request"},
		"a negative index": {object{"jobs": []object{{"indexes": []int{-1}, "out": s.path("p")}}},
			"bad_request"},
		"two indexes": {object{"jobs": []object{{"indexes": []int{1, 2},
			"out": s.path("p")}}}, "bad_request"},
		"no output": {object{"jobs": []object{{"indexes": []int{1}}}}, "bad_request"},
	} {
		refused(t, what, "prove-merge", s.request(t, c.change), c.code)
	}
}

// Errors about weights tell their positions, but not their values.
func TestErrorsShowNoWeights(t *testing.T) {
	s := newMergeScene(t)
	for i := range s.merged.values {
		s.merged.values[i] ^= 0x1234
	}
	s.save(t)
	_, result := call(t, "prove-merge", s.request(t, nil))
	text := []byte(fmt.Sprint(result))
	for _, m := range []*matrix{s.base, s.merged} {
		for _, v := range m.values[3*64+32 : 4*64] {
			for _, form := range []string{fmt.Sprintf("%04x", v), fmt.Sprintf("%d", v)} {
				if len(form) > 3 && bytes.Contains(text, []byte(form)) {
					t.Fatalf("%s stands in %s", form, text)
				}
			}
		}
	}
}

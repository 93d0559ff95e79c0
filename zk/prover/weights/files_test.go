// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"provenance/zkprover/fault"
)

func safetensors(header string, data []byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), data...)
}

func writeModel(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openBytes(t *testing.T, data []byte) (*Model, error) {
	t.Helper()
	m, err := OpenModel([]string{writeModel(t, data)})
	if err == nil {
		t.Cleanup(m.Close)
	}
	return m, err
}

// requireRoot holds the tree of a tensor in a file against the tree of its bytes.
func requireRoot(t *testing.T, m *Model, name string, g Grid, data []byte) {
	t.Helper()
	e, err := m.Entry(name)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Grid(g.Layout, 0)
	if err != nil || got != g {
		t.Fatalf("%s: grid %v, want %v: %v", name, got, g, err)
	}
	built, err := New(got, 0, e.Values(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if root, want := built.Root(), mustTree(t, g, 0, data); root != want.Root() {
		t.Errorf("%s: another root", name)
	}
}

func TestSafetensors(t *testing.T) {
	matrix, vector := mustGrid(t, BF16, Rows, 5, 40), mustGrid(t, F32, Rows, 1, 33)
	_, a := tensor(matrix, 1)
	_, b := tensor(vector, 2)
	header := fmt.Sprintf(`{"__metadata__":{"format":"pt"},
		"v":{"dtype":"F32","shape":[33],"data_offsets":[%d,%d]},
		"m":{"dtype":"BF16","shape":[5,40],"data_offsets":[0,%d]}}  `,
		len(a), len(a)+len(b), len(a))
	m, err := openBytes(t, safetensors(header, append(bytes.Clone(a), b...)))
	if err != nil {
		t.Fatal(err)
	}
	if names := m.Names(); !slices.Equal(names, []string{"m", "v"}) {
		t.Errorf("names %v", names)
	}
	requireRoot(t, m, "m", matrix, a)
	requireRoot(t, m, "v", vector, b)
}

func TestShards(t *testing.T) {
	shard := func(name string) []byte {
		return safetensors(`{"`+name+`":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]}}`,
			[]byte{1, 2, 3, 4})
	}
	one, two := writeModel(t, shard("a")), writeModel(t, shard("b"))
	m, err := OpenModel([]string{one, two})
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	if names := m.Names(); !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("names %v", names)
	}
	if _, err := OpenModel([]string{one, one}); err == nil {
		t.Error("a tensor in two files was accepted")
	}
}

func TestMalformedSafetensors(t *testing.T) {
	entry := func(dtype, shape, offsets string) string {
		return `{"a":{"dtype":` + dtype + `,"shape":` + shape + `,"data_offsets":` + offsets + `}}`
	}
	four := []byte{1, 2, 3, 4}
	good := entry(`"F16"`, "[2]", "[0,4]")
	if _, err := openBytes(t, safetensors(good, four)); err != nil {
		t.Fatal(err)
	}
	second := strings.Replace(entry(`"F16"`, "[1]", "[2,4]"), "a", "b", 1)[1:]
	deep := strings.Repeat("[", 20_000)
	for name, data := range map[string][]byte{
		"empty":                  {},
		"no length":              {1, 2, 3, 4, 5},
		"header beyond the file": append(binary.LittleEndian.AppendUint64(nil, 1<<40), good...),
		"length of all ones": append(binary.LittleEndian.AppendUint64(nil, math.MaxUint64),
			good...),
		"no JSON":              safetensors("{", four),
		"a list":               safetensors("[]", four),
		"text after it":        safetensors(good+"{}", four),
		"deep":                 safetensors(`{"a":`+deep, four),
		"a name twice":         safetensors(good[:len(good)-1]+","+good[1:], four),
		"a field twice":        safetensors(entry(`"F16","dtype":"F16"`, "[2]", "[0,4]"), four),
		"a field in capitals":  safetensors(strings.Replace(good, "dtype", "DTYPE", 1), four),
		"not UTF-8":            safetensors("{\"\xff\":0}", four),
		"a lone surrogate":     safetensors(strings.Replace(good, `"a"`, `"\ud800"`, 1), four),
		"an unknown dtype":     safetensors(entry(`"F17"`, "[2]", "[0,4]"), four),
		"a dtype that is none": safetensors(entry("7", "[2]", "[0,4]"), four),
		"a shape that is none": safetensors(entry(`"F16"`, "null", "[0,4]"), four),
		"a negative shape":     safetensors(entry(`"F16"`, "[-2]", "[0,4]"), four),
		"a shape in quotes":    safetensors(entry(`"F16"`, `["2"]`, "[0,4]"), four),
		"a fraction":           safetensors(entry(`"F16"`, "[2.0]", "[0,4]"), four),
		"a shape that wraps": safetensors(entry(`"F16"`, "[4294967296,4294967296,4]",
			"[0,4]"), four),
		"a shape of another size":  safetensors(entry(`"F16"`, "[3]", "[0,4]"), four),
		"offsets beyond the file":  safetensors(entry(`"F16"`, "[4]", "[0,8]"), four),
		"offsets the wrong way":    safetensors(entry(`"F16"`, "[2]", "[4,0]"), four),
		"one offset":               safetensors(entry(`"F16"`, "[2]", "[0]"), four),
		"a gap":                    safetensors(entry(`"F16"`, "[1]", "[2,4]"), four),
		"an overlap":               safetensors(good[:len(good)-1]+","+second, four),
		"bytes after the last one": safetensors(good, append(four, 0)),
		"a truncated file":         safetensors(good, four[:3]),
	} {
		requireRefused(t, name, data)
	}
}

func requireRefused(t *testing.T, name string, data []byte) {
	t.Helper()
	var failure *fault.Error
	if _, err := openBytes(t, data); !errors.As(err, &failure) || failure.Code != fault.BadFile {
		t.Errorf("%s: %v", name, err)
	}
}

// gguf builds a file from parts.
type gguf struct{ bytes.Buffer }

func (g *gguf) put(values ...any) *gguf {
	for _, v := range values {
		if text, ok := v.(string); ok {
			g.put(uint64(len(text)))
			g.WriteString(text)
			continue
		}
		binary.Write(g, binary.LittleEndian, v) // a buffer does not fail
	}
	return g
}

func newGGUF(version uint32, tensors, keys uint64) *gguf {
	g := &gguf{}
	g.WriteString(ggufMagic)
	return g.put(version, tensors, keys)
}

// data fills up to the alignment and appends the tensors.
func (g *gguf) data(alignment int, data []byte) []byte {
	out := g.Bytes()
	out = append(out, make([]byte, (alignment-len(out)%alignment)%alignment)...)
	return append(out, data...)
}

func TestGGUF(t *testing.T) {
	matrix := mustGrid(t, BF16, Rows, 5, 40)
	_, values := tensor(matrix, 1)
	g := newGGUF(3, 2, 3).put("general.alignment", uint32(4), uint32(64), "a", uint32(9), uint32(8),
		uint64(2), "x", "y",
		"b", uint32(9), uint32(5), uint64(1), uint32(7))
	g.put("m", uint32(2), uint64(40), uint64(5), uint32(30), uint64(0), "q", uint32(1), uint64(32),
		uint32(8), uint64(448))
	m, err := openBytes(t, g.data(64, append(values, make([]byte, 448-400+34)...)))
	if err != nil {
		t.Fatal(err)
	}
	requireRoot(t, m, "m", matrix, values)
	quantized, err := m.Entry("q")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := quantized.Grid(Rows, 0); err == nil {
		t.Error("a quantized tensor was taken for values")
	}
}

func TestMalformedGGUF(t *testing.T) {
	info := func(dims uint32, shape, kind, offset any) *gguf {
		return newGGUF(3, 1, 0).put("t", dims, shape, kind, offset)
	}
	four := make([]byte, 4)
	if _, err := openBytes(t, info(1, uint64(2), uint32(1), uint64(0)).data(32, four)); err != nil {
		t.Fatal(err)
	}
	key := func(values ...any) []byte { return newGGUF(3, 0, 1).put(values...).data(32, nil) }
	for name, data := range map[string][]byte{
		"version 1":                  newGGUF(1, 0, 0).data(32, nil),
		"header only":                []byte("GGUF\x03\x00"),
		"2^60 tensors":               newGGUF(3, 1<<60, 0).data(32, nil),
		"2^60 keys":                  newGGUF(3, 0, 1<<60).data(32, nil),
		"a tensor that is not there": newGGUF(3, 1, 0).data(32, nil),
		"a name beyond the file":     key(uint64(1<<62), "a"),
		"an unknown value type":      key("a", uint32(13), uint64(0)),
		"an unknown item type":       key("a", uint32(9), uint32(13), uint64(0)),
		"nested arrays":              key("a", uint32(9), uint32(9), uint64(1)),
		"2^61 items":                 key("a", uint32(9), uint32(10), uint64(1<<61)),
		"a key twice": newGGUF(3, 0, 2).put("a", uint32(7), uint8(0), "a",
			uint32(7), uint8(0)).data(32, nil),
		"alignment 0":               key("general.alignment", uint32(4), uint32(0)),
		"alignment 12":              key("general.alignment", uint32(4), uint32(12)),
		"alignment of another type": key("general.alignment", uint32(10), uint64(32)),
		"no dimensions":             info(0, uint64(2), uint32(1), uint64(0)).data(32, four),
		"five dimensions": info(5, uint64(2), uint32(1), uint64(0)).data(32,
			make([]byte, 100)),
		"an unknown type": info(1, uint64(2), uint32(4), uint64(0)).data(32, four),
		"half a block": info(1, uint64(16), uint32(8), uint64(0)).data(32,
			make([]byte, 34)),
		"a shape that wraps": info(2, [2]uint64{1 << 40, 1 << 40}, uint32(1),
			uint64(0)).data(32, four),
		"an offset that is not aligned": info(1, uint64(1), uint32(1), uint64(2)).data(32, four),
		"an offset beyond the file":     info(1, uint64(2), uint32(1), uint64(64)).data(32, four),
		"an offset that wraps": info(1, uint64(2), uint32(1),
			uint64(math.MaxUint64-31)).data(32, four),
		"a truncated tensor": info(1, uint64(2), uint32(1),
			uint64(0)).data(32, four[:3]),
		"a name that is not UTF-8": newGGUF(3, 1, 0).put("\xff", uint32(1), uint64(2),
			uint32(1), uint64(0)).data(32, four),
		"a tensor twice": newGGUF(3, 2, 0).put("t", uint32(1), uint64(2),
			uint32(1), uint64(0), "t", uint32(1), uint64(2), uint32(1), uint64(32)).data(32,
			make([]byte, 64)),
		"two tensors in the same place": newGGUF(3, 2, 0).put("t", uint32(1), uint64(2),
			uint32(1), uint64(0), "u", uint32(1), uint64(2), uint32(1), uint64(0)).data(32, four),
		"tensors that overlap in one row": newGGUF(3, 2, 0).put("t", uint32(1), uint64(32),
			uint32(1), uint64(0), "u", uint32(1), uint64(2), uint32(1), uint64(32)).data(32,
			make([]byte, 64)),
	} {
		requireRefused(t, name, data)
	}
}

func TestPathsThatAreNoModel(t *testing.T) {
	for _, paths := range [][]string{nil, {t.TempDir()}, {filepath.Join(t.TempDir(), "missing")},
		{"/dev/zero"}} {
		if _, err := OpenModel(paths); err == nil {
			t.Errorf("%v was opened", paths)
		}
	}
}

func TestShapesThatCannotBeCommitted(t *testing.T) {
	data := make([]byte, 16)
	for name, entry := range map[string]string{
		"three dimensions": `"dtype":"F16","shape":[2,2,2]`,
		"another type":     `"dtype":"F64","shape":[2]`,
		"no dimension":     `"dtype":"F16","shape":[]`,
		"no values":        `"dtype":"F16","shape":[0,5]`,
	} {
		size := map[string]int{"three dimensions": 16, "another type": 16, "no dimension": 2,
			"no values": 0}[name]
		m, err := openBytes(t, safetensors(fmt.Sprintf(`{"a":{%s,"data_offsets":[0,%d]}}`, entry,
			size), data[:size]))
		if err != nil {
			t.Fatal(err)
		}
		e, err := m.Entry("a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Grid(Rows, 0); err == nil {
			t.Errorf("%s: can be committed to", name)
		}
	}
}

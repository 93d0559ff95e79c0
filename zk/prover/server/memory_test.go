// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/keys"
)

// The key is read once, for all connections; its bases are served from the whole key.
func TestKeysAreShared(t *testing.T) {
	dir := fixture.KeyDir(t, fixture.EpochShape)
	request := map[string]string{"key": dir}
	server := open(t, newStage(), func(c *Config) { c.Workers = 2 })
	a, b := connect(t, server), connect(t, server)
	a.send("1", "prove", request)
	b.send("2", "prove", request)
	first, second := a.answer("1"), b.answer("2")
	if first["result"] == nil ||
		first["result"].(map[string]any)["vkId"] != second["result"].(map[string]any)["vkId"] {
		t.Fatalf("%v, %v", first, second)
	}
	if frame := a.ask("load", request); frame["result"].(map[string]any)["whole"] != true {
		t.Errorf("bases beside the whole key: %v", frame)
	}
	rest(server)
	stats := a.ask("stats", nil)["result"].(map[string]any)
	if stats["keyLoads"] != 1.0 || len(stats["keys"].([]any)) != 1 || stats["done"] != 3.0 {
		t.Errorf("stats %v", stats)
	}
}

// rest waits until no job runs: a job is answered before its memory is free.
func rest(server *Server) {
	for server.queue.stats().Running != 0 {
		time.Sleep(time.Millisecond)
	}
}

// Keys beyond the cache's bytes go when nobody uses them; a job that needs their room makes them
// go, too.
func TestKeysAreBounded(t *testing.T) {
	dir := fixture.KeyDir(t, fixture.EpochShape)
	server := open(t, newStage(), func(c *Config) { c.KeyCacheBytes = 0 })
	c := connect(t, server)
	for range 2 {
		if frame := c.ask("prove", map[string]string{"key": dir}); frame["result"] == nil {
			t.Fatalf("%v", frame)
		}
	}
	rest(server)
	if stats := server.queue.stats(); stats.KeyLoads != 2 || len(stats.Keys) != 0 ||
		stats.Reserved != processBytes {
		t.Errorf("%+v", stats)
	}
}

// tight is a limit in which a job of the test key fits by itself, with nothing beside it.
func tight(t *testing.T, command string) int64 {
	t.Helper()
	n, err := predict(table(newStage())[command], []byte(`{"key": "`+fixture.KeyDir(t,
		fixture.EpochShape)+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	return processBytes + n.bytes + n.job
}

func TestMemoryIsPredicted(t *testing.T) {
	dir := fixture.KeyDir(t, fixture.EpochShape)
	limit := tight(t, "prove")
	small := connect(t, open(t, newStage(), func(c *Config) { c.MemoryBytes = limit - 1 }))
	small.refused("a job that can never fit", small.ask("prove", map[string]string{"key": dir}),
		fault.TooLarge)
	server := open(t, newStage(), func(c *Config) { c.MemoryBytes, c.Workers = limit, 2 })
	c := connect(t, server)
	if frame := c.ask("load", map[string]string{"key": dir}); frame["result"] == nil {
		t.Errorf("bases: %v", frame)
	}
	if frame := c.ask("prove", map[string]string{"key": dir}); frame["result"] == nil {
		t.Errorf("a job that fits once the idle bases went: %v", frame)
	}
	if stats := server.queue.stats(); len(stats.Keys) != 1 ||
		stats.Keys[0].Part != string(keys.PartWhole) {
		t.Errorf("%+v", stats)
	}
}

// Trees over weights count by the files they are of; those of "files" are built one after the
// other.
func TestTreesOverWeightsAreCounted(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, blocks int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, make([]byte, blocks*bytesPerTreeByte), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b := file("a", 100), file("b", 30)
	for what, test := range map[string]struct {
		request any
		want    int64
	}{
		"files":     {map[string]any{"files": []string{b, a, dir + "/none"}}, 100},
		"quantized": {map[string]any{"file": b}, 30},
		"merge": {map[string]any{"base": map[string]string{"file": a, "tensor": "w"},
			"merged":  map[string]string{"file": a},
			"adapter": map[string]string{"file": b}}, 260},
	} {
		text, err := json.Marshal(test.request)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := predict(Command{}, text); err != nil || n.job != test.want {
			t.Errorf("%s: %+v, %v", what, n, err)
		}
	}
}

// What fits, but not now, waits; what stands behind it waits too.
func TestWaitsForMemory(t *testing.T) {
	s := newStage()
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	server := open(t, s, func(c *Config) {
		c.MemoryBytes, c.Workers = processBytes+inputsPerByte<<20, 3
	})
	c := connect(t, server)
	request := map[string]string{"leaves": list}
	c.send("1", "hold", request)
	<-s.entered
	c.send("2", "hold", request)
	c.send("3", "echo", one)
	for server.queue.stats().Waiting != 2 {
		time.Sleep(time.Millisecond)
	}
	close(s.proceed)
	for answers := 0; answers < 3; { // in any order
		if frame := c.read(); frame["error"] != nil {
			t.Errorf("%v", frame)
		} else if frame["status"] != nil {
			answers++
		}
	}
}

// A folder whose key was made anew is another key: what is in memory does not serve for it.
func TestAnotherKeyInTheFolder(t *testing.T) {
	server := open(t, newStage(), nil)
	c := connect(t, server)
	dir := t.TempDir()
	copyKey(t, fixture.KeyDir(t, fixture.EpochShape), dir)
	first := c.ask("load", map[string]string{"key": dir})
	other, _, err := keys.Setup(fixture.EpochShape, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	copyKey(t, other, dir)
	second := c.ask("load", map[string]string{"key": dir})
	if first["result"] == nil || second["result"] == nil ||
		first["result"].(map[string]any)["vkId"] == second["result"].(map[string]any)["vkId"] {
		t.Errorf("%v, %v", first, second)
	}
}

func copyKey(t *testing.T, from, to string) {
	t.Helper()
	for _, name := range []string{keys.FileInfo, keys.FileProver, keys.FileWords, keys.FileBases} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A second proof of one request is reserved like the first, and only if it fits beside everything.
func TestASecondProofIsReserved(t *testing.T) {
	request := map[string]string{"key": fixture.KeyDir(t, fixture.EpochShape)}
	needs, err := predict(Command{Key: keys.PartWhole, Proves: true}, marshal(t, request))
	if err != nil {
		t.Fatal(err)
	}
	one := processBytes + needs.bytes + needs.job
	for _, limit := range []int64{one + needs.proof, one + needs.proof - 1} {
		s := newStage()
		server := open(t, s, func(c *Config) { c.MemoryBytes = limit })
		c := connect(t, server)
		c.send("1", "second", request)
		<-s.entered
		fits := limit == one+needs.proof
		want := one
		if fits {
			want = limit
		}
		if reserved := server.queue.stats().Reserved; reserved != want {
			t.Errorf("limit %d: %d bytes reserved, want %d", limit, reserved, want)
		}
		close(s.proceed)
		if got := c.answer("1")["result"].(map[string]any)["second"]; got != fits {
			t.Errorf("limit %d: second %v, want %v", limit, got, fits)
		}
		rest(server)
		// its key was not read, so none is left
		if reserved := server.queue.stats().Reserved; reserved != processBytes {
			t.Errorf("limit %d: %d bytes left reserved", limit, reserved)
		}
	}
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

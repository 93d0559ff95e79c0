// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The generated files are those of the repository.
func TestVectorsAreCurrent(t *testing.T) {
	dir := t.TempDir()
	const folder = "../../../../tests/vectors/zk"
	files := plainFiles(folder)
	if err := writeAll(dir, files); err != nil {
		t.Fatal(err)
	}
	if len(files) != 7 {
		t.Errorf("%d files", len(files))
	}
	for name := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what `go run ./cmd/vectors` writes", name)
		}
	}
}

// The generator of proof vectors works with new keys. It checks every case with the verifier.
func TestProofVectorsCanBeMade(t *testing.T) {
	dir := t.TempDir()
	files := proofFiles(t.TempDir())
	if err := writeAll(dir, files); err != nil {
		t.Fatal(err)
	}
	for name := range files {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Size() > 1<<20 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

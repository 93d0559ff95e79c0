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
	if err := run(dir, "", "../../../../tests/vectors/zk", false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"poseidon.json", "order.json", "tree.json", "bad_keys.json", "batch.json"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("../../../../tests/vectors/zk", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what `go run ./cmd/vectors` writes", name)
		}
	}
}

// The proof vectors' generator, which holds every case against the verifier, works with keys of today.
func TestProofVectorsCanBeMade(t *testing.T) {
	dir := t.TempDir()
	if err := run(dir, t.TempDir(), "", true); err != nil {
		t.Fatal(err)
	}
	for name := range proofFiles("") {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Size() > 1<<20 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package tree_test

import (
	"encoding/hex"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/field"
	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/tree"
)

// obvious is the root by the definition: all 16^depth slots, empty ones 0, level by level.
func obvious(leaves []fr.Element, depth int) fr.Element {
	level := make([]fr.Element, tree.Capacity(depth))
	copy(level, leaves)
	for len(level) > 1 {
		next := make([]fr.Element, len(level)/16)
		for i := range next {
			next[i], _ = poseidon.Hash(level[16*i : 16*i+16]...)
		}
		level = next
	}
	return level[0]
}

func TestRootIsTheObviousOne(t *testing.T) {
	for _, depth := range []int{1, 2, 3} {
		for _, count := range []int{1, 2, 15, 16, 17, 255, 256} {
			if count > tree.Capacity(depth) {
				continue
			}
			leaves := fixture.Leaves(t, count)
			built, err := tree.New(leaves, depth)
			if err != nil {
				t.Fatal(err)
			}
			got, want := built.Root(), obvious(leaves, depth)
			if !got.Equal(&want) {
				t.Errorf("depth %d, count %d: roots differ", depth, count)
			}
		}
	}
}

func TestSharedVectors(t *testing.T) {
	var file struct {
		Empty []string
		Cases []struct {
			Name           string
			Count, Depth   int
			Root           string
			Digests, Salts string
			Leaves         []string
		}
	}
	fixture.Vectors(t, "tree.json", &file)
	for l, root := range tree.EmptyRoots(tree.MaxDepth) {
		if got := field.ScalarHex(&root); got != file.Empty[l] {
			t.Errorf("empty root of depth %d: %s", l, got)
		}
	}
	for _, c := range file.Cases {
		if c.Digests == "" {
			continue
		}
		leaves, err := tree.Leaves(unhex(t, c.Digests), unhex(t, c.Salts))
		if err != nil {
			t.Fatal(err)
		}
		for i := range leaves {
			if got := field.ScalarHex(&leaves[i]); got != c.Leaves[i] {
				t.Fatalf("%s: leaf %d is %s", c.Name, i, got)
			}
		}
		built, err := tree.New(leaves, c.Depth)
		if err != nil {
			t.Fatal(err)
		}
		root := built.Root()
		if got := field.ScalarHex(&root); got != c.Root {
			t.Errorf("%s: root %s, want %s", c.Name, got, c.Root)
		}
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text[2:])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLeavesRefuse(t *testing.T) {
	digests, salts := fixture.Records(3)
	swapped := append(append(append([]byte(nil), digests[32:64]...), digests[:32]...),
		digests[64:]...)
	repeated := append(append(append([]byte(nil), digests[:32]...), digests[:32]...),
		digests[64:]...)
	for name, in := range map[string][2][]byte{
		"swapped":      {swapped, salts},
		"repeated":     {repeated, salts},
		"short digest": {digests[:95], salts},
		"short salts":  {digests, salts[:92]},
	} {
		if _, err := tree.Leaves(in[0], in[1]); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := tree.Leaf(digests[:31], salts[:31]); err == nil {
		t.Error("a digest of 31 bytes was accepted")
	}
}

func TestSaltAndBothHalvesOfTheDigestCount(t *testing.T) {
	digests, salts := fixture.Records(1)
	before, _ := tree.Leaf(digests, salts)
	for i := range digests {
		changed := append([]byte(nil), digests...)
		changed[i] ^= 1
		if after, _ := tree.Leaf(changed, salts); after.Equal(&before) {
			t.Errorf("byte %d of the digest is without effect", i)
		}
	}
	for i := range salts {
		changed := append([]byte(nil), salts...)
		changed[i] ^= 1
		if after, _ := tree.Leaf(digests, changed); after.Equal(&before) {
			t.Errorf("byte %d of the salt is without effect", i)
		}
	}
}

func TestDepths(t *testing.T) {
	for count, want := range map[int]int{1: 5, 1 << 20: 5, 1<<20 + 1: 6, 1 << 24: 6} {
		if got, err := tree.DepthFor(count); err != nil || got != want {
			t.Errorf("count %d: depth %d, %v", count, got, err)
		}
	}
	for _, count := range []int{0, -1, 1<<24 + 1} {
		if _, err := tree.DepthFor(count); err == nil {
			t.Errorf("count %d has a depth", count)
		}
	}
	for _, c := range []struct{ count, depth int }{{0, 1}, {17, 1}, {1, 0}, {1, 7}} {
		if _, err := tree.New(make([]fr.Element, c.count), c.depth); err == nil {
			t.Errorf("%d leaves at depth %d were accepted", c.count, c.depth)
		}
	}
}

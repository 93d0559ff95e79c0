// SPDX-License-Identifier: Apache-2.0

// Package tree is the tree of a dataset. It is 16-ary and of fixed depth; a node is the Poseidon
// hash of its sixteen children, and empty slots are 0. A root means something only together with
// depth and count.
//
// Source: docs/formats/proofs.md, "Dataset leaves and tree".
package tree

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/kinds"
)

const (
	// Arity is the number of children of a node.
	Arity = kinds.Arity
	// MinDepth and MaxDepth are the depths of datasets: 5 for up to 16^5 leaves, else 6.
	MinDepth = 5
	MaxDepth = kinds.MaxDepth
	// DigestBytes and SaltBytes are the lengths of a record's digest and of its salt (248 bits).
	DigestBytes = 32
	SaltBytes   = 31
)

// DepthFor is the depth of a dataset of count records (1..16^6).
func DepthFor(count int) (int, error) {
	switch {
	case count >= 1 && count <= Capacity(MinDepth):
		return MinDepth, nil
	case count > Capacity(MinDepth) && count <= Capacity(MaxDepth):
		return MaxDepth, nil
	}
	return 0, fmt.Errorf("tree: count %d, want 1..%d", count, Capacity(MaxDepth))
}

// Capacity is 16^depth.
func Capacity(depth int) int { return 1 << (4 * depth) }

// LeafPreimage is what a leaf commits to: the halves of a record's digest and the salt.
type LeafPreimage struct{ High, Low, Salt fr.Element }

// Open splits a 32-byte digest and reads a 31-byte salt.
func Open(digest, salt []byte) (LeafPreimage, error) {
	var o LeafPreimage
	if len(digest) != DigestBytes || len(salt) != SaltBytes {
		return o, fmt.Errorf("tree: digest of %d and salt of %d bytes, want %d and %d",
			len(digest), len(salt), DigestBytes, SaltBytes)
	}
	o.High.SetBytes(digest[:DigestBytes/2])
	o.Low.SetBytes(digest[DigestBytes/2:])
	o.Salt.SetBytes(salt)
	return o, nil
}

// Leaf is Poseidon(d_hi, d_lo, salt).
func (o *LeafPreimage) Leaf() fr.Element { return poseidon.Hash3(o.High, o.Low, o.Salt) }

// Leaf is the leaf of a 32-byte digest and a 31-byte salt.
func Leaf(digest, salt []byte) (fr.Element, error) {
	o, err := Open(digest, salt)
	if err != nil {
		return fr.Element{}, err
	}
	return o.Leaf(), nil
}

// Leaves hashes count digests with their salts. The digests must be strictly increasing, which also
// refuses a record that appears twice.
func Leaves(digests, salts []byte) ([]fr.Element, error) {
	count := len(digests) / DigestBytes
	if len(digests)%DigestBytes != 0 || len(salts) != count*SaltBytes {
		return nil, fmt.Errorf("tree: %d bytes of digests and %d of salts do not fit together",
			len(digests), len(salts))
	}
	for i := 1; i < count; i++ {
		if bytes.Compare(digests[(i-1)*DigestBytes:i*DigestBytes],
			digests[i*DigestBytes:(i+1)*DigestBytes]) >= 0 {
			return nil, fmt.Errorf("tree: digest %d is not larger than the one before", i)
		}
	}
	out := make([]fr.Element, count)
	inParallel(count, func(i int) {
		// No error: the lengths were checked above.
		out[i], _ = Leaf(digests[i*DigestBytes:(i+1)*DigestBytes],
			salts[i*SaltBytes:(i+1)*SaltBytes])
	})
	return out, nil
}

// EmptyRoots holds at [l] the root of an empty subtree of depth l, for l = 0..depth.
func EmptyRoots(depth int) []fr.Element {
	roots := make([]fr.Element, depth+1)
	for l := 1; l <= depth; l++ {
		var children [Arity]fr.Element
		for i := range children {
			children[i] = roots[l-1]
		}
		roots[l] = poseidon.Hash16(&children)
	}
	return roots
}

// Tree keeps the nodes above the non-empty leaves: levels[0] are the leaves, levels[depth] is the
// root alone.
type Tree struct {
	levels [][]fr.Element
	empty  []fr.Element
}

// New builds the tree of the given depth over 1..16^depth leaves.
func New(leaves []fr.Element, depth int) (*Tree, error) {
	if depth < 1 || depth > MaxDepth || len(leaves) < 1 || len(leaves) > Capacity(depth) {
		return nil, fmt.Errorf("tree: %d leaves in a tree of depth %d", len(leaves), depth)
	}
	t := &Tree{levels: [][]fr.Element{leaves}, empty: EmptyRoots(depth)}
	for l := 0; l < depth; l++ {
		parents := make([]fr.Element, (len(t.levels[l])+Arity-1)/Arity)
		inParallel(len(parents), func(i int) {
			children := t.Children(l+1, i)
			parents[i] = poseidon.Hash16(&children)
		})
		t.levels = append(t.levels, parents)
	}
	return t, nil
}

// Root is the root hash.
func (t *Tree) Root() fr.Element { return t.levels[len(t.levels)-1][0] }

// Depth is the number of levels above the leaves.
func (t *Tree) Depth() int { return len(t.levels) - 1 }

// Count is the number of leaves given.
func (t *Tree) Count() int { return len(t.levels[0]) }

// Node is the node at a level (0 = leaves) and index. Where no leaf was given it is the root of an
// empty subtree.
func (t *Tree) Node(level, index int) fr.Element {
	if index < len(t.levels[level]) {
		return t.levels[level][index]
	}
	return t.empty[level]
}

// Children are the sixteen children of a node at level >= 1.
func (t *Tree) Children(level, index int) [Arity]fr.Element {
	var children [Arity]fr.Element
	for i := range children {
		children[i] = t.Node(level-1, index*Arity+i)
	}
	return children
}

// inParallel calls work(0..n-1) on all cores, in blocks large enough to hide the cost of a
// goroutine.
func inParallel(n int, work func(int)) {
	workers := runtime.GOMAXPROCS(0)
	block := max(16, (n+workers-1)/workers)
	var group sync.WaitGroup
	for from := 0; from < n; from += block {
		group.Add(1)
		go func(from, to int) {
			defer group.Done()
			for i := from; i < to; i++ {
				work(i)
			}
		}(from, min(from+block, n))
	}
	group.Wait()
}

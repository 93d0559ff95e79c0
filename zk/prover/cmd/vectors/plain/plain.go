// SPDX-License-Identifier: Apache-2.0

// Package plain makes the vectors that are the same on every run: hashes, orders, trees, keys and
// weights of batches.
//
// It may import keys, order and tree and what lies below them, and draw and frozen beside it.
package plain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/cmd/vectors/draw"
	"provenance/zkprover/cmd/vectors/frozen"
	"provenance/zkprover/field"
	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/order"
	"provenance/zkprover/tree"
)

// published marks the numbers of inputs n for which the tests of circomlibjs or go-iden3-crypto
// state the hash of 1..n.
var published = map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 16: true}

type poseidonCase struct {
	Name      string   `json:"name"`
	Inputs    []string `json:"inputs"`
	Hash      string   `json:"hash"`
	Published bool     `json:"published"`
}

func Poseidon() (any, error) {
	var cases []poseidonCase
	add := func(name string, isPublished bool, inputs []fr.Element) error {
		h, err := poseidon.Hash(inputs...)
		cases = append(cases, poseidonCase{name, frozen.Scalars(inputs),
			field.ScalarHex(&h), isPublished})
		return err
	}
	for n := 1; n <= poseidon.MaxInputs; n++ {
		counting, zero, drawn := make([]fr.Element, n), make([]fr.Element, n), make([]fr.Element, n)
		for i := range counting {
			counting[i].SetUint64(uint64(i + 1))
			drawn[i] = draw.Scalar("poseidon %d %d", n, i)
		}
		largest := append([]fr.Element(nil), zero...)
		largest[n-1].SetInt64(-1)
		for _, c := range []struct {
			name      string
			published bool
			inputs    []fr.Element
		}{
			{fmt.Sprintf("1..%d", n), published[n], counting},
			{fmt.Sprintf("%d zeros", n), false, zero},
			{fmt.Sprintf("%d drawn", n), false, drawn},
			{fmt.Sprintf("%d, the last r-1", n), false, largest},
		} {
			if err := add(c.name, c.published, c.inputs); err != nil {
				return nil, err
			}
		}
	}
	return map[string]any{
		"source": "published: iden3/circomlibjs test/poseidon.js, " +
			"iden3/go-iden3-crypto poseidon_test.go",
		"cases": cases,
	}, nil
}

type orderCase struct {
	Name   string   `json:"name"`
	Seed   string   `json:"seed"`
	Epoch  uint64   `json:"epoch"`
	Count  int      `json:"count"`
	Order  []uint64 `json:"order"` // the first entries
	Digest string   `json:"sha256"`
}

func Order() (any, error) {
	const shown = 300
	var cases []orderCase
	for _, count := range []int{1, 2, 3, 7, 16, 256, 300, 4097, 100_000} {
		for _, epoch := range []uint64{0, 1, 1<<32 + 5} {
			seed := draw.Digest("order seed %d", count)
			a, err := order.Shuffle(seed, epoch, count)
			if err != nil {
				return nil, err
			}
			digest := sha256.Sum256(order.Bytes(a))
			cases = append(cases, orderCase{fmt.Sprintf("%d records, epoch %d", count, epoch),
				field.Word(seed).Hex(), epoch,
				count, a[:min(shown, count)], hex.EncodeToString(digest[:])})
		}
	}
	return map[string]any{
		"about": "order: the first 300 entries of a; " +
			"sha256: of all entries as 64-bit big-endian words",
		"cases": cases,
	}, nil
}

type treeCase struct {
	Name    string   `json:"name"`
	Count   int      `json:"count"`
	Depth   int      `json:"depth"`
	Root    string   `json:"root"`
	Digests string   `json:"digests,omitempty"`
	Salts   string   `json:"salts,omitempty"`
	Leaves  []string `json:"leaves,omitempty"`
}

func Tree() (any, error) {
	var cases []treeCase
	for _, count := range []int{1, 2, 15, 16, 17, 255, 256, 257, 300, 4096, 4097} {
		for _, depth := range []int{tree.MinDepth, tree.MaxDepth} {
			c, err := treeCaseOf(count, depth)
			if err != nil {
				return nil, err
			}
			if count > 300 {
				c.Digests, c.Salts, c.Leaves = "", "", nil
			}
			cases = append(cases, c)
		}
	}
	return map[string]any{
		"about": "digest i = SHA256('provenance vectors: digest ' || i), all sorted; " +
			"salt i = first 31 bytes of SHA256('provenance vectors: salt ' || i), i decimal, " +
			"after sorting; the bytes are given up to 300 records",
		"empty": frozen.Scalars(tree.EmptyRoots(tree.MaxDepth)),
		"cases": cases,
	}, nil
}

func treeCaseOf(count, depth int) (treeCase, error) {
	digests, salts := draw.Records(count)
	leaves, err := tree.Leaves(digests, salts)
	if err != nil {
		return treeCase{}, err
	}
	t, err := tree.New(leaves, depth)
	if err != nil {
		return treeCase{}, err
	}
	root := t.Root()
	return treeCase{
		Name: fmt.Sprintf("%d records, depth %d", count, depth), Count: count, Depth: depth,
		Root:    field.ScalarHex(&root),
		Digests: frozen.Hex(digests), Salts: frozen.Hex(salts), Leaves: frozen.Scalars(leaves),
	}, nil
}

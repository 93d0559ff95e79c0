// SPDX-License-Identifier: Apache-2.0

// Package dataset proves statements about a dataset's tree: chunks of it (Tree, Sorted), records in
// it (Member) and digests that are not (Absent).
//
// It may import package prove and what lies below that.
package dataset

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove"
	"provenance/zkprover/statement"
	"provenance/zkprover/tree"
)

// Tree proves chunk k of a dataset's tree. k must be a non-empty chunk; the tree's depth must be
// the key's.
func Tree(key *keys.Key, t *tree.Tree, k int, challenge statement.Challenge) (*proof.Proof, error) {
	if err := requireKey(key, kinds.Tree, t); err != nil {
		return nil, err
	}
	slots := key.Shape.Slots
	if k < 0 || k >= statement.Chunks(t.Count(), slots) {
		return nil, fault.Differs(fault.BadRequest, "chunk k", "a non-empty chunk", k)
	}
	public := treePublic(t, k, slots, challenge)
	return prove.Statement(key, treeAssignment(t, k, slots, public), public)
}

// number is a count or a position as an element.
func number(n int) fr.Element { return fr.NewElement(uint64(n)) }

// requireKey refuses a key of another kind or for trees of another depth.
func requireKey(key *keys.Key, kind kinds.Kind, t *tree.Tree) error {
	if key.Shape.Kind != kind || key.Shape.Depth != t.Depth() {
		return fault.Differs(fault.Mismatch, "key",
			circuits.Shape{Kind: kind, Slots: key.Shape.Slots, Depth: t.Depth()}, key.Shape)
	}
	return nil
}

// treePublic is R, k, used, last, gamma, delta, t, z.
func treePublic(t *tree.Tree, k, slots int, challenge statement.Challenge) []fr.Element {
	used := statement.Used(t.Count(), k, slots)
	start := uint64(k * slots)
	leaves := make([]fr.Element, used)
	for i := range leaves {
		leaves[i] = t.Node(0, k*slots+i)
	}
	public := make([]fr.Element, 0, circuits.TreePublic)
	public = append(public, t.Root(), number(k), number(used), number(0), challenge.Gamma,
		challenge.Delta)
	if k == statement.Chunks(t.Count(), slots)-1 {
		public[3].SetOne()
	}
	return append(public, challenge.ProductFrom(leaves, start),
		challenge.ProductOfPositions(start, used))
}

// TreeAssignment is the witness of a chunk, for provers other than [Tree].
func TreeAssignment(t *tree.Tree, k, slots int, challenge statement.Challenge) *circuits.Tree {
	return treeAssignment(t, k, slots, treePublic(t, k, slots, challenge))
}

// treeInputs are the circuit's public inputs in order.
func treeInputs(c *circuits.Tree) []*frontend.Variable {
	return []*frontend.Variable{
		&c.Root, &c.Chunk, &c.Used, &c.Last, &c.Gamma, &c.Delta, &c.Product, &c.Zeros,
	}
}

func treeAssignment(t *tree.Tree, k, slots int, public []fr.Element) *circuits.Tree {
	c := circuits.NewTree(slots, t.Depth())
	for i, to := range treeInputs(c) {
		*to = public[i]
	}
	used := int(public[2].Uint64())
	for i := range c.Candidates {
		c.Candidates[i] = t.Node(0, k*slots+i)
		c.Selectors[i] = integer.OneIf(i < used)
	}
	openEdge(c.Path, t, circuits.Levels(slots), k)
	return c
}

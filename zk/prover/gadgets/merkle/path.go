// SPDX-License-Identifier: Apache-2.0

// Package merkle opens nodes and records of a dataset's tree inside a circuit.
//
// Shown: the given node lies below the node that [Path.Climb] returns, at the returned index.
// [Record.Leaf] is the leaf of the record. Not shown: that the node is a dataset's root, or that
// the index is below its count; the circuits compare these.
//
// It may import poseidon, integer and tree.
//
// Source: docs/formats/proofs.md, "Dataset leaves and tree".
package merkle

import (
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/std/selector"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// Path leads from a node of a dataset's tree up to the root, or to a node below the root. Path[l]
// opens the ancestor that lies l + 1 levels above the node. Constraints per level: 629, of which
// 609 are the hash.
type Path []Level

// Level is one node of the path: its sixteen children, and the place of the child that lies on the
// path, in bits, lowest first.
type Level struct {
	Children [tree.Arity]frontend.Variable
	Digit    [DigitBits]frontend.Variable
}

// DigitBits are the bits of a place among sixteen children: tree.Arity = 2^4.
const DigitBits = 4

// Climb constrains the path from node. It returns the node at the end of the path, and the index of
// the given node below that one. The index is an integer below 16^len(p), since each digit has four
// bits.
func (p Path) Climb(
	api frontend.API, hash *poseidon.Gadget, node frontend.Variable,
) (end, index frontend.Variable) {
	index = 0
	for l := range p {
		index = api.Add(index, api.Mul(p[l].Place(api, node), tree.Capacity(l)))
		node = hash.Hash(p[l].Children[:]...)
	}
	return node, index
}

// Place requires that node is the child at the place that Digit holds, and returns the place. The
// multiplexer makes the bits boolean.
func (l *Level) Place(api frontend.API, node frontend.Variable) frontend.Variable {
	api.AssertIsEqual(selector.BinaryMux(api, l.Digit[:], l.Children[:]), node)
	return integer.Weighted(api, l.Digit[:])
}

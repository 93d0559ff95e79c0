// SPDX-License-Identifier: Apache-2.0

package merkle

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// EdgePath is a [Path] that can be required to be the right edge of the tree: that everything to
// the right of it is empty. Constraints per level: 688, of which 609 are the hash.
type EdgePath []EdgeLevel

// EdgeLevel is one node of the path: its sixteen children and which of them lies on the path,
// one-hot.
type EdgeLevel struct {
	Children [tree.Arity]frontend.Variable
	Digit    [tree.Arity]frontend.Variable
}

// Edge is where an [EdgePath] begins: a node, and Last, which is 1 if it is the last node that is
// not empty, else 0. Empty[l] is the root of an empty subtree beside the path's node at level l.
type Edge struct {
	Node, Last frontend.Variable
	Empty      []fr.Element
}

// Climb constrains the path from the edge's node. If Last = 1, every subtree to the right of it
// must be empty. It returns the node at the end of the path, and the index of the edge's node below
// that one. The index is an integer below 16^len(p), since its digits are one-hot.
func (p EdgePath) Climb(
	api frontend.API, hash *poseidon.Gadget, from Edge,
) (end, index frontend.Variable) {
	end, index = from.Node, 0
	for l := range p {
		place := p[l].place(api, end, from.Last, from.Empty[l].BigInt(new(big.Int)))
		index = api.Add(index, api.Mul(place, tree.Capacity(l)))
		end = hash.Hash(p[l].Children[:]...)
	}
	return end, index
}

// place shows that Digit is one-hot, that the child it marks is node, and that all children after
// it are empty if last. It returns the place of that child.
func (l *EdgeLevel) place(
	api frontend.API, node, last frontend.Variable, empty *big.Int,
) frontend.Variable {
	var sum, place, marked frontend.Variable = 0, 0, 0
	for i, child := range l.Children {
		mustBeEmpty := api.Mul(last, sum) // sum is 1 to the right of the path's child
		api.AssertIsEqual(api.Mul(mustBeEmpty, api.Sub(child, empty)), 0)
		api.AssertIsBoolean(l.Digit[i])
		marked = api.Add(marked, api.Mul(l.Digit[i], child))
		sum = api.Add(sum, l.Digit[i])
		place = api.Add(place, api.Mul(l.Digit[i], i))
	}
	api.AssertIsEqual(sum, 1)
	api.AssertIsEqual(marked, node)
	return place
}

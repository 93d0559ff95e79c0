// SPDX-License-Identifier: Apache-2.0

package merkle

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// EdgePath is a [Path] that can be required to be the edge of the tree: everything right of it
// empty. Constraints per level: 688, of which 609 are the hash.
type EdgePath []EdgeLevel

// EdgeLevel is one node of the path: its sixteen children and which of them lies on the path,
// one-hot.
type EdgeLevel struct {
	Children [tree.Arity]frontend.Variable
	Digit    [tree.Arity]frontend.Variable
}

// Edge is where an [EdgePath] begins: a node, whether it is the last one that is not empty (0 or
// 1), and at Empty[l] the root of an empty subtree beside the path's node at level l.
type Edge struct {
	Node, Last frontend.Variable
	Empty      []fr.Element
}

// Climb constrains the path from the edge's node; if Last = 1, every subtree right of it is empty.
// It returns the node at its end and the index of the given node below that one: an integer below
// 16^len(p), the digits being one-hot.
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
		mustBeEmpty := api.Mul(last, sum) // sum = 1 once the digit lies to the left
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

// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// EdgePath is a [Path] that can be required to be the edge of the tree: everything right of it empty. Constraints per
// level: 688, of which 609 are the hash.
type EdgePath []EdgeLevel

// EdgeLevel is one node of the path: its sixteen children and which of them lies on the path, one-hot.
type EdgeLevel struct {
	Children [tree.Arity]frontend.Variable
	Digit    [tree.Arity]frontend.Variable
}

// climb constrains the path from node; if last = 1, every subtree right of it is empty, where empty[l] is the root of an
// empty subtree beside the path's node at level l. It returns the node at its end and the index of the given node below
// that one: an integer below 16^len(p), the digits being one-hot.
func (p EdgePath) climb(
	api frontend.API, hash *poseidon.Gadget, node, last frontend.Variable, empty []fr.Element,
) (end, index frontend.Variable) {
	index = 0
	for l := range p {
		digit := p[l].digit(api, node, last, empty[l].BigInt(new(big.Int)))
		index = api.Add(index, api.Mul(digit, tree.Capacity(l)))
		node = hash.Hash(p[l].Children[:]...)
	}
	return node, index
}

// digit shows that Digit is one-hot, that the child it marks is node, and that all children after it are empty if last.
// It returns the place of that child.
func (l *EdgeLevel) digit(api frontend.API, node, last frontend.Variable, empty *big.Int) frontend.Variable {
	var sum, digit, marked frontend.Variable = 0, 0, 0
	for i, child := range l.Children {
		mustBeEmpty := api.Mul(last, sum) // sum = 1 once the digit lies to the left
		api.AssertIsEqual(api.Mul(mustBeEmpty, api.Sub(child, empty)), 0)
		api.AssertIsBoolean(l.Digit[i])
		marked = api.Add(marked, api.Mul(l.Digit[i], child))
		sum = api.Add(sum, l.Digit[i])
		digit = api.Add(digit, api.Mul(l.Digit[i], i))
	}
	api.AssertIsEqual(sum, 1)
	api.AssertIsEqual(marked, node)
	return digit
}

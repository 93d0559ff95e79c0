// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// Path leads from a node of a dataset's tree to the root, or to a node below it: Path[l] opens the parent of the node's
// ancestor at level l above the node. Constraints per level: 643, of which 609 are the hash; 45 more where the siblings to
// the right can be required to be empty.
type Path []PathLevel

// PathLevel is one node of the path: its sixteen children and which of them lies on the path, one-hot.
type PathLevel struct {
	Children [tree.Arity]frontend.Variable
	Digit    [tree.Arity]frontend.Variable
}

// emptyRight is the condition that, if last = 1, every subtree right of the path is empty. empty[l] is the root of an
// empty subtree beside the path's node at level l.
type emptyRight struct {
	last  frontend.Variable
	empty []fr.Element
}

// at is the condition from level l on.
func (r *emptyRight) at(l int) *emptyRight {
	if r == nil {
		return nil
	}
	return &emptyRight{r.last, r.empty[l:]}
}

// climb constrains the path from node. It returns the node at its end and the index of the given node below that one:
// an integer below 16^len(p), the digits being one-hot. right is nil where any siblings will do.
func (p Path) climb(api frontend.API, hash *poseidon.Gadget, node frontend.Variable, right *emptyRight) (end, index frontend.Variable) {
	index = 0
	for l := range p {
		level := &p[l]
		index = api.Add(index, api.Mul(level.digit(api, node, right.at(l)), tree.Capacity(l)))
		node = hash.Hash(level.Children[:]...)
	}
	return node, index
}

// digit shows that Digit is one-hot, that the child it marks is node and, unless right is nil, that all children after it
// are empty if last. It returns the place of that child.
func (l *PathLevel) digit(api frontend.API, node frontend.Variable, right *emptyRight) frontend.Variable {
	var sum, digit, marked frontend.Variable = 0, 0, 0
	for i, child := range l.Children {
		if right != nil {
			mustBeEmpty := api.Mul(right.last, sum) // sum = 1 once the digit lies to the left
			api.AssertIsEqual(api.Mul(mustBeEmpty, api.Sub(child, right.empty[0].BigInt(new(big.Int)))), 0)
		}
		api.AssertIsBoolean(l.Digit[i])
		marked = api.Add(marked, api.Mul(l.Digit[i], child))
		sum = api.Add(sum, l.Digit[i])
		digit = api.Add(digit, api.Mul(l.Digit[i], i))
	}
	api.AssertIsEqual(sum, 1)
	api.AssertIsEqual(marked, node)
	return digit
}

// prefix follows selectors that are 1 up to some place and 0 from there on.
//
// Neighbouring selectors differ by 0 or 1, where the one before the first is 1 and the one after the last is 0. These
// differences are boolean and sum to 1, so exactly one is 1: the selectors are boolean and non-increasing.
type prefix struct {
	api       frontend.API
	selectors []frontend.Variable
}

// append constrains the next selector.
func (p *prefix) append(selector frontend.Variable) {
	var previous frontend.Variable = 1
	if n := len(p.selectors); n > 0 {
		previous = p.selectors[n-1]
	}
	p.api.AssertIsBoolean(p.api.Sub(previous, selector))
	p.selectors = append(p.selectors, selector)
}

// length ends the list, which must not be empty, and is the number of ones.
func (p *prefix) length() frontend.Variable {
	p.api.AssertIsBoolean(p.selectors[len(p.selectors)-1])
	return p.api.Add(0, p.selectors[0], p.selectors[1:]...)
}

// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/std/selector"

	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// Path leads from a node of a dataset's tree to the root, or to a node below it: Path[l] opens the parent of the node's
// ancestor at level l above the node. Constraints per level: 629, of which 609 are the hash.
type Path []PathLevel

// PathLevel is one node of the path: its sixteen children, and in bits, lowest first, which of them lies on the path.
type PathLevel struct {
	Children [tree.Arity]frontend.Variable
	Digit    [digitBits]frontend.Variable
}

const digitBits = 4 // tree.Arity = 2^4

// climb constrains the path from node. It returns the node at its end and the index of the given node below that one: an
// integer below 16^len(p), the digits being four bits each.
func (p Path) climb(api frontend.API, hash *poseidon.Gadget, node frontend.Variable) (end, index frontend.Variable) {
	index = 0
	for l := range p {
		index = api.Add(index, api.Mul(p[l].digit(api, node), tree.Capacity(l)))
		node = hash.Hash(p[l].Children[:]...)
	}
	return node, index
}

// digit shows that the child that Digit tells is node, and returns its place. The multiplexer makes the bits boolean.
func (l *PathLevel) digit(api frontend.API, node frontend.Variable) frontend.Variable {
	api.AssertIsEqual(selector.BinaryMux(api, l.Digit[:], l.Children[:]), node)
	var digit frontend.Variable = 0
	for k, bit := range l.Digit {
		digit = api.Add(digit, api.Mul(bit, 1<<k))
	}
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

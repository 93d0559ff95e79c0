// SPDX-License-Identifier: Apache-2.0

package merkle

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// Prefix constrains a list of selectors to be 1 up to some place and 0 from there on.
//
// Count a 1 before the first selector and a 0 after the last. The differences of neighbours are
// made boolean, and they sum to 1, so exactly one is 1. So the selectors are boolean, and fall from
// 1 to 0 once.
type Prefix struct {
	api       frontend.API
	selectors []frontend.Variable
}

// NewPrefix is an empty list.
func NewPrefix(api frontend.API) *Prefix { return &Prefix{api: api} }

// Append constrains the next selector.
func (p *Prefix) Append(selector frontend.Variable) {
	var previous frontend.Variable = 1
	if n := len(p.selectors); n > 0 {
		previous = p.selectors[n-1]
	}
	p.api.AssertIsBoolean(p.api.Sub(previous, selector))
	p.selectors = append(p.selectors, selector)
}

// Length ends the list, which must not be empty, and returns the number of ones.
func (p *Prefix) Length() frontend.Variable {
	p.api.AssertIsBoolean(p.selectors[len(p.selectors)-1])
	return p.api.Add(0, p.selectors[0], p.selectors[1:]...)
}

// SubtreeRoot hashes 16^j leaves level by level.
func SubtreeRoot(hash *poseidon.Gadget, nodes []frontend.Variable) frontend.Variable {
	for len(nodes) > 1 {
		parents := make([]frontend.Variable, len(nodes)/tree.Arity)
		for i := range parents {
			parents[i] = hash.Hash(nodes[i*tree.Arity : (i+1)*tree.Arity]...)
		}
		nodes = parents
	}
	return nodes[0]
}

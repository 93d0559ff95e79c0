// SPDX-License-Identifier: Apache-2.0

package page

import (
	"math/big"

	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/std/selector"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// Children are the sixteen children of a node.
type Children = [tree.Arity]frontend.Variable

// Tree is a weight tree inside a circuit, given by the children of its root.
type Tree struct {
	api  frontend.API
	hash *poseidon.Gadget // of sixteen elements
	top  *Children
}

// NewTree constrains top to be the children of root.
func NewTree(api frontend.API, hash *poseidon.Gadget, root frontend.Variable, top *Children) *Tree {
	api.AssertIsEqual(hash.Hash(top[:]...), root)
	return &Tree{api: api, hash: hash, top: top}
}

// BlockPath is the witness of one block: its page, and the nodes between the page and the root's
// children.
type BlockPath struct {
	First [Blocks]frontend.Variable // e_0, e_2, ..: values 0..14 of each block
	// e_1, e_3, ..: values 15..29; none where all are zero
	Second []frontend.Variable
	// bits of values 30 and 31 of the six other blocks; none where all are zero
	Others [][2 * valueBits]frontend.Variable
	Path   []Children // the page's siblings, then those of its parent, ..
}

// NewBlockPath is the path of a block, still without values. In all blocks of its page the values
// from width on must be zero.
func NewBlockPath(width, levels int) BlockPath {
	o := BlockPath{Path: make([]Children, levels-1)}
	if width > packed {
		o.Second = make([]frontend.Variable, Blocks)
	}
	if width > 2*packed {
		o.Others = make([][2 * valueBits]frontend.Variable, Blocks-1)
	}
	return o
}

// Block constrains values to be those of the block at a location. The caller must constrain each to
// be below 2^16. Values that are not given must be zero in the block.
func (t *Tree) Block(at *Location, o *BlockPath, values []frontend.Variable) {
	elements := make([]frontend.Variable, tree.Arity)
	for i := range elements {
		elements[i] = 0
	}
	t.api.AssertIsEqual(at.choose(t.api, &o.First), pack(t.api, window(values, 0, packed)))
	for j, element := range o.First {
		elements[2*j] = element
	}
	if len(o.Second) != 0 {
		second := [Blocks]frontend.Variable(o.Second)
		t.api.AssertIsEqual(at.choose(t.api, &second),
			pack(t.api, window(values, packed, 2*packed)))
		for j, element := range o.Second {
			elements[2*j+1] = element
		}
	}
	if len(o.Others) != 0 {
		elements[2*Blocks] = t.last(at, o, pack(t.api, window(values, 2*packed, Values)))
	}
	t.climb(t.hash.Hash(elements...), at.digits, o.Path)
}

// last is element e_14 of the page. It holds the last 32 bits of each block in order; those of the
// block at the location are `own`. The j-th of the six other blocks is block j of the page if j is
// below the slot, else block j + 1.
func (t *Tree) last(at *Location, o *BlockPath, own frontend.Variable) frontend.Variable {
	var element, weight, behind frontend.Variable = 0, 0, 0
	for j := range o.Others {
		weight = t.api.Add(weight, t.api.Mul(at.slot[j], integer.PowerOfTwo(2*valueBits*j)))
		behind = t.api.Add(behind, at.slot[j]) // 1 if the slot is j or less, else 0
		other := integer.FromBits(t.api, o.Others[j][:])
		factor := new(big.Int).Sub(integer.PowerOfTwo(2*valueBits), big.NewInt(1))
		placed := t.api.Add(other, t.api.Mul(t.api.Mul(behind, other), factor))
		element = t.api.Add(element, t.api.Mul(placed, integer.PowerOfTwo(2*valueBits*j)))
	}
	weight = t.api.Add(weight, t.api.Mul(at.slot[Blocks-1],
		integer.PowerOfTwo(2*valueBits*(Blocks-1))))
	return t.api.Add(element, t.api.Mul(weight, own))
}

// climb constrains the path from a node to the root's children.
func (t *Tree) climb(
	node frontend.Variable, digits [][digitBits]frontend.Variable, path []Children,
) {
	for l := range path {
		t.api.AssertIsEqual(selector.BinaryMux(t.api, digits[l][:], path[l][:]), node)
		node = t.hash.Hash(path[l][:]...)
	}
	t.api.AssertIsEqual(selector.BinaryMux(t.api, digits[len(path)][:], t.top[:]), node)
}

// pack is sum v_i * 2^(16 i).
func pack(api frontend.API, values []frontend.Variable) frontend.Variable {
	var sum frontend.Variable = 0
	for i, value := range values {
		sum = api.Add(sum, api.Mul(value, integer.PowerOfTwo(valueBits*i)))
	}
	return sum
}

// window is values[from:to], cut where the values end.
func window(values []frontend.Variable, from, to int) []frontend.Variable {
	return values[min(from, len(values)):min(to, len(values))]
}

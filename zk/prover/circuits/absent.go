// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/merkle"
	"provenance/zkprover/kinds"
	"provenance/zkprover/tree"
)

// Absent is the circuit of the statement `absent`: no record of a sorted dataset has a digest with
// this first half.
//
// Shown: there is a position p in [0, count] of the tree with root R. Unless p = 0, the leaf at p-1
// opens to a smaller first half than hi. Unless p = count, the leaf at p opens to a larger one.
//
// Not shown: p; that R and count belong to a dataset; that its leaves are sorted. Without a
// complete `sorted` set for R this means nothing.
//
// Inputs. R: any element below r. hi is half of a digest, and below 2^128 because the verifier
// splits it. The neighbours' first halves are below 2^128 because the sorted set opens the same
// leaves, and a leaf opens in one way only. If the difference of two such values is an integer
// below 2^128, it did not wrap around. Positions are integers below 16^depth by their digits, and
// the range check enforces that count is in 1..2*16^depth - 1. So comparisons of positions do not
// wrap around either.
//
// Both neighbours are always opened. AtStart and AtEnd are booleans. The lower neighbour lies at
// l = p - 1 + AtStart and the upper at u = p - AtEnd; at an end of the dataset both are the one
// record there. Why a prover cannot misuse the booleans: u = l + 1 - AtStart - AtEnd and u < count
// always hold; AtStart = 1 requires l = 0, and AtEnd = 1 requires u = count - 1. The lower
// neighbour is compared with hi if AtStart is 0, the upper if AtEnd is 0. Both booleans 1 would
// require u = l - 1 with l = 0, which is no position.
//
// Commitments: none, and no lookups.
//
// Constraints: two paths of 629 per level that share the root's hash, 261 for each leaf, 130 for
// each difference: 6,492 at depth 5 (snapshot-tested).
//
// Source: docs/formats/statements.md, "member and absent"; the hash is that of package poseidon.
type Absent struct {
	Root  frontend.Variable `gnark:",public"`
	Count frontend.Variable `gnark:",public"`
	High  frontend.Variable `gnark:",public"`

	Lower, Upper   Neighbour
	AtStart, AtEnd frontend.Variable
	Children       [tree.Arity]frontend.Variable // of the root
}

// Neighbour is a leaf beside the gap: its record, and the path from it to a child of the root.
type Neighbour struct {
	Record merkle.Record
	Path   merkle.Path                         // from the leaf to a child of the root
	Digit  [merkle.DigitBits]frontend.Variable // which child, in bits
}

// AbsentPublic is the number of public inputs.
const AbsentPublic = kinds.AbsentFixed

// NewAbsent is the circuit for a tree of this depth.
func NewAbsent(depth int) *Absent {
	return &Absent{Lower: Neighbour{Path: make(merkle.Path, depth-1)},
		Upper: Neighbour{Path: make(merkle.Path, depth-1)}}
}

// Define implements frontend.Circuit.
func (c *Absent) Define(api frontend.API) error {
	hash, err := merkle.NewHashes(api)
	if err != nil {
		return err
	}
	lower := c.Lower.position(api, hash, &c.Children)
	upper := c.Upper.position(api, hash, &c.Children)
	api.AssertIsEqual(hash.Node.Hash(c.Children[:]...), c.Root)
	c.place(api, lower, upper)
	c.compare(api)
	return nil
}

// position constrains the neighbour's path to end at one of the root's children, and returns the
// leaf's position.
func (n *Neighbour) position(
	api frontend.API, hash merkle.Hashes, children *[tree.Arity]frontend.Variable,
) frontend.Variable {
	child, index := n.Path.Climb(api, hash.Node, n.Record.Leaf(hash.Leaf))
	top := merkle.Level{Children: *children, Digit: n.Digit}
	return api.Add(index, api.Mul(top.Place(api, child), tree.Capacity(len(n.Path))))
}

// place constrains the two positions: they are neighbours within the dataset, or both are the
// record at its start or end.
func (c *Absent) place(api frontend.API, lower, upper frontend.Variable) {
	api.AssertIsBoolean(c.AtStart)
	api.AssertIsBoolean(c.AtEnd)
	api.AssertIsEqual(api.Add(upper, c.AtStart, c.AtEnd), api.Add(lower, 1))
	api.AssertIsEqual(api.Mul(c.AtStart, lower), 0)
	api.AssertIsEqual(api.Mul(c.AtEnd, api.Sub(c.Count, upper, 1)), 0)
	merkle.RequireBelow(api, upper, c.Count, len(c.Upper.Path)+1)
}

// compare constrains hi to lie between the neighbours' first halves; an end of the dataset has no
// neighbour on one side.
func (c *Absent) compare(api frontend.API) {
	below := api.Sub(c.High, c.Lower.Record.High, 1)
	above := api.Sub(c.Upper.Record.High, c.High, 1)
	merkle.RequireBits(api, api.Mul(api.Sub(1, c.AtStart), below), merkle.HalfBits)
	merkle.RequireBits(api, api.Mul(api.Sub(1, c.AtEnd), above), merkle.HalfBits)
}

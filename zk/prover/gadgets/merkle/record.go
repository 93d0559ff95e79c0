// SPDX-License-Identifier: Apache-2.0

package merkle

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// Record is what a leaf commits to: the halves of a record's digest and the salt.
type Record struct {
	High, Low, Salt frontend.Variable
}

// HalfBits are the bits of half a digest; recordInputs is the number of values in a leaf's hash.
const (
	HalfBits     = 8 * tree.DigestBytes / 2
	recordInputs = 3
)

// Hashes are the two hashes of a dataset's tree.
type Hashes struct {
	Leaf *poseidon.Gadget // of a record: three inputs
	Node *poseidon.Gadget // of sixteen children
}

// NewHashes prepares both hashes. It adds no constraint.
func NewHashes(api frontend.API) (Hashes, error) {
	leaf, err := poseidon.NewGadget(api, recordInputs)
	if err != nil {
		return Hashes{}, err
	}
	node, err := poseidon.NewGadget(api, tree.Arity)
	return Hashes{Leaf: leaf, Node: node}, err
}

// Leaf is the leaf of the record; it takes 261 constraints.
func (r *Record) Leaf(hash *poseidon.Gadget) frontend.Variable {
	return hash.Hash(r.High, r.Low, r.Salt)
}

// RequireBits requires that v is an integer below 2^n, for n < 253. gnark gives the bits by a hint
// and constrains them: each is boolean, and together they are v. No other bits are v, since n <
// 253.
func RequireBits(api frontend.API, v frontend.Variable, n int) { api.ToBinary(v, n) }

// RequireBelow requires that index < count, for an index below 16^depth, and so that count is an
// integer in 1..2*16^depth - 1. Neither side can wrap around r.
func RequireBelow(api frontend.API, index, count frontend.Variable, depth int) {
	RequireBits(api, api.Sub(count, index, 1), DigitBits*depth)
}

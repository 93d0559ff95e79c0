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

// NewHashes prepares both; it adds no constraint.
func NewHashes(api frontend.API) (Hashes, error) {
	leaf, err := poseidon.NewGadget(api, recordInputs)
	if err != nil {
		return Hashes{}, err
	}
	node, err := poseidon.NewGadget(api, tree.Arity)
	return Hashes{Leaf: leaf, Node: node}, err
}

// Leaf is the value that opens to the record: 261 constraints.
func (r *Record) Leaf(hash *poseidon.Gadget) frontend.Variable {
	return hash.Hash(r.High, r.Low, r.Salt)
}

// RequireBits shows that v is an integer below 2^n, n < 253. The bits are a hint of gnark,
// constrained beside it: each is boolean and together they are v, which no other bits are.
func RequireBits(api frontend.API, v frontend.Variable, n int) { api.ToBinary(v, n) }

// RequireBelow shows that index < count for an index below 16^depth, and that count is an integer
// of 1..2*16^depth - 1: neither side can wrap around.
func RequireBelow(api frontend.API, index, count frontend.Variable, depth int) {
	RequireBits(api, api.Sub(count, index, 1), DigitBits*depth)
}

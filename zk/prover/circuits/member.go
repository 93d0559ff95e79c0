// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/merkle"
	"provenance/zkprover/kinds"
)

// Member is the circuit of the statement `member`: a digest is that of one of a dataset's records.
//
// Shown: a leaf at some position below `count` of the tree with root R is Poseidon3(hi, lo, salt).
//
// Not shown: at which position; that R and count belong to a dataset (the verifier takes both from
// the dataset).
//
// Inputs. R: any element below r. hi and lo are halves of one digest, and below 2^128 because the
// verifier splits it. The circuit enforces that the position is below count as an integer, and so
// that count is in 1..2*16^depth - 1. The salt may be any element.
//
// Commitments: none, and no lookups.
//
// Constraints: 629 per level, 261 for the leaf and 22 for the position: 3,428 at depth 5
// (snapshot-tested).
//
// Source: docs/formats/statements.md, "member and absent"; the hash is that of package poseidon.
type Member struct {
	Root  frontend.Variable `gnark:",public"`
	Count frontend.Variable `gnark:",public"`
	High  frontend.Variable `gnark:",public"`
	Low   frontend.Variable `gnark:",public"`

	Salt frontend.Variable
	Path merkle.Path // from the leaf
}

// MemberPublic is the number of public inputs.
const MemberPublic = kinds.MemberFixed

// NewMember is the circuit for a tree of this depth.
func NewMember(depth int) *Member { return &Member{Path: make(merkle.Path, depth)} }

// Define implements frontend.Circuit.
func (c *Member) Define(api frontend.API) error {
	hash, err := merkle.NewHashes(api)
	if err != nil {
		return err
	}
	record := merkle.Record{High: c.High, Low: c.Low, Salt: c.Salt}
	root, position := c.Path.Climb(api, hash.Node, record.Leaf(hash.Leaf))
	api.AssertIsEqual(root, c.Root)
	merkle.RequireBelow(api, position, c.Count, len(c.Path))
	return nil
}

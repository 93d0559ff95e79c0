// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove"
	"provenance/zkprover/tree"
)

// Member proves that the record is in the tree, without revealing where. No error reveals its
// position or salt.
func Member(
	key *keys.Key, t *tree.Tree, position int, opened *tree.LeafPreimage,
) (*proof.Proof, error) {
	if err := requireKey(key, kinds.Member, t); err != nil {
		return nil, err
	}
	if position < 0 || position >= t.Count() {
		return nil, fault.New(fault.BadRequest, "the position is not one of %d records", t.Count())
	}
	if t.Node(0, position) != opened.Leaf() {
		return nil, fault.New(fault.Unproven,
			"the leaf at the position is not that of the digest and the salt")
	}
	public := memberPublic(t, opened)
	return prove.Statement(key, memberAssignment(t, position, opened, public), public)
}

// memberPublic is R, count, hi, lo.
func memberPublic(t *tree.Tree, opened *tree.LeafPreimage) []fr.Element {
	return []fr.Element{t.Root(), number(t.Count()), opened.High, opened.Low}
}

func memberAssignment(
	t *tree.Tree, position int, opened *tree.LeafPreimage, public []fr.Element,
) *circuits.Member {
	c := circuits.NewMember(t.Depth())
	c.Root, c.Count, c.High, c.Low = public[0], public[1], public[2], public[3]
	c.Salt = opened.Salt
	openPath(c.Path, t, 0, position)
	return c
}

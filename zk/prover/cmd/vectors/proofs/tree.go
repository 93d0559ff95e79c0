// SPDX-License-Identifier: Apache-2.0

package proofs

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/cmd/vectors/draw"
	"provenance/zkprover/cmd/vectors/frozen"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove/dataset"
	"provenance/zkprover/statement"
	"provenance/zkprover/tree"
	"provenance/zkprover/verify"
)

var treeInputs = []string{"R", "k", "used", "last", "gamma", "delta", "t", "z"}

func Tree(cache string) (any, error) {
	key, err := loadKey(cache, circuits.Shape{Kind: kinds.Tree, Slots: proofSlots,
		Depth: tree.MinDepth})
	if err != nil {
		return nil, err
	}
	t, challenge, proofs, err := treeProofs(key)
	if err != nil {
		return nil, err
	}
	s := &suite{vk: key.Verifying}
	s.add("tree chunk 0", proofs[0].ToJSON(), verify.MaskNone, true, "honest")
	s.add("tree chunk 1, the last", proofs[1].ToJSON(), verify.MaskNone, true, "honest")
	for k, label := range []string{"chunk 0", "chunk 1"} {
		s.malleable(label, proofs[k], verify.MaskNone)
		s.inputs(label, proofs[k], treeInputs, verify.MaskNone)
	}
	s.coordinates("chunk 0", proofs[0], verify.MaskNone)
	s.points("chunk 0", proofs[0], proofs[1], verify.MaskNone)
	s.edit("chunk 0: public inputs of chunk 1", proofs[0], verify.MaskNone, false,
		"inputs of another chunk", func(p *proof.Proof) {
			p.Public = proofs[1].Public
		})
	s.add("chunk 0: mask with a bit for no commitment", proofs[0].ToJSON(), 1, false,
		"there is no commitment 0")
	s.edit("chunk 0: one public input missing", proofs[0], verify.MaskNone, false,
		"wrong number of inputs", func(p *proof.Proof) {
			p.Public = p.Public[:7]
		})
	root := t.Root()
	return map[string]any{
		"words": frozen.Hex(key.Verifying.Bytes()),
		"vkId":  key.Info.VKID,
		"statement": map[string]any{
			"root": field.ScalarHex(&root), "depth": tree.MinDepth, "count": proofCount,
			"slots": proofSlots,
			"gamma": field.ScalarHex(&challenge.Gamma), "delta": field.ScalarHex(&challenge.Delta),
			"leaves": frozen.Scalars(treeLeaves(t)),
		},
		"cases": s.cases,
	}, s.err
}

// treeProofs proves every chunk of the dataset's tree.
func treeProofs(
	key *keys.Key,
) (t *tree.Tree, challenge statement.Challenge, proofs []*proof.Proof, err error) {
	challenge = statement.Challenge{Gamma: draw.Scalar("gamma"), Delta: draw.Scalar("delta")}
	digests, salts := draw.Records(proofCount)
	leaves, err := tree.Leaves(digests, salts)
	if err != nil {
		return nil, challenge, nil, err
	}
	t, err = tree.New(leaves, tree.MinDepth)
	if err != nil {
		return nil, challenge, nil, err
	}
	for k := range statement.Chunks(proofCount, proofSlots) {
		p, err := dataset.Tree(key, t, k, challenge)
		if err != nil {
			return nil, challenge, nil, err
		}
		proofs = append(proofs, p)
	}
	return t, challenge, proofs, nil
}

func treeLeaves(t *tree.Tree) []fr.Element {
	leaves := make([]fr.Element, t.Count())
	for i := range leaves {
		leaves[i] = t.Node(0, i)
	}
	return leaves
}

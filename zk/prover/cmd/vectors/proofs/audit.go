// SPDX-License-Identifier: Apache-2.0

package proofs

import (
	"fmt"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/cmd/vectors/draw"
	"provenance/zkprover/cmd/vectors/frozen"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove/dataset"
	"provenance/zkprover/tree"
	"provenance/zkprover/verify"
)

const (
	auditCount = 40 // records: two whole chunks and a part of a third
	auditDepth = 2
)

// labelled is an honest proof and its name.
type labelled struct {
	label string
	proof *proof.Proof
}

// plainProofs are the vectors of a kind without commitments: honest proofs of different statements,
// other valid forms of the first one, and mistakes that the operators of mutations.json do not
// make.
func plainProofs(key *keys.Key, proofs []labelled) (any, error) {
	s := &suite{vk: key.Verifying}
	for _, honest := range proofs {
		s.add(honest.label, honest.proof.ToJSON(), verify.MaskNone, true, "honest")
	}
	label, first, other := proofs[0].label, proofs[0].proof, proofs[1].proof
	s.malleable(label, first, verify.MaskNone)
	s.secondGroup(label, first, other, verify.MaskNone)
	s.edit(label+": public inputs of "+proofs[1].label, first, verify.MaskNone, false,
		"inputs of another statement", func(p *proof.Proof) {
			p.Public = other.Public
		})
	s.add(label+": mask with a bit for no commitment", first.ToJSON(), 1, false,
		"there is no commitment 0")
	s.edit(label+": one public input missing", first, verify.MaskNone, false,
		"wrong number of inputs", func(p *proof.Proof) {
			p.Public = p.Public[1:]
		})
	s.edit(label+": a public input of zero more", first, verify.MaskNone, false,
		"wrong number of inputs", func(p *proof.Proof) {
			p.Public = append(p.Public, fr.Element{})
		})
	return map[string]any{"words": frozen.Hex(key.Verifying.Bytes()), "vkId": key.Info.VKID,
		"cases": s.cases}, s.err
}

// auditScene is a dataset whose records can be opened.
type auditScene struct {
	digests, salts []byte
	tree           *tree.Tree
}

func newAuditScene() (*auditScene, error) {
	s := &auditScene{}
	s.digests, s.salts = draw.Records(auditCount)
	leaves, err := tree.Leaves(s.digests, s.salts)
	if err != nil {
		return nil, err
	}
	s.tree, err = tree.New(leaves, auditDepth)
	return s, err
}

func (s *auditScene) open(i int) (*tree.LeafPreimage, error) {
	opened, err := tree.Open(s.digests[i*tree.DigestBytes:][:tree.DigestBytes],
		s.salts[i*tree.SaltBytes:][:tree.SaltBytes])
	return &opened, err
}

func Sorted(cache string) (any, error) {
	return auditProofs(cache, circuits.Shape{Kind: kinds.Sorted, Slots: tree.Arity,
		Depth: auditDepth}, []int{0, 1, 2},
		func(key *keys.Key, s *auditScene, k int) (string, *proof.Proof, error) {
			p, err := dataset.Sorted(key, s.tree, s.digests, s.salts, k)
			return fmt.Sprintf("chunk %d", k), p, err
		})
}

func Member(cache string) (any, error) {
	return auditProofs(cache, circuits.Shape{Kind: kinds.Member, Slots: 1,
		Depth: auditDepth}, []int{0, 17, auditCount - 1},
		func(key *keys.Key, s *auditScene, i int) (string, *proof.Proof, error) {
			opened, err := s.open(i)
			if err != nil {
				return "", nil, err
			}
			p, err := dataset.Member(key, s.tree, i, opened)
			return fmt.Sprintf("record %d", i), p, err
		})
}

// Absent makes proofs about digests whose first half is a record's plus 1; at the start of the
// dataset about 1.
func Absent(cache string) (any, error) {
	return auditProofs(cache, circuits.Shape{Kind: kinds.Absent, Slots: 1,
		Depth: auditDepth}, []int{0, 17, auditCount},
		func(key *keys.Key, s *auditScene, position int) (string, *proof.Proof, error) {
			gap := &dataset.Gap{Position: position}
			var high fr.Element
			var err error
			if position > 0 {
				if gap.Below, err = s.open(position - 1); err != nil {
					return "", nil, err
				}
				high = gap.Below.High
			}
			if position < auditCount {
				if gap.Above, err = s.open(position); err != nil {
					return "", nil, err
				}
			}
			high.Add(&high, new(fr.Element).SetOne())
			p, err := dataset.Absent(key, s.tree, high, gap)
			return fmt.Sprintf("gap %d", position), p, err
		})
}

func auditProofs(cache string, shape circuits.Shape, places []int,
	one func(*keys.Key, *auditScene, int) (string, *proof.Proof, error)) (any, error) {
	key, err := loadKey(cache, shape)
	if err != nil {
		return nil, err
	}
	scene, err := newAuditScene()
	if err != nil {
		return nil, err
	}
	var proofs []labelled
	for _, place := range places {
		label, p, err := one(key, scene, place)
		if err != nil {
			return nil, err
		}
		proofs = append(proofs, labelled{fmt.Sprintf("%s: %s", shape.Kind, label), p})
	}
	return plainProofs(key, proofs)
}

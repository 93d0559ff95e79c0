// SPDX-License-Identifier: Apache-2.0

package proofs

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/cmd/vectors/draw"
	"provenance/zkprover/cmd/vectors/frozen"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/order"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove/epoch"
	"provenance/zkprover/statement"
	"provenance/zkprover/tree"
	"provenance/zkprover/verify"
)

const (
	proofSlots = 256
	proofCount = 300
)

var epochInputs = []string{"gamma", "delta", "start", "a", "b"}

// epochScene is one dataset with its epoch, all chunks.
type epochScene struct {
	seed      [32]byte
	leaves    []fr.Element
	used      []fr.Element
	a         []uint64
	challenge statement.Challenge
	epochs    []*proof.Proof
	links     []*proof.Proof
}

func loadKey(cache string, shape circuits.Shape) (*keys.Key, error) {
	dir, _, err := keys.Setup(shape, cache)
	if err != nil {
		return nil, err
	}
	return keys.Load(dir)
}

func newEpochScene(key *keys.Key) (*epochScene, error) {
	digests, salts := draw.Records(proofCount)
	s := &epochScene{seed: draw.Digest("run seed"),
		challenge: statement.Challenge{Gamma: draw.Scalar("gamma"), Delta: draw.Scalar("delta")}}
	var err error
	if s.leaves, err = tree.Leaves(digests, salts); err != nil {
		return nil, err
	}
	if s.a, err = order.Shuffle(s.seed, 0, proofCount); err != nil {
		return nil, err
	}
	inverse, err := order.Invert(s.a)
	if err != nil {
		return nil, err
	}
	for _, leaf := range s.a {
		s.used = append(s.used, s.leaves[leaf])
	}
	for c := range statement.Chunks(proofCount, proofSlots) {
		d, u := draw.Scalar("blinding d %d", c), draw.Scalar("blinding u %d", c)
		used, err := epoch.Prove(key, &epoch.Witness{
			Data:         statement.Window(s.leaves, c, proofSlots),
			Used:         statement.Window(s.used, c, proofSlots),
			Positions:    statement.Positions(inverse, c, proofSlots),
			DataBlinding: d, UsedBlinding: u, Start: uint64(c * proofSlots), Challenge: s.challenge,
		})
		if err != nil {
			return nil, err
		}
		link, err := epoch.Prove(key, epoch.Link(s.leaves, c, proofSlots, d, s.challenge))
		if err != nil {
			return nil, err
		}
		s.epochs, s.links = append(s.epochs, used), append(s.links, link)
	}
	return s, nil
}

var epochShape = circuits.Shape{Kind: kinds.Epoch, Slots: proofSlots}

func Epoch(cache string) (any, error) {
	key, err := loadKey(cache, epochShape)
	if err != nil {
		return nil, err
	}
	return epochFile(key)
}

// Ceremony is as Epoch, with a key of a ceremony.
func Ceremony(string) (any, error) {
	key, err := ceremonyKey(epochShape)
	if err != nil {
		return nil, err
	}
	return epochFile(key)
}

func epochFile(key *keys.Key) (any, error) {
	scene, err := newEpochScene(key)
	if err != nil {
		return nil, err
	}
	s := &suite{vk: key.Verifying}
	first, second := scene.epochs[0], scene.epochs[1]
	s.add("epoch chunk 0", first.ToJSON(), verify.MaskEpoch, true, "honest")
	s.add("epoch chunk 1", second.ToJSON(), verify.MaskEpoch, true, "honest")
	for mask := verify.MaskNone; mask <= verify.MaskAll; mask++ {
		s.add(fmt.Sprintf("epoch chunk 0, mask %d", mask), first.ToJSON(), mask, true, "honest")
	}
	s.malleable("epoch", first, verify.MaskAll)
	s.inputs("epoch", second, epochInputs, verify.MaskAll)
	s.coordinates("epoch", first, verify.MaskAll)
	s.points("epoch", first, second, verify.MaskAll)
	s.commitments("epoch", first, second)
	s.forgeries(first)
	s.links(scene)
	bases := key.Proving.CommitmentKeys[keys.VectorPosition].Basis
	var encoded []byte
	for i := range bases {
		b := field.FromG1(&bases[i])
		encoded = append(encoded, b[:]...)
	}
	return map[string]any{
		"words":     frozen.Hex(key.Verifying.Bytes()),
		"vkId":      key.Info.VKID,
		"basesP":    frozen.Hex(encoded),
		"statement": scene.describe(),
		"cases":     s.cases,
	}, s.err
}

// describe returns what another implementation needs to compute the public inputs and P itself.
func (s *epochScene) describe() map[string]any {
	return map[string]any{
		"seed": field.Word(s.seed).Hex(), "epoch": 0, "count": proofCount, "slots": proofSlots,
		"gamma": field.ScalarHex(&s.challenge.Gamma), "delta": field.ScalarHex(&s.challenge.Delta),
		"leaves": frozen.Scalars(s.leaves), "order": s.a,
	}
}

// pair exchanges and shifts commitments j < i and their proofs of knowledge.
func (s *suite) pair(pair string, p *proof.Proof, j, i int) {
	_, _, x, _ := bn254.Generators()
	s.edit(pair+" swapped", p, verify.MaskAll, false, "the sum is the same, the knowledge is not",
		func(p *proof.Proof) {
			p.Commitments[i], p.Commitments[j] = p.Commitments[j], p.Commitments[i]
		})
	s.edit(pair+" swapped with their poks", p, verify.MaskAll, false,
		"each commitment has its own sigma", func(p *proof.Proof) {
			p.Commitments[i], p.Commitments[j] = p.Commitments[j], p.Commitments[i]
			p.Knowledge[i], p.Knowledge[j] = p.Knowledge[j], p.Knowledge[i]
		})
	s.edit(pair+" + X and - X", p, verify.MaskAll, false,
		"the sum is the same, the knowledge is not", func(p *proof.Proof) {
			p.Commitments[j].Add(&p.Commitments[j], &x)
			p.Commitments[i].Sub(&p.Commitments[i], &x)
		})
	s.edit(pair+": pok + X and pok - X", p, verify.MaskAll, false, "poks cancel in a sum",
		func(p *proof.Proof) {
			p.Knowledge[j].Add(&p.Knowledge[j], &x)
			p.Knowledge[i].Sub(&p.Knowledge[i], &x)
		})
	s.edit(pair+": poks shifted so that gnark's fold agrees", p, verify.MaskAll, false,
		"poks cancel in a fold", func(p *proof.Proof) {
			shiftInFold(p, j, i)
		})
}

// commitments exchanges and changes commitments so that their sum does not change.
func (s *suite) commitments(label string, p, other *proof.Proof) {
	_, _, x, _ := bn254.Generators()
	for i := range circuits.EpochCommitments {
		for j := range i {
			s.pair(fmt.Sprintf("%s: %c and %c", label, "DUP"[j], "DUP"[i]), p, j, i)
		}
	}
	s.edit(label+": D + X and P - X, D unchecked", p, verify.MaskEpoch, false,
		"P's knowledge is still checked", func(p *proof.Proof) {
			p.Commitments[0].Add(&p.Commitments[0], &x)
			p.Commitments[2].Sub(&p.Commitments[2], &x)
		})
	s.edit(label+": U + X and P - X, only D and P checked", p, 0b101, false,
		"P's knowledge is still checked", func(p *proof.Proof) {
			p.Commitments[1].Add(&p.Commitments[1], &x)
			p.Commitments[2].Sub(&p.Commitments[2], &x)
		})
	s.edit(label+": pok of D foreign, D unchecked", p, verify.MaskEpoch, true,
		"an unchecked pok is without effect", func(p *proof.Proof) {
			p.Knowledge[0] = other.Knowledge[1]
		})
	s.edit(label+": all in D, U and P infinity", p, verify.MaskAll, false,
		"the sum is the same, the knowledge is not", func(p *proof.Proof) {
			for i := 1; i < 3; i++ {
				p.Commitments[0].Add(&p.Commitments[0], &p.Commitments[i])
				p.Commitments[i].SetInfinity()
				p.Knowledge[i].SetInfinity()
			}
		})
	s.foreign(label, p, other)
}

// foreign replaces parts by those of another chunk, or leaves parts out.
func (s *suite) foreign(label string, p, other *proof.Proof) {
	s.edit(label+": all commitments and poks of another chunk", p, verify.MaskAll, false,
		"commitments of another chunk", func(p *proof.Proof) {
			p.Commitments, p.Knowledge = other.Commitments, other.Knowledge
		})
	s.edit(label+": public inputs of another chunk", p, verify.MaskAll, false,
		"inputs of another chunk", func(p *proof.Proof) {
			p.Public = other.Public
		})
	s.add(label+": mask with a bit for no commitment", p.ToJSON(), 0b1000, false,
		"there is no commitment 3")
	s.edit(label+": one commitment missing", p, verify.MaskNone, false,
		"wrong number of commitments", func(p *proof.Proof) {
			p.Commitments = p.Commitments[:2]
		})
	s.edit(label+": one public input missing", p, verify.MaskNone, false, "wrong number of inputs",
		func(p *proof.Proof) {
			p.Public = p.Public[:4]
		})
	s.edit(label+": a sixth public input of zero", p, verify.MaskNone, false,
		"wrong number of inputs", func(p *proof.Proof) {
			p.Public = append(p.Public, fr.Element{})
		})
}

// shiftInFold adds X to pok j and subtracts c^(j-i) X from pok i, where c is gnark's folding
// challenge. The sum of c^k pok_k does not change.
func shiftInFold(p *proof.Proof, j, i int) {
	_, _, x, _ := bn254.Generators()
	challenge, err := verify.FoldingChallenge(p)
	if err != nil {
		panic(err) // it hashes constants and points
	}
	factor := fr.One()
	challenge.Inverse(&challenge)
	for range i - j {
		factor.Mul(&factor, &challenge)
	}
	p.Knowledge[j].Add(&p.Knowledge[j], &x)
	x.ScalarMultiplication(&x, factor.BigInt(new(big.Int)))
	p.Knowledge[i].Sub(&p.Knowledge[i], &x)
}

// forgeries satisfy the main equation without a witness, by a choice of one commitment of which no
// knowledge is checked.
func (s *suite) forgeries(p *proof.Proof) {
	for free, name := range []string{"D", "U", "P"} {
		open := verify.MaskAll &^ (1 << free)
		forge := func(p *proof.Proof) { s.forge(p, free) }
		s.edit("forgery by "+name+", unchecked", p, open, true,
			"A = alpha, B = beta, C = 0: the main equation holds without a witness, so "+name+
				" must be checked elsewhere", forge)
		s.edit("forgery by "+name+", checked", p, verify.MaskAll, false,
			"its knowledge cannot be shown", forge)
		s.edit("forgery by "+name+" with another C, unchecked", p, open, true,
			"as above, re-randomized", func(p *proof.Proof) {
				s.forge(p, free)
				p.C.ScalarMultiplication(&p.A, big.NewInt(11))
				var shift bn254.G2Affine
				shift.Neg(&s.vk.DeltaNeg)
				shift.ScalarMultiplication(&shift, big.NewInt(11))
				p.B.Add(&p.B, &shift)
			})
		s.edit("forgery by "+name+" with the pok of its honest twin", p, 1<<free, false,
			"its knowledge cannot be shown", forge)
	}
}

// forge draws public inputs, and sets A, B, C and commitment `free` so that the main equation
// holds.
func (s *suite) forge(p *proof.Proof, free int) {
	for i := range p.Public {
		p.Public[i] = draw.Scalar("forged input %d", i)
	}
	p.A = s.vk.Alpha
	p.B.Neg(&s.vk.BetaNeg)
	p.C.SetInfinity()
	var sum bn254.G1Affine
	if _, err := sum.MultiExp(s.vk.IC[1:], p.Public, ecc.MultiExpConfig{}); err != nil {
		panic(err) // the lengths are those of the key
	}
	sum.Add(&sum, &s.vk.IC[0])
	for i := range p.Commitments {
		if i != free {
			sum.Add(&sum, &p.Commitments[i])
		}
	}
	p.Commitments[free].Neg(&sum)
}

func (s *suite) links(scene *epochScene) {
	_, _, x, _ := bn254.Generators()
	for c, link := range scene.links {
		s.add(fmt.Sprintf("link chunk %d", c), link.ToJSON(), verify.MaskNone, true, "honest")
	}
	link, chunk := scene.links[0], scene.epochs[0]
	s.add("link, D and P checked", link.ToJSON(), 0b101, true, "honest")
	s.add("link under the epoch's mask", link.ToJSON(), verify.MaskEpoch, false,
		"U is infinity and its knowledge asked for")
	s.malleable("link", scene.links[1], verify.MaskNone)
	s.inputs("link", scene.links[1], epochInputs, verify.MaskNone)
	s.edit("link: U not infinity, D - U", link, verify.MaskNone, true,
		"the equation cannot see it: the ledger pins D to the registered point and U to infinity",
		func(p *proof.Proof) {
			p.Commitments[1] = x
			p.Commitments[0].Sub(&p.Commitments[0], &x)
		})
	s.edit("link: U not infinity", link, verify.MaskNone, false, "the sum differs",
		func(p *proof.Proof) {
			p.Commitments[1] = x
		})
	s.edit("link: P of the epoch", link, verify.MaskNone, false, "the sum differs",
		func(p *proof.Proof) {
			p.Commitments[2] = chunk.Commitments[2]
		})
	s.edit("link: P of the next chunk", link, verify.MaskNone, false, "the sum differs",
		func(p *proof.Proof) {
			p.Commitments[2] = scene.links[1].Commitments[2]
		})
	s.edit("link: A, B, C of the epoch", link, verify.MaskNone, false,
		"a proof of another statement", func(p *proof.Proof) {
			p.A, p.B, p.C = chunk.A, chunk.B, chunk.C
		})
}

// SPDX-License-Identifier: Apache-2.0

// Package verify decides whether a proof holds for a key.
package verify

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254"

	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
)

// Mask has bit i set if the proof of knowledge of commitment i is checked together with the proof.
type Mask uint

// The masks of the statements. The caller must be sure of a commitment that a mask leaves out in
// another way: D was checked when it was registered; a link's U is infinity, and the caller
// computes its P.
const (
	MaskNone  Mask = 0b000
	MaskEpoch Mask = 0b110
	MaskAll   Mask = 0b111
)

// The reasons for which a well-formed proof does not hold.
var (
	ErrKey        = errors.New("proof is for another key")
	ErrShape      = errors.New("proof has the wrong number of points or public inputs")
	ErrCommitment = errors.New("a commitment that is to be checked is infinity")
	ErrKnowledge  = errors.New("proof of knowledge does not hold")
	ErrEquation   = errors.New("pairing equation does not hold")
)

// Verify returns nil when the proof holds. It assumes a proof from [proof.Parse] (canonical
// numbers, points in their groups) and a key from [keys.Parse]. The steps:
//
//  1. The proof names this key and has its number of points and inputs; the mask names existing
//     commitments only.
//  2. No commitment that the mask checks is infinity.
//  3. e(commitment_i, -sigma_i G) e(pok_i, G) = 1 for every commitment i of the mask. Each
//     is checked by itself: a folded check would accept proofs of knowledge with errors that
//     cancel.
//  4. e(A, B) e(C, -delta) e(alpha, -beta) e(X, -gamma) = 1 with
//     X = IC_0 + sum public_i IC_i + sum commitments.
//
// Source: Groth, EUROCRYPT 2016, section 3.2; gnark's commitment extension (eprint 2022/1072).
func Verify(vk *keys.Verifying, p *proof.Proof, mask Mask) error {
	// (1)
	if p.Kind != vk.Shape.Kind || p.KeyID != vk.ID() {
		return ErrKey
	}
	commitments := vk.Shape.Commitments()
	if len(p.Commitments) != commitments || len(p.Knowledge) != commitments ||
		len(p.Public) != vk.Shape.Public() {
		return ErrShape
	}
	if mask >= 1<<commitments {
		return fmt.Errorf("%w: mask %#b for %d commitments", ErrShape, mask, commitments)
	}
	// (2), (3)
	for i := range p.Commitments {
		if mask>>i&1 == 0 {
			continue
		}
		if err := Knowledge(vk, i, &p.Commitments[i], &p.Knowledge[i]); err != nil {
			return fmt.Errorf("commitment %d: %w", i, err)
		}
	}
	// (4)
	return Equation(vk, p)
}

// Knowledge checks the proof of knowledge of one commitment alone, as at a registration. It refuses
// the point at infinity, for which anyone can write down a proof of knowledge that holds.
func Knowledge(vk *keys.Verifying, i int, commitment, pok *bn254.G1Affine) error {
	if commitment.IsInfinity() {
		return ErrCommitment
	}
	k := &vk.Knowledge[i]
	ok, err := bn254.PairingCheck([]bn254.G1Affine{*commitment, *pok},
		[]bn254.G2Affine{k.SigmaNeg, k.G})
	if err != nil || !ok {
		return errors.Join(ErrKnowledge, err)
	}
	return nil
}

// Equation checks the main equation alone (step 4). By itself it proves nothing: it depends only on
// the sum of the commitments. If knowledge of one of them is not checked, anyone can satisfy it
// without a witness.
func Equation(vk *keys.Verifying, p *proof.Proof) error {
	var sum, term bn254.G1Jac
	sum.FromAffine(&vk.IC[0])
	for i := range p.Public {
		term.FromAffine(&vk.IC[i+1])
		term.ScalarMultiplication(&term, p.Public[i].BigInt(new(big.Int)))
		sum.AddAssign(&term)
	}
	for i := range p.Commitments {
		sum.AddMixed(&p.Commitments[i])
	}
	var x bn254.G1Affine
	x.FromJacobian(&sum)
	ok, err := bn254.PairingCheck([]bn254.G1Affine{p.A, p.C, vk.Alpha, x},
		[]bn254.G2Affine{p.B, vk.DeltaNeg, vk.BetaNeg, vk.GammaNeg})
	if err != nil || !ok {
		return errors.Join(ErrEquation, err)
	}
	return nil
}

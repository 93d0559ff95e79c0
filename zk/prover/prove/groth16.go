// SPDX-License-Identifier: Apache-2.0

// Package prove runs gnark's Groth16 prover and checks each proof before it leaves the process.
//
// The packages below it assign the circuits of the statements: epoch (with links and commitments),
// dataset (tree, sorted, member, absent) and blocks (merge, q8_0, int8). It may import keys, proof,
// verify and fault.
package prove

import (
	"errors"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/pedersen"
	"github.com/consensys/gnark/backend"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/verify"
)

// Statement proves a statement without commitments, and verifies the proof. The assignment must
// have these public inputs. Errors are faults: unproven if the assignment does not satisfy the
// circuit.
func Statement(
	key *keys.Key, assignment frontend.Circuit, public []fr.Element,
) (*proof.Proof, error) {
	p, err := Groth16(key, assignment)
	if err != nil {
		return nil, err
	}
	p.Public = public
	return p, Check(key, p)
}

// Groth16 runs gnark's prover. The caller adds the public inputs, and each commitment with a proof
// of knowledge of its own in place of gnark's folded one, and calls [Check].
func Groth16(key *keys.Key, assignment frontend.Circuit) (*proof.Proof, error) {
	if key.System == nil {
		return nil, fault.New(fault.Internal, "a key with its bases alone cannot prove")
	}
	witness, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		return nil, fault.New(fault.BadRequest, "%v", err)
	}
	defer key.Alone()()
	proving := withoutCommitments(key.Proving)
	made, err := groth16.Prove(key.System, proving, witness, proverOptions(key)...)
	var unsatisfied *cs.UnsatisfiedConstraintError
	if errors.As(err, &unsatisfied) { // its text is dropped: it would quote the witness
		return nil, fault.New(fault.Unproven, "the statement is false: constraint %d does not hold",
			unsatisfied.CID)
	}
	if err != nil {
		return nil, fault.New(fault.Internal, "%v", err)
	}
	if count := key.Shape.Commitments(); len(made.Commitments) != count {
		return nil, fault.Differs(fault.Internal, "commitments of the proof", count,
			len(made.Commitments))
	}
	return &proof.Proof{Kind: key.Shape.Kind, KeyID: key.Verifying.ID(), A: made.Ar,
		B: made.Bs, C: made.Krs}, nil
}

// withoutCommitments is the key for gnark's prover, which makes commitments that package epoch has
// made already, and proofs of knowledge that it folds, so that no single one is left. With points
// at infinity in the place of the bases they cost next to nothing. A, B and C do not depend on
// them: the hash wires are 0 (see proverOptions).
func withoutCommitments(proving *groth16.ProvingKey) *groth16.ProvingKey {
	light := *proving
	light.CommitmentKeys = make([]pedersen.ProvingKey, len(proving.CommitmentKeys))
	var infinities []bn254.G1Affine
	for i, commitment := range proving.CommitmentKeys {
		if size := len(commitment.Basis); size > len(infinities) {
			infinities = make([]bn254.G1Affine, size)
		}
		bases := infinities[:len(commitment.Basis)]
		light.CommitmentKeys[i] = pedersen.ProvingKey{Basis: bases, BasisExpSigma: bases}
	}
	return &light
}

// proverOptions fix the commitments' masks to 0, and the value of every commitment's hash wire too.
//
// gnark computes commitments by hints, and runs hints of one level at the same time. Its commitment
// hint writes to slice elements of its own commitment, and to one hash function that all hints
// share. With gnark's default hash, two hints at a time would mix their bytes. [constantHash] has
// no state. Its value does not matter: the hash wires are in no constraint of these circuits
// (keys.FromGnark refuses a key in which a hash wire has a point other than infinity). gnark also
// folds its own proof of knowledge with a challenge drawn from them, but that proof is not used.
func proverOptions(key *keys.Key) []backend.ProverOption {
	if key.Shape.Commitments() == 0 {
		return nil
	}
	zero := func(_ *big.Int, _, outputs []*big.Int) error {
		for _, output := range outputs {
			output.SetUint64(0)
		}
		return nil
	}
	return []backend.ProverOption{
		backend.WithSolverOptions(solver.OverrideHint(key.Mask, zero)),
		backend.WithProverHashToFieldFunction(constantHash{}),
	}
}

// constantHash hashes everything to zero.
type constantHash struct{}

func (constantHash) Write(p []byte) (int, error) { return len(p), nil }
func (constantHash) Sum(b []byte) []byte         { return append(b, make([]byte, fr.Bytes)...) }
func (constantHash) Reset()                      {}
func (constantHash) Size() int                   { return fr.Bytes }
func (constantHash) BlockSize() int              { return fr.Bytes }

// Check verifies a proof that was just made, with all proofs of knowledge except those of infinite
// commitments (a link's U). So no proof leaves the process that was made with damaged key material,
// or whose commitments do not hold the witness's vectors.
func Check(key *keys.Key, p *proof.Proof) error {
	mask := verify.MaskNone
	for i := range p.Commitments {
		if !p.Commitments[i].IsInfinity() || !p.Knowledge[i].IsInfinity() {
			mask |= 1 << i
		}
	}
	if err := verify.Verify(key.Verifying, p, mask); err != nil {
		return fault.New(fault.Internal, "the proof just made does not verify: %v", err)
	}
	return nil
}

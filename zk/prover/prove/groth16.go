// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/backend"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/logger"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/verify"
)

func init() { logger.Disable() } // gnark logs to stdout, which carries results only

// groth16Proof runs gnark's prover and puts the separate proofs of knowledge in the place of its folded one.
func groth16Proof(key *keys.Key, assignment frontend.Circuit, commitments []Commitment) (*proof.Proof, error) {
	if key.System == nil {
		return nil, fault.New(fault.Internal, "a key with its bases alone cannot prove")
	}
	witness, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		return nil, fault.New(fault.BadRequest, "%v", err)
	}
	made, err := groth16.Prove(key.System, key.Proving, witness, solverOptions(key)...)
	if err != nil {
		return nil, fault.New(fault.Unproven, "%v", err)
	}
	if len(made.Commitments) != len(commitments) {
		return nil, fault.Differs(fault.Internal, "commitments of the proof", len(commitments), len(made.Commitments))
	}
	if err := requireSame(made.Commitments, commitments); err != nil {
		return nil, err
	}
	p := &proof.Proof{Kind: key.Shape.Kind, KeyID: key.Verifying.ID(), A: made.Ar, B: made.Bs, C: made.Krs}
	for i := range commitments {
		p.Commitments = append(p.Commitments, commitments[i].Point)
		p.Knowledge = append(p.Knowledge, commitments[i].Knowledge)
	}
	return p, nil
}

// solverOptions fix the commitments' masks to 0. One solver task: gnark's commitment hints write to shared state.
func solverOptions(key *keys.Key) []backend.ProverOption {
	if key.Shape.Kind != circuits.KindEpoch {
		return nil
	}
	zero := func(_ *big.Int, _, outputs []*big.Int) error {
		for _, output := range outputs {
			output.SetUint64(0)
		}
		return nil
	}
	return []backend.ProverOption{
		backend.WithSolverOptions(solver.WithNbTasks(1), solver.OverrideHint(key.Mask, zero)),
	}
}

// check verifies a proof just made, with every proof of knowledge but those of infinite commitments: a proof made with
// damaged key material must not leave the process.
func check(key *keys.Key, p *proof.Proof) error {
	mask := verify.MaskNone
	for i := range p.Commitments {
		if !p.Commitments[i].IsInfinity() {
			mask |= 1 << i
		}
	}
	if err := verify.Verify(key.Verifying, p, mask); err != nil {
		return fault.New(fault.Internal, "the proof just made does not verify: %v", err)
	}
	return nil
}

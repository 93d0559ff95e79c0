// SPDX-License-Identifier: Apache-2.0

// Package gnark is for tests: it asks gnark's own verifier.
//
// It may import keys, proof and verify. No program imports it.
package gnark

import (
	"bufio"
	"os"
	"path/filepath"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/verify"
)

// Load reads gnark's verifying key from a key folder.
func Load(dir string) (*groth16.VerifyingKey, error) {
	file, err := os.Open(filepath.Join(dir, keys.FileGnark))
	if err != nil {
		return nil, fault.New(fault.BadFile, "%v", err)
	}
	defer file.Close()
	vk := new(groth16.VerifyingKey)
	if _, err := vk.ReadFrom(bufio.NewReader(file)); err != nil {
		return nil, fault.New(fault.BadKey, "%s: %v", keys.FileGnark, err)
	}
	return vk, nil
}

// Verify checks a proof with gnark's own verifier, to compare its answer with ours. It is no
// verification by itself: gnark checks one folded proof of knowledge, and would accept proofs whose
// errors cancel in the fold.
func Verify(vk *groth16.VerifyingKey, p *proof.Proof) error {
	folded := groth16.Proof{Ar: p.A, Bs: p.B, Krs: p.C, Commitments: p.Commitments}
	if len(p.Commitments) > 0 {
		challenge, err := verify.FoldingChallenge(p)
		if err != nil {
			return err
		}
		if _, err := folded.CommitmentPok.Fold(p.Knowledge, challenge,
			ecc.MultiExpConfig{NbTasks: 1}); err != nil {
			return err
		}
	}
	return groth16.Verify(&folded, vk, append(fr.Vector(nil), p.Public...))
}

// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/hash_to_field"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"
	"github.com/consensys/gnark/constraint"

	"provenance/zkprover/proof"
)

// WithGnark checks a proof by gnark's own verifier, as a differential. gnark takes one folded proof
// of knowledge and would accept proofs whose shifts cancel in the fold, so this alone is not a
// verification.
func WithGnark(vk *groth16.VerifyingKey, p *proof.Proof) error {
	folded := groth16.Proof{Ar: p.A, Bs: p.B, Krs: p.C, Commitments: p.Commitments}
	if len(p.Commitments) > 0 {
		challenge, err := FoldingChallenge(p)
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

// FoldingChallenge is derived from the commitments' hashes as gnark's verifier derives it.
func FoldingChallenge(p *proof.Proof) (fr.Element, error) {
	var hashes []byte
	for i := range p.Commitments {
		h := hash_to_field.New([]byte(constraint.CommitmentDst))
		h.Write(p.Commitments[i].Marshal()) // a hash's Write returns no error
		hashes = append(hashes, h.Sum(nil)...)
	}
	challenge, err := fr.Hash(hashes, []byte("G16-BSB22"), 1)
	if err != nil {
		return fr.Element{}, err
	}
	return challenge[0], nil
}

// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/hash_to_field"
	"github.com/consensys/gnark/constraint"

	"provenance/zkprover/proof"
)

// FoldingChallenge is the challenge with which gnark folds proofs of knowledge. It is computed from
// the commitments' hashes, as in gnark's verifier.
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

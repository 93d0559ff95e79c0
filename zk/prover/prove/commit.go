// SPDX-License-Identifier: Apache-2.0

// Package prove makes commitments and proofs.
package prove

import (
	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
)

// Commitment is a committed vector's point and the proof that its maker knows an opening.
type Commitment struct {
	Point, Knowledge bn254.G1Affine
}

// Commit commits to one vector (keys.VectorData, VectorUsed or VectorPosition) of exactly `slots` values. blinding is
// nil for positions and required otherwise; it may be zero only where hiding is of no concern (a link's U).
func Commit(key *keys.Key, vector int, values []fr.Element, blinding *fr.Element) (Commitment, error) {
	var c Commitment
	if key.Shape.Kind != circuits.KindEpoch {
		return c, fault.Differs(fault.BadRequest, "kind of key", circuits.KindEpoch, key.Shape.Kind)
	}
	if len(values) != key.Shape.Slots {
		return c, fault.Differs(fault.BadRequest, "values of a vector", key.Shape.Slots, len(values))
	}
	if (blinding == nil) != (vector == keys.VectorPosition) {
		return c, fault.New(fault.BadRequest, "data and used vectors take a blinding, positions none")
	}
	opening := values[:len(values):len(values)]
	if blinding != nil {
		opening = append(opening, *blinding)
	}
	// gnark's mask, the last base, is fixed to 0: the blinding does its work and is known before the proof.
	bases := &key.Proving.CommitmentKeys[vector]
	if _, err := c.Point.MultiExp(bases.Basis[:len(opening)], opening, ecc.MultiExpConfig{}); err != nil {
		return c, fault.New(fault.Internal, "%v", err)
	}
	if _, err := c.Knowledge.MultiExp(bases.BasisExpSigma[:len(opening)], opening, ecc.MultiExpConfig{}); err != nil {
		return c, fault.New(fault.Internal, "%v", err)
	}
	return c, nil
}

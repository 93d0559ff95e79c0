// SPDX-License-Identifier: Apache-2.0

// Package epoch proves chunks of epochs and their links to a dataset, and commits to the vectors
// that they are about.
//
// It may import package prove and what lies below that.
package epoch

import (
	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
)

// Commitment is the point of a committed vector, and the proof that its maker knows the vector.
type Commitment struct {
	Point, Knowledge bn254.G1Affine
}

// Commit commits to one vector (keys.VectorData, VectorUsed or VectorPosition) of exactly `slots`
// values. blinding is nil for positions and required otherwise; it may be zero only where hiding is
// of no concern (a link's U).
func Commit(
	key *keys.Key, vector int, values []fr.Element, blinding *fr.Element,
) (Commitment, error) {
	var c Commitment
	opening, err := open(key, vector, values, blinding)
	if err != nil {
		return c, err
	}
	if c.Point, err = combine(key.Proving.CommitmentKeys[vector].Basis, opening); err != nil {
		return c, err
	}
	c.Knowledge, err = combine(key.Proving.CommitmentKeys[vector].BasisExpSigma, opening)
	return c, err
}

// open is what a commitment holds: the values and their blinding. gnark's mask, which would come
// last, is fixed to 0. The blinding hides the values instead, and is known before the proof is
// made.
func open(
	key *keys.Key, vector int, values []fr.Element, blinding *fr.Element,
) ([]fr.Element, error) {
	if key.Shape.Kind != kinds.Epoch {
		return nil, fault.Differs(fault.BadRequest, "kind of key", kinds.Epoch,
			key.Shape.Kind)
	}
	if len(values) != key.Shape.Slots {
		return nil, fault.Differs(fault.BadRequest, "values of a vector",
			key.Shape.Slots, len(values))
	}
	if (blinding == nil) != (vector == keys.VectorPosition) {
		return nil, fault.New(fault.BadRequest,
			"data and used vectors take a blinding, positions none")
	}
	opening := values[:len(values):len(values)]
	if blinding != nil {
		opening = append(opening, *blinding)
	}
	return opening, nil
}

func combine(bases []bn254.G1Affine, opening []fr.Element) (bn254.G1Affine, error) {
	var point bn254.G1Affine
	if _, err := point.MultiExp(bases[:len(opening)], opening, ecc.MultiExpConfig{}); err != nil {
		return point, fault.New(fault.Internal, "%v", err)
	}
	return point, nil
}

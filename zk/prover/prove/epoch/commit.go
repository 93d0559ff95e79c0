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
	"provenance/zkprover/verify"
)

// Commitment is the point of a committed vector, and the proof that its maker knows the vector.
type Commitment struct {
	Point, Knowledge bn254.G1Affine
}

// Commit commits to one vector (keys.VectorData, VectorUsed or VectorPosition) of exactly `slots`
// values. blinding is nil for positions and required otherwise; it may be zero only where hiding is
// of no concern (a link's U).
//
// The proof of knowledge is checked, since a key that has its bases alone was not compared with the
// digest of their file (see [keys.LoadBases]).
func Commit(
	key *keys.Key, vector int, values []fr.Element, blinding *fr.Element,
) (Commitment, error) {
	opening, err := open(key, vector, values, blinding)
	if err != nil {
		return Commitment{}, err
	}
	name := digest(key, vector, opening)
	if known, ok := remembered.find(name); ok {
		return known, nil
	}
	made, err := commit(key, vector, opening)
	if err != nil {
		return made, err
	}
	if err := verify.Knowledge(key.Verifying, vector, &made.Point, &made.Knowledge); err != nil {
		return made, fault.New(fault.BadKey, "commitment %d: %v", vector, err).
			WithHint("remove the key folder and run setup again")
	}
	remembered.keep(name, made)
	return made, nil
}

func commit(key *keys.Key, vector int, opening []fr.Element) (c Commitment, err error) {
	bases := &key.Proving.CommitmentKeys[vector]
	if c.Point, err = combine(bases.Basis, opening); err != nil {
		return c, err
	}
	c.Knowledge, err = combine(bases.BasisExpSigma, opening)
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

// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/kinds"
)

// The commitment keys of an epoch key.
const (
	VectorData     = 0
	VectorUsed     = 1
	VectorPosition = 2
)

func encodeBases(bases []bn254.G1Affine) []byte {
	out := make([]byte, 0, len(bases)*field.G1Bytes)
	for i := range bases {
		encoded := field.FromG1(&bases[i])
		out = append(out, encoded[:]...)
	}
	return out
}

// positionSums is I_0 = sum i*K_i and S = sum K_i over the bases K_i of positions; the last base,
// that of the mask, does not count.
func positionSums(bases []bn254.G1Affine) (weighted, sum bn254.G1Affine, err error) {
	n := len(bases) - 1
	indexes, ones := make([]fr.Element, n), make([]fr.Element, n)
	for i := range indexes {
		indexes[i].SetUint64(uint64(i))
		ones[i].SetOne()
	}
	if _, err = weighted.MultiExp(bases[:n], indexes, ecc.MultiExpConfig{}); err != nil {
		return weighted, sum, err
	}
	_, err = sum.MultiExp(bases[:n], ones, ecc.MultiExpConfig{})
	return weighted, sum, err
}

// ParsePositionBases reads the bases of positions and checks them against the key: their digest,
// I_0 and S, and that none is infinity or repeated. data is the whole of bases.bin, or only its
// part with the positions. The key must be of kind epoch.
func (v *Verifying) ParsePositionBases(data []byte) ([]bn254.G1Affine, error) {
	if v.Shape.Kind != kinds.Epoch {
		return nil, fault.Differs(fault.BadRequest, "kind of key", kinds.Epoch, v.Shape.Kind)
	}
	counts := v.Shape.Bases()
	own := counts[VectorPosition] * field.G1Bytes
	all := (counts[VectorData] + counts[VectorUsed] + counts[VectorPosition]) * field.G1Bytes
	if len(data) != own && len(data) != all {
		return nil, fault.New(fault.BadFile, "bases have %d bytes, want %d or %d",
			len(data), own, all)
	}
	data = data[len(data)-own:]
	if digest := field.Keccak(data); digest != v.BasesDigests[VectorPosition] {
		return nil, fault.Differs(fault.Mismatch, "digest of the bases of positions",
			v.BasesDigests[VectorPosition].Hex(), digest.Hex())
	}
	bases := make([]bn254.G1Affine, counts[VectorPosition])
	for i := range bases {
		var err error
		if bases[i], err = field.ParseG1(data[i*field.G1Bytes : (i+1)*field.G1Bytes]); err != nil {
			return nil, fault.New(fault.BadFile, "base %d: %v", i, err)
		}
	}
	if err := distinct(bases, "bases"); err != nil {
		return nil, err
	}
	weighted, sum, err := positionSums(bases)
	if err != nil {
		return nil, err
	}
	if !weighted.Equal(&v.WeightedPositions) || !sum.Equal(&v.Positions) {
		return nil, fault.New(fault.BadKey,
			"I_0 or S of the key is not the sum over the bases of positions")
	}
	return bases, nil
}

// CommitPositions is the commitment to a vector of positions: no blinding, mask 0.
func CommitPositions(bases []bn254.G1Affine, positions []fr.Element) (bn254.G1Affine, error) {
	var point bn254.G1Affine
	if len(positions) != len(bases)-1 {
		return point, fault.Differs(fault.BadRequest, "number of positions", len(bases)-1,
			len(positions))
	}
	_, err := point.MultiExp(bases[:len(positions)], positions, ecc.MultiExpConfig{})
	return point, err
}

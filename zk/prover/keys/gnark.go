// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"github.com/consensys/gnark-crypto/ecc/bn254"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
)

// FromGnark translates gnark's verifying key and the bases of the commitment keys. It refuses
// (bad_key) what [Parse] refuses; a key whose points of hash wires are not infinity, since its
// circuit would use a challenge that this project does not compute; a key that commits to public
// wires; and bases that are infinity or repeated.
func FromGnark(
	vk *groth16.VerifyingKey, shape circuits.Shape, bases [][]bn254.G1Affine,
) (*Verifying, error) {
	public, commitments := shape.Public(), shape.Commitments()
	if len(vk.G1.K) != 1+public+commitments {
		return nil, fault.Differs(fault.BadKey, "points of the verifying key",
			1+public+commitments, len(vk.G1.K))
	}
	if len(vk.CommitmentKeys) != commitments || len(bases) != commitments {
		return nil, fault.Differs(fault.BadKey, "commitment keys", commitments,
			len(vk.CommitmentKeys))
	}
	for k := range commitments {
		if !vk.G1.K[1+public+k].IsInfinity() {
			return nil, fault.New(fault.BadKey, "the circuit uses the hash wire of commitment %d",
				k)
		}
	}
	for k, wires := range vk.PublicAndCommitmentCommitted {
		if len(wires) != 0 {
			return nil, fault.New(fault.BadKey, "commitment %d includes public wires", k)
		}
	}
	v := &Verifying{Shape: shape, Alpha: vk.G1.Alpha, IC: vk.G1.K[: 1+public : 1+public]}
	v.BetaNeg.Neg(&vk.G2.Beta)
	v.GammaNeg.Neg(&vk.G2.Gamma)
	v.DeltaNeg.Neg(&vk.G2.Delta)
	for _, k := range vk.CommitmentKeys {
		v.Knowledge = append(v.Knowledge, Knowledge{G: k.G, SigmaNeg: k.GSigmaNeg})
	}
	if commitments != 0 {
		if err := v.setBases(bases); err != nil {
			return nil, err
		}
	}
	return v, v.check()
}

func (v *Verifying) setBases(bases [][]bn254.G1Affine) error {
	var all []bn254.G1Affine
	for k, want := range v.Shape.Bases() {
		if len(bases[k]) != want {
			return fault.Differs(fault.BadKey, "bases of a commitment key", want, len(bases[k]))
		}
		all = append(all, bases[k]...)
		v.BasesDigests = append(v.BasesDigests, field.Keccak(encodeBases(bases[k])))
	}
	if err := distinct(all, "bases"); err != nil {
		return err
	}
	var err error
	v.WeightedPositions, v.Positions, err = positionSums(bases[VectorPosition])
	return err
}

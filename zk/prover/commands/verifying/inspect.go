// SPDX-License-Identifier: Apache-2.0

package verifying

import (
	"provenance/zkprover/commands/request"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/server"
)

type inspectResult struct {
	Kind        kinds.Kind `json:"kind"`
	Slots       int        `json:"slots"`
	Depth       int        `json:"depth"`
	Public      int        `json:"nPublic"`
	Commitments int        `json:"nCommitments"`
	Flags       int        `json:"flags"`
	VKID        string     `json:"vkId"`
	Words       int        `json:"words"`
	Bases       []string   `json:"basesDigests"`
	I0          []string   `json:"i0,omitempty"`
	S           []string   `json:"s,omitempty"`
}

// Inspect returns the facts of a verifying key.
func Inspect(_ *server.Call, text []byte) (any, error) {
	var r struct {
		Words string `json:"words"`
	}
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	vk, err := keys.LoadWords(r.Words)
	if err != nil {
		return nil, err
	}
	out := inspectResult{
		Kind: vk.Shape.Kind, Slots: vk.Shape.Slots, Depth: vk.Shape.Depth,
		Public:      vk.Shape.Public(),
		Commitments: vk.Shape.Commitments(), VKID: vk.ID().Hex(),
		Words: len(vk.Bytes()) / field.WordBytes, Bases: []string{},
	}
	for _, digest := range vk.BasesDigests {
		out.Bases = append(out.Bases, digest.Hex())
	}
	if vk.Shape.Kind == kinds.Epoch {
		out.I0, out.S = proof.PointHex(&vk.WeightedPositions), proof.PointHex(&vk.Positions)
	}
	return out, nil
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"time"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/server"
)

type setupRequest struct {
	Kind  circuits.Kind `json:"kind"`
	Slots int           `json:"slots"`
	Depth int           `json:"depth"`
	Cache string        `json:"cache"`
}

type setupResult struct {
	Key string `json:"key"`
	keys.Info
	Reused  bool    `json:"reused"`
	Seconds float64 `json:"seconds"`
}

func setup(call *server.Call, request []byte) (any, error) {
	var r setupRequest
	if err := parseRequest(request, &r); err != nil {
		return nil, err
	}
	if r.Cache == "" {
		return nil, fault.New(fault.BadRequest, "cache: no folder named")
	}
	if r.Kind == circuits.KindEpoch {
		r.Depth = 0
	}
	begin := time.Now()
	call.Progress("setup of %s with %d slots", r.Kind, r.Slots)
	dir, reused, err := keys.Setup(circuits.Shape{Kind: r.Kind, Slots: r.Slots, Depth: r.Depth}, r.Cache)
	if err != nil {
		return nil, err
	}
	info, err := keys.LoadInfo(dir)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fault.New(fault.BadFile, "%v", err)
	}
	return setupResult{Key: dir, Info: *info, Reused: reused, Seconds: since(begin)}, nil
}

type inspectResult struct {
	Kind        circuits.Kind `json:"kind"`
	Slots       int           `json:"slots"`
	Depth       int           `json:"depth"`
	Public      int           `json:"nPublic"`
	Commitments int           `json:"nCommitments"`
	Flags       int           `json:"flags"`
	VKID        string        `json:"vkId"`
	Words       int           `json:"words"`
	Bases       []string      `json:"basesDigests"`
	I0          []string      `json:"i0,omitempty"`
	S           []string      `json:"s,omitempty"`
}

func inspect(_ *server.Call, request []byte) (any, error) {
	var r struct {
		Words string `json:"words"`
	}
	if err := parseRequest(request, &r); err != nil {
		return nil, err
	}
	vk, err := keys.LoadWords(r.Words)
	if err != nil {
		return nil, err
	}
	out := inspectResult{
		Kind: vk.Shape.Kind, Slots: vk.Shape.Slots, Depth: vk.Shape.Depth, Public: vk.Shape.Public(),
		Commitments: vk.Shape.Commitments(), VKID: vk.ID().Hex(), Words: len(vk.Bytes()) / field.WordBytes, Bases: []string{},
	}
	for _, digest := range vk.BasesDigests {
		out.Bases = append(out.Bases, digest.Hex())
	}
	if vk.Shape.Kind == circuits.KindEpoch {
		out.I0, out.S = proof.PointHex(&vk.WeightedPositions), proof.PointHex(&vk.Positions)
	}
	return out, nil
}

func since(begin time.Time) float64 { return float64(time.Since(begin).Milliseconds()) / 1000 }

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/order"
	"provenance/zkprover/server"
	"provenance/zkprover/tree"
)

type rootResult struct {
	Root  string `json:"root"`
	Depth int    `json:"depth"`
	Count int    `json:"count"`
}

func makeDataset(_ *server.Call, request []byte) (any, error) {
	var r struct {
		Digests   string `json:"digests"`
		Salts     string `json:"salts"`
		LeavesOut string `json:"leaves_out"`
		Depth     int    `json:"depth"`
	}
	if err := parseRequest(request, &r); err != nil {
		return nil, err
	}
	digests, err := readFile("digests", r.Digests, maxFileBytes)
	if err != nil {
		return nil, err
	}
	salts, err := readFile("salts", r.Salts, maxFileBytes)
	if err != nil {
		return nil, err
	}
	leaves, err := tree.Leaves(digests, salts)
	if err != nil {
		return nil, fault.New(fault.BadFile, "%v", err)
	}
	result, err := rootOf(leaves, r.Depth)
	if err != nil {
		return nil, err
	}
	if r.LeavesOut != "" {
		err = writeFile(r.LeavesOut, field.FromScalars(leaves))
	}
	return result, err
}

func leafRoot(_ *server.Call, request []byte) (any, error) {
	var r struct {
		Leaves string `json:"leaves"`
		Depth  int    `json:"depth"`
	}
	if err := parseRequest(request, &r); err != nil {
		return nil, err
	}
	leaves, err := readElements("leaves", r.Leaves, -1)
	if err != nil {
		return nil, err
	}
	return rootOf(leaves, r.Depth)
}

func rootOf(leaves []fr.Element, depth int) (any, error) {
	t, err := buildTree(leaves, depth)
	if err != nil {
		return nil, err
	}
	root := t.Root()
	return rootResult{Root: field.ScalarHex(&root), Depth: t.Depth(), Count: t.Count()}, nil
}

// buildTree takes depth 0 for the depth that belongs to the count.
func buildTree(leaves []fr.Element, depth int) (*tree.Tree, error) {
	if depth == 0 {
		var err error
		if depth, err = tree.DepthFor(len(leaves)); err != nil {
			return nil, fault.New(fault.BadFile, "%v", err)
		}
	}
	t, err := tree.New(leaves, depth)
	if err != nil {
		return nil, fault.New(fault.BadRequest, "%v", err)
	}
	return t, nil
}

func makeOrder(_ *server.Call, request []byte) (any, error) {
	var r struct {
		Seed  string `json:"seed"`
		Epoch uint64 `json:"epoch"`
		Count int    `json:"count"`
		Out   string `json:"out"`
	}
	if err := parseRequest(request, &r); err != nil {
		return nil, err
	}
	seed, err := field.ParseWord(r.Seed)
	if err != nil {
		return nil, fault.New(fault.BadRequest, "seed: %v", err)
	}
	a, err := order.Shuffle(seed, r.Epoch, r.Count)
	if err != nil {
		return nil, fault.New(fault.BadRequest, "%v", err)
	}
	return map[string]any{"out": r.Out, "count": r.Count}, writeFile(r.Out, order.Bytes(a))
}

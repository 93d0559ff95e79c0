// SPDX-License-Identifier: Apache-2.0

package datasets

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/commands/request"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/files"
	"provenance/zkprover/order"
	"provenance/zkprover/server"
	"provenance/zkprover/tree"
)

type rootResult struct {
	Root  string `json:"root"`
	Depth int    `json:"depth"`
	Count int    `json:"count"`
}

// Dataset hashes records and builds their tree.
func Dataset(_ *server.Call, text []byte) (any, error) {
	var r struct {
		Digests   string `json:"digests"`
		Salts     string `json:"salts"`
		LeavesOut string `json:"leaves_out"`
		Depth     int    `json:"depth"`
	}
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	digests, salts, err := readRecords(r.Digests, r.Salts)
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
		err = files.Write(r.LeavesOut, field.FromScalars(leaves), files.Private)
	}
	return result, err
}

// LeafRoot builds the tree over leaves.
func LeafRoot(_ *server.Call, text []byte) (any, error) {
	var r struct {
		Leaves string `json:"leaves"`
		Depth  int    `json:"depth"`
	}
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	leaves, err := request.Elements("leaves", r.Leaves, -1)
	if err != nil {
		return nil, err
	}
	return rootOf(leaves, r.Depth)
}

// readRecords reads the files of all records' digests and salts.
func readRecords(digestsPath, saltsPath string) (digests, salts []byte, err error) {
	if digests, err = request.List("digests", digestsPath); err != nil {
		return nil, nil, err
	}
	salts, err = request.List("salts", saltsPath)
	return digests, salts, err
}

func rootOf(leaves []fr.Element, depth int) (any, error) {
	t, err := buildTree(leaves, depth)
	if err != nil {
		return nil, err
	}
	root := t.Root()
	return rootResult{Root: field.ScalarHex(&root), Depth: t.Depth(), Count: t.Count()}, nil
}

// buildTree builds the tree over leaves. Depth 0 means the depth for their count.
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

// Order writes the order of an epoch.
func Order(_ *server.Call, text []byte) (any, error) {
	var r struct {
		Seed  string `json:"seed"`
		Epoch uint64 `json:"epoch"`
		Count int    `json:"count"`
		Out   string `json:"out"`
	}
	if err := request.Parse(text, &r); err != nil {
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
	return map[string]any{"out": r.Out, "count": r.Count}, files.Write(r.Out, order.Bytes(a),
		files.Private)
}

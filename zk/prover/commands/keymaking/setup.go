// SPDX-License-Identifier: Apache-2.0

// Package keymaking holds the commands that make keys: the setup for development, and the ceremony.
//
// It may import package request, server and everything below them.
package keymaking

import (
	"path/filepath"
	"time"

	"provenance/zkprover/circuits"
	"provenance/zkprover/commands/request"
	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/server"
)

type setupRequest struct {
	Kind  kinds.Kind `json:"kind"`
	Slots int        `json:"slots"`
	Depth int        `json:"depth"`
	Cache string     `json:"cache"`
}

type setupResult struct {
	Key string `json:"key"`
	keys.Info
	Reused  bool    `json:"reused"`
	Seconds float64 `json:"seconds"`
}

// Setup makes a development key, or finds it in the cache.
func Setup(call *server.Call, text []byte) (any, error) {
	var r setupRequest
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	if r.Cache == "" {
		return nil, fault.New(fault.BadRequest, "cache: no folder named")
	}
	if r.Kind == kinds.Epoch {
		r.Depth = 0
	}
	begin := time.Now()
	call.Progress("setup of %s with %d slots", r.Kind, r.Slots)
	dir, reused, err := keys.Setup(circuits.Shape{Kind: r.Kind, Slots: r.Slots, Depth: r.Depth},
		r.Cache)
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
	return setupResult{Key: dir, Info: *info, Reused: reused, Seconds: request.Since(begin)}, nil
}

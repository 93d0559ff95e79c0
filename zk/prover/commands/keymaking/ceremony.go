// SPDX-License-Identifier: Apache-2.0

package keymaking

import (
	"path/filepath"

	"provenance/zkprover/ceremony"
	"provenance/zkprover/circuits"
	"provenance/zkprover/commands/request"
	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/server"
)

// CeremonyBegin starts a transcript.
func CeremonyBegin(_ *server.Call, text []byte) (any, error) {
	var r struct {
		Kind  kinds.Kind `json:"kind"`
		Slots int        `json:"slots"`
		Depth int        `json:"depth"`
		Dir   string     `json:"dir"`
	}
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	if err := request.Require(map[string]string{"dir": r.Dir}); err != nil {
		return nil, err
	}
	return ceremony.Begin(circuits.Shape{Kind: r.Kind, Slots: r.Slots, Depth: r.Depth}, r.Dir)
}

// CeremonyContribute adds to a state file.
func CeremonyContribute(_ *server.Call, text []byte) (any, error) {
	var r struct {
		In   string `json:"in"`
		Out  string `json:"out"`
		Name string `json:"name"`
	}
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	if err := request.Require(map[string]string{"in": r.In, "out": r.Out}); err != nil {
		return nil, err
	}
	return ceremony.Contribute(r.In, r.Out, r.Name)
}

// CeremonyAccept takes a contribution into the transcript.
func CeremonyAccept(_ *server.Call, text []byte) (any, error) {
	var r struct {
		Dir  string `json:"dir"`
		File string `json:"file"`
	}
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	if err := request.Require(map[string]string{"dir": r.Dir, "file": r.File}); err != nil {
		return nil, err
	}
	return ceremony.Accept(r.Dir, r.File)
}

// ceremonyResult has only the closed phase while the ceremony goes on. Attested, which only a
// verification gives, counts the attested contributions of each phase.
type ceremonyResult struct {
	Closed     int                `json:"closed"`
	Attested   *[2]int            `json:"attested,omitempty"`
	Transcript string             `json:"transcript,omitempty"`
	Manifest   *ceremony.Manifest `json:"manifest,omitempty"`
	Key        string             `json:"key,omitempty"`
	VKID       string             `json:"vkId,omitempty"`
}

func finished(result *ceremony.Result, dir string) (*ceremonyResult, error) {
	if dir != "" {
		var err error
		if dir, err = filepath.Abs(dir); err != nil {
			return nil, fault.New(fault.BadFile, "%v", err)
		}
	}
	return &ceremonyResult{Closed: 2, Transcript: result.Manifest.Digest(),
		Manifest: result.Manifest, Key: dir,
		VKID: result.Material.Verifying.ID().Hex()}, nil
}

// CeremonySeal closes the open phase; closing phase 2 writes the key into the cache.
func CeremonySeal(_ *server.Call, text []byte) (any, error) {
	var r struct {
		Dir     string      `json:"dir"`
		Minimum int         `json:"minimum"`
		Beacon  keys.Beacon `json:"beacon"`
		Cache   string      `json:"cache"`
	}
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	if err := request.Require(map[string]string{"dir": r.Dir, "cache": r.Cache}); err != nil {
		return nil, err
	}
	result, err := ceremony.Seal(r.Dir, r.Minimum, r.Beacon)
	if err != nil {
		return nil, err
	}
	if result == nil {
		return ceremonyResult{Closed: 1}, nil
	}
	dir, _, err := result.Store(r.Cache)
	if err != nil {
		return nil, err
	}
	return finished(result, dir)
}

// CeremonyVerify recomputes a closed ceremony. If the request names a key, that folder must hold
// the key that follows from the transcript. If it names a cache, the key is written there.
func CeremonyVerify(_ *server.Call, text []byte) (any, error) {
	var r struct {
		Dir      string   `json:"dir"`
		Minimum  int      `json:"minimum"`
		Attested []string `json:"attested"`
		Key      string   `json:"key"`
		Cache    string   `json:"cache"`
	}
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	if err := request.Require(map[string]string{"dir": r.Dir}); err != nil {
		return nil, err
	}
	result, err := ceremony.Verify(r.Dir, r.Minimum, r.Attested)
	if err != nil {
		return nil, err
	}
	if r.Key != "" {
		if err := result.RequireKey(r.Key); err != nil {
			return nil, err
		}
	}
	dir := r.Key
	if r.Cache != "" {
		if dir, _, err = result.Store(r.Cache); err != nil {
			return nil, err
		}
	}
	answer, err := finished(result, dir)
	if err != nil {
		return nil, err
	}
	answer.Attested = &result.Attested
	return answer, nil
}

// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"os"

	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
)

// The model of memory, in bytes, from `python benchmarks/bench_memory.py`.
const (
	processBytes       = 64 << 20
	wholePerConstraint = 1200
	proofPerConstraint = 1000
	// for each byte of the lists that a request names: the file, its elements, windows of them
	inputsPerByte = 6
	// for each byte of bases.bin: the bases, the bases times sigma, and the file while it is read
	basesPerByte = 5
	// bytes of a model's file for each byte of trees: the largest tensor's tree has 32 bytes for 16
	// pages, and a fifteenth of that for the levels above
	bytesPerTreeByte = 32
)

// need is the key and the memory that a job will take, predicted before it starts.
type need struct {
	key   name // empty dir: no key
	bytes int64
	job   int64 // without the key
	proof int64 // part of job: what one proof takes
}

// fields are the fields of a request that name a key or a list.
type fields struct {
	Key     string `json:"key"`
	Leaves  string `json:"leaves"`
	Used    string `json:"used"`
	Order   string `json:"order"`
	Values  string `json:"values"`
	Digests string `json:"digests"`
	Salts   string `json:"salts"`
	Bases   string `json:"bases"`
	File    string `json:"file"`
	Base    stored `json:"base"`
	Merged  stored `json:"merged"`
	Adapter stored `json:"adapter"`

	Files []string `json:"files"`
}

// stored names the file of a tensor, or of a pair of tensors.
type stored struct {
	File string `json:"file"`
}

// predict reads the facts of the key that a request names, and the sizes of its lists. It ignores
// what is missing or wrong: the command itself reports that.
func predict(command Command, text []byte) (need, error) {
	var f fields
	if err := json.Unmarshal(text, &f); err != nil {
		return need{}, fault.New(fault.BadRequest, "request: %v", err)
	}
	var n need
	for _, path := range []string{f.Leaves, f.Used, f.Order, f.Values, f.Digests,
		f.Salts, f.Bases} {
		n.job += inputsPerByte * size(path)
	}
	for _, path := range []string{f.File, f.Base.File, f.Merged.File, f.Adapter.File,
		f.Adapter.File} {
		n.job += size(path) / bytesPerTreeByte
	}
	largest := int64(0) // the trees of "files" are built one after the other
	for _, path := range f.Files {
		largest = max(largest, size(path))
	}
	n.job += largest / bytesPerTreeByte
	if command.Key == "" || f.Key == "" {
		return n, nil
	}
	info, err := keys.LoadInfo(f.Key)
	if err != nil {
		return need{}, err
	}
	n.key = name{f.Key, info.VKID, command.Key}
	n.bytes = keyBytes(info, f.Key, command.Key)
	if command.Proves {
		n.proof = proofPerConstraint * int64(info.Constraints)
		n.job += n.proof
	}
	return n, nil
}

// size is the size of a file; 0 if there is none.
func size(path string) int64 {
	if path == "" {
		return 0
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func keyBytes(info *keys.Info, dir string, part keys.Part) int64 {
	if part == keys.PartWhole {
		return wholePerConstraint * int64(info.Constraints)
	}
	// a key without bases is refused when it is loaded
	return basesPerByte * size(dir+"/"+keys.FileBases)
}

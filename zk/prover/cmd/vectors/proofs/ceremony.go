// SPDX-License-Identifier: Apache-2.0

package proofs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"provenance/zkprover/ceremony"
	"provenance/zkprover/circuits"
	"provenance/zkprover/keys"
)

// ceremonyKey is the key of a ceremony with two contributions in each phase. Nobody may trust it:
// all of them are made here.
func ceremonyKey(shape circuits.Shape) (*keys.Key, error) {
	folder, err := os.MkdirTemp("", "vectors-ceremony-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	dir := filepath.Join(folder, "transcript")
	if _, err := ceremony.Begin(shape, dir); err != nil {
		return nil, err
	}
	var result *ceremony.Result
	for phase := 1; phase <= 2; phase++ {
		for i := range 2 {
			if err := contribute(dir, phase, i); err != nil {
				return nil, err
			}
		}
		beacon := keys.Beacon{Value: strings.Repeat(fmt.Sprintf("%02x", phase), 32),
			Source: "none: this key is for test vectors"}
		if result, err = ceremony.Seal(dir, 2, beacon); err != nil {
			return nil, err
		}
	}
	key, _, err := result.Store(filepath.Join(folder, "cache"))
	if err != nil {
		return nil, err
	}
	return keys.Load(key)
}

func contribute(dir string, phase, index int) error {
	in := filepath.Join(dir, fmt.Sprintf("phase%d-%03d.bin", phase, index))
	out := filepath.Join(dir, ".mine")
	defer os.Remove(out)
	if _, err := ceremony.Contribute(in, out, fmt.Sprint("party ", index+1)); err != nil {
		return err
	}
	_, err := ceremony.Accept(dir, out)
	return err
}

// SPDX-License-Identifier: Apache-2.0

// Command vectors writes the shared test vectors of this module.
//
//	go run ./cmd/vectors [-out FOLDER]            poseidon.json, order.json, tree.json,
//	                                              bad_keys.json, bad_bases.json, bad_proofs.json,
//	                                              batch.json
//	go run ./cmd/vectors -proofs [-cache FOLDER]  groth16_*.json: by hand only, since setups and
//	                                              proofs are random and the files are frozen
//	go run ./cmd/vectors -expand FOLDER           mutations_*.json there, from mutations.json and
//	                                              the frozen proofs
//	go run ./cmd/vectors -gnark FILE              gnark's Solidity verifier of the frozen tree
//	                                              key, for a differential test
//
// Every file but those of -proofs is the same on every run.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/consensys/gnark/logger"

	"provenance/zkprover/cmd/vectors/frozen"
	"provenance/zkprover/cmd/vectors/mutations"
	"provenance/zkprover/cmd/vectors/plain"
	"provenance/zkprover/cmd/vectors/proofs"
	"provenance/zkprover/kinds"
)

func main() {
	logger.Disable() // gnark logs to stdout
	out := flag.String("out", "../../tests/vectors/zk", "folder to write to")
	prove := flag.Bool("proofs", false, "write the proof vectors instead of the others")
	cache := flag.String("cache", filepath.Join(os.TempDir(), "zkprover-keys"),
		"key cache for -proofs")
	expand := flag.String("expand", "",
		"write the mutations of the proofs in -out to this folder instead")
	gnark := flag.String("gnark", "",
		"write gnark's Solidity verifier of the tree key in -out to this file instead")
	flag.Parse()
	var err error
	switch {
	case *gnark != "":
		err = writeGnark(*out, *gnark)
	case *expand != "":
		err = mutations.Expand(*out, *expand)
	case *prove:
		err = writeAll(*out, proofFiles(*cache))
	default:
		err = writeAll(*out, plainFiles(*out))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vectors:", err)
		os.Exit(1)
	}
}

// makers make the content of files, by name.
type makers map[string]func() (any, error)

func writeAll(out string, files makers) error {
	for name, content := range files {
		value, err := content()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := frozen.Write(filepath.Join(out, name), value); err != nil {
			return err
		}
	}
	return nil
}

func writeGnark(folder, path string) error {
	source, err := gnarkSolidity(folder)
	if err != nil {
		return err
	}
	return os.WriteFile(path, source, 0o644)
}

// plainFiles are the same on every run. Batches are made of the frozen proofs in the folder.
func plainFiles(folder string) makers {
	return makers{
		"poseidon.json":   plain.Poseidon,
		"order.json":      plain.Order,
		"tree.json":       plain.Tree,
		"bad_keys.json":   plain.BadKeys,
		"bad_bases.json":  plain.BadBases,
		"bad_proofs.json": func() (any, error) { return plain.BadProofs(folder) },
		"batch.json":      func() (any, error) { return plain.Batch(folder) },
	}
}

// proofFiles are the vectors of each statement, with keys from a cache folder.
func proofFiles(cache string) makers {
	files := makers{}
	for name, content := range map[string]func(cache string) (any, error){
		frozen.EpochFile:      proofs.Epoch,
		frozen.TreeFile:       proofs.Tree,
		frozen.CeremonyFile:   proofs.Ceremony,
		"groth16_sorted.json": proofs.Sorted,
		"groth16_member.json": proofs.Member,
		"groth16_absent.json": proofs.Absent,
		"groth16_merge.json":  proofs.Merge,
		"groth16_q8_0.json": func(cache string) (any, error) {
			return proofs.Quantized(cache, kinds.Q8_0)
		},
		"groth16_int8.json": func(cache string) (any, error) {
			return proofs.Quantized(cache, kinds.Int8)
		},
	} {
		files[name] = func() (any, error) { return content(cache) }
	}
	return files
}

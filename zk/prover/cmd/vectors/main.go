// SPDX-License-Identifier: Apache-2.0

// Command vectors writes the shared test vectors of this module.
//
//	go run ./cmd/vectors [-out FOLDER]            poseidon.json, order.json, tree.json, bad_keys.json, batch.json: the
//	                                              same bytes on every run
//	go run ./cmd/vectors -proofs [-cache FOLDER]  groth16_*.json: by hand only, since setups and proofs are random and
//	                                              the files are frozen
//	go run ./cmd/vectors -expand FOLDER           mutations_*.json there, from mutations.json and the frozen proofs: the
//	                                              same bytes on every run
//	go run ./cmd/vectors -gnark FILE              gnark's Solidity verifier of the frozen tree key, for a differential test
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/logger"

	"provenance/zkprover/circuits"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
)

func main() {
	logger.Disable() // gnark logs to stdout
	out := flag.String("out", "../../tests/vectors/zk", "folder to write to")
	proofs := flag.Bool("proofs", false, "write the proof vectors instead of the others")
	cache := flag.String("cache", filepath.Join(os.TempDir(), "zkprover-keys"), "key cache for -proofs")
	expand := flag.String("expand", "", "write the mutations of the proof vectors in -out to this folder instead")
	gnark := flag.String("gnark", "", "write gnark's Solidity verifier of the tree key in -out to this file instead")
	flag.Parse()
	err := func() error {
		if *gnark != "" {
			return writeGnark(*out, *gnark)
		}
		if *expand != "" {
			return expandAll(*out, *expand)
		}
		return run(*out, *cache, *out, *proofs)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vectors:", err)
		os.Exit(1)
	}
}

// run writes the files to `out`; batches are made of the frozen proofs in the folder `frozen`.
func run(out, cache, frozen string, proofs bool) error {
	files := map[string]func() (any, error){
		"poseidon.json": poseidonVectors,
		"order.json":    orderVectors,
		"tree.json":     treeVectors,
		"bad_keys.json": badKeyVectors,
		"batch.json":    func() (any, error) { return batchVectors(frozen) },
	}
	if proofs {
		files = proofFiles(cache)
	}
	for name, make := range files {
		value, err := make()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := write(filepath.Join(out, name), value); err != nil {
			return err
		}
	}
	return nil
}

func writeGnark(frozen, path string) error {
	source, err := gnarkSolidity(frozen)
	if err != nil {
		return err
	}
	return os.WriteFile(path, source, 0o644)
}

// proofFiles are the vectors of each statement.
func proofFiles(cache string) map[string]func() (any, error) {
	files := map[string]func() (any, error){}
	for name, make := range map[string]func(cache string) (any, error){
		"epoch256": epochProofVectors, "tree256": treeProofVectors, "sorted": sortedProofVectors, "member": memberProofVectors,
		"absent": absentProofVectors, "merge": mergeProofVectors,
		"q8_0": func(cache string) (any, error) { return quantizedProofVectors(cache, circuits.KindQ8_0) },
		"int8": func(cache string) (any, error) { return quantizedProofVectors(cache, circuits.KindInt8) },
	} {
		files["groth16_"+name+".json"] = func() (any, error) { return make(cache) }
	}
	return files
}

// wordsHex is the verifying key as it stands in a file.
func wordsHex(key *keys.Key) string { return "0x" + hex.EncodeToString(key.Verifying.Bytes()) }

// write puts one case per line, which keeps diffs readable.
func write(path string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	text = bytes.ReplaceAll(text, []byte(`},{"name"`), []byte("},\n{\"name\""))
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// draw is SHA256(text), the source of everything that looks random here.
func draw(format string, args ...any) [32]byte {
	return sha256.Sum256([]byte("provenance vectors: " + fmt.Sprintf(format, args...)))
}

// drawScalar is the draw reduced modulo r.
func drawScalar(format string, args ...any) fr.Element {
	digest := draw(format, args...)
	var e fr.Element
	e.SetBytes(digest[:])
	return e
}

func scalarHexes(elements []fr.Element) []string {
	out := make([]string, len(elements))
	for i := range elements {
		out[i] = field.ScalarHex(&elements[i])
	}
	return out
}

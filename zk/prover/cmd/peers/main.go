// SPDX-License-Identifier: Apache-2.0

// Command peers proves one `tree` statement with gnark and writes circuit and witness for other
// Groth16 provers.
//
//	go run ./cmd/peers -out FOLDER [-slots 256] [-repeat 5]
//
// It writes circuit.r1cs, witness.wtns and public.json to FOLDER. It prints one JSON object: the
// numbers of constraints and inputs, and the seconds that each of gnark's proofs took to solve and
// to prove, with key and circuit in memory.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"
	"github.com/consensys/gnark/backend/witness"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/logger"

	"provenance/zkprover/circuits"
	"provenance/zkprover/internal/iden3"
	"provenance/zkprover/kinds"
	"provenance/zkprover/prove/dataset"
	"provenance/zkprover/statement"
	"provenance/zkprover/tree"
)

func main() {
	logger.Disable() // gnark logs to stdout
	out := flag.String("out", "", "folder to write to")
	slots := flag.Int("slots", 256, "leaves of the chunk: 256 or 4096")
	repeat := flag.Int("repeat", 5, "proofs to time; 0 makes no key")
	flag.Parse()
	shape := circuits.Shape{Kind: kinds.Tree, Slots: *slots, Depth: tree.MinDepth}
	if err := run(*out, shape, *repeat); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(out string, shape circuits.Shape, repeat int) error {
	system, err := circuits.Compile(shape)
	if err != nil {
		return err
	}
	full, err := sample(shape)
	if err != nil {
		return err
	}
	solved, err := system.Solve(full)
	if err != nil {
		return err
	}
	values := solved.(*cs.R1CSSolution).W
	if err := writeAll(out, system, values); err != nil {
		return err
	}
	seconds, err := timed(system, full, repeat)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"circuit": shape.Kind, "slots": shape.Slots, "constraints": system.GetNbConstraints(),
		"public": system.GetNbPublicVariables() - 1, "seconds": seconds,
	})
}

// sample is a statement about a full chunk of leaves 1, 2, ..
func sample(shape circuits.Shape) (witness.Witness, error) {
	leaves := make([]fr.Element, shape.Slots)
	for i := range leaves {
		leaves[i].SetUint64(uint64(i + 1))
	}
	built, err := tree.New(leaves, shape.Depth)
	if err != nil {
		return nil, err
	}
	challenge := statement.Challenge{Gamma: leaves[7], Delta: leaves[11]}
	return frontend.NewWitness(dataset.TreeAssignment(built, 0, shape.Slots, challenge),
		ecc.BN254.ScalarField())
}

func writeAll(out string, system *cs.R1CS, values fr.Vector) error {
	public := make([]string, system.GetNbPublicVariables()-1)
	for i := range public {
		public[i] = values[i+1].String()
	}
	text, err := json.Marshal(public)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "public.json"), text, 0o644); err != nil {
		return err
	}
	for name, write := range map[string]func(*os.File) error{
		"circuit.r1cs": func(f *os.File) error { return iden3.WriteR1CS(f, system) },
		"witness.wtns": func(f *os.File) error { return iden3.WriteWitness(f, values) },
	} {
		file, err := os.Create(filepath.Join(out, name))
		if err != nil {
			return err
		}
		if err := write(file); err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

// timed makes a key of its own and proves.
func timed(system *cs.R1CS, full witness.Witness, repeat int) ([]float64, error) {
	seconds := make([]float64, 0, repeat)
	if repeat == 0 {
		return seconds, nil
	}
	pk, vk := new(groth16.ProvingKey), new(groth16.VerifyingKey)
	if err := groth16.Setup(system, pk, vk); err != nil {
		return nil, err
	}
	public, err := full.Public()
	if err != nil {
		return nil, err
	}
	for range repeat {
		begin := time.Now()
		proof, err := groth16.Prove(system, pk, full)
		if err != nil {
			return nil, err
		}
		seconds = append(seconds, time.Since(begin).Seconds())
		if err := groth16.Verify(proof, vk, public.Vector().(fr.Vector)); err != nil {
			return nil, err
		}
	}
	return seconds, nil
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"

	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"provenance/zkprover/cmd/vectors/frozen"
)

// gnarkSolidity is gnark's own Solidity verifier for the key of the frozen tree proofs. Tests
// compare it with the contracts; it is never shipped. gnark's export is right only for circuits
// without commitments, so keys with commitments are refused.
func gnarkSolidity(folder string) ([]byte, error) {
	_, key, err := frozen.Load(folder, frozen.TreeFile)
	if err != nil {
		return nil, err
	}
	if len(key.Knowledge) != 0 {
		return nil, fmt.Errorf("a key with %d commitments has no such verifier", len(key.Knowledge))
	}
	var vk groth16.VerifyingKey
	vk.G1.Alpha, vk.G1.K = key.Alpha, key.IC
	vk.G2.Beta.Neg(&key.BetaNeg)
	vk.G2.Gamma.Neg(&key.GammaNeg)
	vk.G2.Delta.Neg(&key.DeltaNeg)
	if err := vk.Precompute(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = vk.ExportSolidity(&out)
	return out.Bytes(), err
}

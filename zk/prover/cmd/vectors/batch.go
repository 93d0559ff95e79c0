// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/sha3"

	"provenance/zkprover/proof"
)

// batchCase is a batch of frozen proofs, named by their cases, with the weights of its equations: one row for each proof, its
// main equation first and then the knowledge of each commitment.
type batchCase struct {
	Name    string     `json:"name"`
	File    string     `json:"file"`
	Mask    int        `json:"mask"`
	Proofs  []string   `json:"proofs"`
	Seed    string     `json:"seed"`
	Weights [][]string `json:"weights"`
	Valid   bool       `json:"valid"`
}

// frozenProofs are the parts of a groth16_*.json that batches take.
type frozenProofs struct {
	VKID  string `json:"vkId"`
	Cases []struct {
		Name  string     `json:"name"`
		Proof proof.JSON `json:"proof"`
	} `json:"cases"`
}

// batchVectors gives batches of the frozen proofs, which must lie in the folder, and their weights.
//
// Source: docs/formats/proofs.md, "Batches".
func batchVectors(folder string) (any, error) {
	const epoch, tree = "groth16_epoch256.json", "groth16_tree256.json"
	cases := []batchCase{
		{Name: "one epoch chunk", File: epoch, Mask: 6, Proofs: []string{"epoch chunk 0"}, Valid: true},
		{Name: "two epoch chunks", File: epoch, Mask: 6, Proofs: []string{"epoch chunk 0", "epoch chunk 1"}, Valid: true},
		{Name: "in the other order", File: epoch, Mask: 7, Proofs: []string{"epoch chunk 1", "epoch chunk 0"}, Valid: true},
		{Name: "a proof and its twin", File: epoch, Mask: 7, Proofs: []string{"epoch chunk 0", "epoch: (-A, -B, C)"}, Valid: true},
		{Name: "D + X and P - X", File: epoch, Mask: 6, Proofs: []string{"epoch chunk 1", "epoch: D and P + X and - X"}},
		{Name: "poks shifted", File: epoch, Mask: 6, Proofs: []string{"epoch: U and P: pok + X and pok - X", "epoch chunk 1"}},
		{Name: "forged with D unchecked", File: epoch, Mask: 6, Proofs: []string{"epoch chunk 0", "forgery by D, unchecked"}, Valid: true},
		{Name: "forged with D checked", File: epoch, Mask: 7, Proofs: []string{"epoch chunk 0", "forgery by D, unchecked"}},
		{Name: "two tree chunks", File: tree, Proofs: []string{"tree chunk 0", "tree chunk 1, the last"}, Valid: true},
		{Name: "inputs of another chunk", File: tree, Proofs: []string{"tree chunk 0", "chunk 0: public inputs of chunk 1"}},
	}
	for i := range cases {
		if err := cases[i].weigh(folder); err != nil {
			return nil, fmt.Errorf("%s: %w", cases[i].Name, err)
		}
	}
	return map[string]any{"cases": cases}, nil
}

func (c *batchCase) weigh(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, c.File))
	if err != nil {
		return err
	}
	var frozen frozenProofs
	if err := json.Unmarshal(text, &frozen); err != nil {
		return err
	}
	preimage, equations := frozen.VKID, 0
	for _, name := range c.Proofs {
		words, commitments, err := frozen.words(name)
		if err != nil {
			return err
		}
		preimage, equations = preimage+words, 1+commitments
	}
	seed, err := hex.DecodeString(strings.ReplaceAll(preimage, "0x", ""))
	if err != nil {
		return err
	}
	seed = keccak(seed)
	c.Seed = "0x" + hex.EncodeToString(seed)
	for j := range c.Proofs {
		row := make([]string, equations)
		for e := range row {
			row[e] = weight(seed, j*equations+e)
		}
		c.Weights = append(c.Weights, row)
	}
	return nil
}

// words are those of one proof, in the order of the preimage.
func (f *frozenProofs) words(name string) (words string, commitments int, err error) {
	for i := range f.Cases {
		if p := &f.Cases[i].Proof; f.Cases[i].Name == name {
			list := append(append(append([]string{}, p.A...), p.B...), p.C...)
			for _, point := range append(append([][]string{}, p.Commitments...), p.Poks...) {
				list = append(list, point...)
			}
			return strings.Join(append(list, p.Public...), ""), len(p.Commitments), nil
		}
	}
	return "", 0, fmt.Errorf("no proof is called %q", name)
}

// weight is the first half of keccak256(seed || i), 1 if that is zero.
func weight(seed []byte, i int) string {
	var index [32]byte
	binary.BigEndian.PutUint64(index[24:], uint64(i))
	w := new(big.Int).SetBytes(keccak(append(append([]byte{}, seed...), index[:]...))[:16])
	if w.Sign() == 0 {
		w.SetUint64(1)
	}
	return fmt.Sprintf("0x%032x", w)
}

func keccak(data []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	h.Write(data)
	return h.Sum(nil)
}

// SPDX-License-Identifier: Apache-2.0

package plain

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"provenance/zkprover/cmd/vectors/frozen"
	"provenance/zkprover/field"
	"provenance/zkprover/proof"
)

// batchCase is a batch of frozen proofs, named by their cases, with the weights of its equations:
// one row for each proof, its main equation first and then the knowledge of each commitment.
type batchCase struct {
	Name    string     `json:"name"`
	File    string     `json:"file"`
	Mask    int        `json:"mask"`
	Proofs  []string   `json:"proofs"`
	Seed    string     `json:"seed"`
	Weights [][]string `json:"weights"`
	Valid   bool       `json:"valid"`
}

// Batch gives batches of the frozen proofs, which must lie in the folder, and their weights.
//
// Source: docs/formats/proofs.md, "Batches".
func Batch(folder string) (any, error) {
	const epoch, tree = frozen.EpochFile, frozen.TreeFile
	cases := []batchCase{
		{Name: "one epoch chunk", File: epoch, Mask: 6,
			Proofs: []string{"epoch chunk 0"}, Valid: true},
		{Name: "two epoch chunks", File: epoch, Mask: 6,
			Proofs: []string{"epoch chunk 0", "epoch chunk 1"}, Valid: true},
		{Name: "in the other order", File: epoch, Mask: 7,
			Proofs: []string{"epoch chunk 1", "epoch chunk 0"}, Valid: true},
		{Name: "a proof and its twin", File: epoch, Mask: 7,
			Proofs: []string{"epoch chunk 0", "epoch: (-A, -B, C)"}, Valid: true},
		{Name: "D + X and P - X", File: epoch, Mask: 6,
			Proofs: []string{"epoch chunk 1", "epoch: D and P + X and - X"}},
		{Name: "poks shifted", File: epoch, Mask: 6,
			Proofs: []string{"epoch: U and P: pok + X and pok - X", "epoch chunk 1"}},
		{Name: "forged with D unchecked", File: epoch, Mask: 6,
			Proofs: []string{"epoch chunk 0", "forgery by D, unchecked"}, Valid: true},
		{Name: "forged with D checked", File: epoch, Mask: 7,
			Proofs: []string{"epoch chunk 0", "forgery by D, unchecked"}},
		{Name: "two tree chunks", File: tree, Proofs: []string{"tree chunk 0",
			"tree chunk 1, the last"}, Valid: true},
		{Name: "inputs of another chunk", File: tree,
			Proofs: []string{"tree chunk 0", "chunk 0: public inputs of chunk 1"}},
	}
	for i := range cases {
		if err := cases[i].weigh(folder); err != nil {
			return nil, fmt.Errorf("%s: %w", cases[i].Name, err)
		}
	}
	return map[string]any{"cases": cases}, nil
}

// weigh computes the seed and the weights of a batch.
func (c *batchCase) weigh(folder string) error {
	file, _, err := frozen.Load(folder, c.File)
	if err != nil {
		return err
	}
	preimage, equations := file.VKID, 0
	for _, name := range c.Proofs {
		p, err := file.Proof(name)
		if err != nil {
			return err
		}
		preimage, equations = preimage+words(p), 1+len(p.Commitments)
	}
	data, err := hex.DecodeString(strings.ReplaceAll(preimage, "0x", ""))
	if err != nil {
		return err
	}
	seed := field.Keccak(data)
	c.Seed = seed.Hex()
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
func words(p *proof.JSON) string {
	list := slices.Concat(p.A, p.B, p.C)
	for _, point := range slices.Concat(p.Commitments, p.Poks) {
		list = append(list, point...)
	}
	return strings.Join(append(list, p.Public...), "")
}

// weight is the first half of keccak256(seed || i), 1 if that is zero.
func weight(seed field.Word, i int) string {
	var index field.Word
	binary.BigEndian.PutUint64(index[field.WordBytes-8:], uint64(i))
	digest := field.Keccak(append(seed[:], index[:]...))
	w := new(big.Int).SetBytes(digest[:field.WordBytes/2])
	if w.Sign() == 0 {
		w.SetUint64(1)
	}
	return fmt.Sprintf("0x%032x", w)
}

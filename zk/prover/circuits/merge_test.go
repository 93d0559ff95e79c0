// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"

	"provenance/zkprover/gadgets/bfloat16"
)

// mergeEntry is one value of the merge circuit without the trees.
type mergeEntry struct {
	Scale, Pattern frontend.Variable `gnark:",public"`
	Weight, Merged bfloat16.Number
	B, A           [8]bfloat16.Number
}

func newMergeEntry() *mergeEntry {
	c := &mergeEntry{Weight: bfloat16.Weights.Number(), Merged: bfloat16.Weights.Number()}
	for k := range c.B {
		c.B[k], c.A[k] = bfloat16.Factors.Number(), bfloat16.Factors.Number()
	}
	return c
}

func (c *mergeEntry) Define(api frontend.API) error {
	m := &merging{api: api, scale: c.Scale, faults: bfloat16.NewFaults(api)}
	api.ToBinary(c.Scale, scaleBits)
	rounded := m.result(&c.Merged)
	api.AssertIsEqual(rounded.Pattern, c.Pattern)
	a := values(c.A[:], m.factor)
	m.entry(m.weight(&c.Weight), rounded, m.scaled(values(c.B[:], m.factor)),
		func(k int) *bfloat16.Value {
			return a[k]
		})
	m.faults.Assert()
	return nil
}

// mergeCase is an entry of the shared vectors.
type mergeCase struct {
	Name   string    `json:"name"`
	Scale  uint32    `json:"scale"`
	Weight uint16    `json:"weight"`
	B      [8]uint16 `json:"b"`
	A      [8]uint16 `json:"a"`
	Merged *uint16   `json:"merged"`
}

func mergeCases(t *testing.T) []mergeCase {
	t.Helper()
	text, err := os.ReadFile("../../../tests/vectors/zk/merge.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []mergeCase `json:"cases"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Cases
}

func (c *mergeCase) assignment(merged uint16) *mergeEntry {
	e := newMergeEntry()
	e.Scale, e.Pattern = c.Scale, merged
	e.Weight.Set(c.Weight, bfloat16.Weights)
	e.Merged.Set(merged, bfloat16.Weights)
	for k := range c.B {
		e.B[k].Set(c.B[k], bfloat16.Factors)
		e.A[k].Set(c.A[k], bfloat16.Factors)
	}
	return e
}

func compileEntry(t *testing.T) *cs.R1CS {
	t.Helper()
	system, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, newMergeEntry())
	if err != nil {
		t.Fatal(err)
	}
	return system.(*cs.R1CS)
}

func entryError(t *testing.T, system *cs.R1CS, assignment *mergeEntry) error {
	t.Helper()
	witness, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	_, err = system.Solve(witness)
	return err
}

// neighbours are patterns that a wrong rounding would give, and some drawn ones.
func (c *mergeCase) neighbours() []uint16 {
	out := []uint16{0, 0x8000, c.Weight, c.Weight ^ 0x8000}
	around := c.Weight
	if c.Merged != nil {
		around = *c.Merged
	}
	for step := uint16(1); step <= 2; step++ {
		out = append(out, around+step, around-step)
	}
	out = append(out, around^0x8000, around+128, around-128, around&^127, around|127)
	for range 6 {
		out = append(out, uint16(rand.Uint32()))
	}
	return out
}

// In every case only the exact result has a witness; its neighbours, and results outside the
// window, have none.
func TestMergeEntries(t *testing.T) {
	system := compileEntry(t)
	for _, c := range mergeCases(t) {
		if c.Merged != nil {
			if err := entryError(t, system, c.assignment(*c.Merged)); err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
		for _, pattern := range c.neighbours() {
			if (c.Merged != nil && pattern == *c.Merged) || !bfloat16.Weights.Holds(pattern) {
				continue
			}
			if entryError(t, system, c.assignment(pattern)) == nil {
				t.Errorf("%s: %#04x was shown", c.Name, pattern)
			}
		}
	}
}

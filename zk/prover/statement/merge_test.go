// SPDX-License-Identifier: Apache-2.0

package statement_test

import (
	"testing"

	"provenance/zkprover/gadgets/bfloat16"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/statement"
)

func TestMergedValues(t *testing.T) {
	var file struct {
		Cases []struct {
			Name   string   `json:"name"`
			Scale  uint64   `json:"scale"`
			Weight uint16   `json:"weight"`
			B      []uint16 `json:"b"`
			A      []uint16 `json:"a"`
			Merged *uint16  `json:"merged"`
		} `json:"cases"`
	}
	fixture.Vectors(t, "merge.json", &file)
	outside := 0
	for _, c := range file.Cases {
		got := statement.MergedValue(c.Weight, c.Scale, c.B, c.A)
		switch {
		case c.Merged == nil && bfloat16.Weights.Holds(got), c.Merged != nil && got != *c.Merged:
			t.Errorf("%s: %#04x", c.Name, got)
		case c.Merged == nil:
			outside++
		}
	}
	if len(file.Cases) < 600 || outside < 15 {
		t.Errorf("%d cases, %d of them outside the window", len(file.Cases), outside)
	}
}

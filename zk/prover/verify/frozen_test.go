// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"

	"provenance/zkprover/field"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/order"
	"provenance/zkprover/proof"
	"provenance/zkprover/statement"
	"provenance/zkprover/tree"
	"provenance/zkprover/verify"
)

type vectorFile struct {
	Words     string
	BasesP    string
	Statement struct {
		Root         string
		Count, Slots int
		Gamma, Delta string
		Leaves       []string
		Order        []uint64
	}
	Cases []struct {
		Name  string
		Proof json.RawMessage
		Mask  verify.Mask
		Valid bool
	}
}

func loadVectors(t *testing.T, name string) (*vectorFile, *keys.Verifying) {
	t.Helper()
	var file vectorFile
	fixture.Vectors(t, name, &file)
	vk, err := keys.Parse(unhex(t, file.Words))
	if err != nil {
		t.Fatal(err)
	}
	return &file, vk
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text[2:])
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Old proofs verify and old forgeries do not, with the code of today.
func TestFrozenVectors(t *testing.T) {
	least := map[string]int{"groth16_epoch256.json": 150, "groth16_tree256.json": 100}
	for _, kind := range kinds.All() {
		if kind != kinds.Epoch && kind != kinds.Tree {
			least[fmt.Sprintf("groth16_%s.json", kind)] = 15
		}
	}
	for name, least := range least {
		file, vk := loadVectors(t, name)
		if len(file.Cases) < least {
			t.Errorf("%s has %d cases", name, len(file.Cases))
		}
		for _, c := range file.Cases {
			p, err := proof.Parse(c.Proof)
			if err == nil {
				err = verify.Verify(vk, p, c.Mask)
			}
			if (err == nil) != c.Valid {
				t.Errorf("%s: %s: valid %v, got %v", name, c.Name, c.Valid, err)
			}
		}
	}
}

// The frozen proofs' public inputs and P are what their statement says.
func TestFrozenStatement(t *testing.T) {
	file, vk := loadVectors(t, "groth16_epoch256.json")
	s := &file.Statement
	leaves, err := field.ParseScalars(unhex(t, "0x"+joined(s.Leaves)))
	if err != nil {
		t.Fatal(err)
	}
	inverse, err := order.Invert(s.Order)
	if err != nil {
		t.Fatal(err)
	}
	bases, err := vk.ParsePositionBases(unhex(t, file.BasesP))
	if err != nil {
		t.Fatal(err)
	}
	gamma, _ := field.ParseScalar(s.Gamma)
	delta, _ := field.ParseScalar(s.Delta)
	challenge := statement.Challenge{Gamma: gamma, Delta: delta}
	for chunk := range 2 {
		p, err := proof.Parse(file.Cases[chunk].Proof)
		if err != nil {
			t.Fatal(err)
		}
		positions := statement.Positions(inverse, chunk, s.Slots)
		a := challenge.ProductAt(statement.Window(leaves, chunk, s.Slots), positions)
		point, err := keys.CommitPositions(bases, positions)
		if err != nil {
			t.Fatal(err)
		}
		if !a.Equal(&p.Public[3]) || !point.Equal(&p.Commitments[2]) {
			t.Errorf("chunk %d: a or P differs", chunk)
		}
	}
}

func joined(words []string) string {
	out := ""
	for _, w := range words {
		out += w[2:]
	}
	return out
}

// The tree of the frozen proofs is still the one of their leaves.
func TestFrozenTreeStatement(t *testing.T) {
	file, vk := loadVectors(t, "groth16_tree256.json")
	leaves, err := field.ParseScalars(unhex(t, "0x"+joined(file.Statement.Leaves)))
	if err != nil {
		t.Fatal(err)
	}
	built, err := tree.New(leaves, vk.Shape.Depth)
	if err != nil {
		t.Fatal(err)
	}
	root := built.Root()
	if got := field.ScalarHex(&root); got != file.Statement.Root {
		t.Errorf("root %s, want %s", got, file.Statement.Root)
	}
}

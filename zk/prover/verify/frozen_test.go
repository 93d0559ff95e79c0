// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"

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
	least := map[string]int{"groth16_epoch256.json": 150, "groth16_ceremony256.json": 150,
		"groth16_tree256.json": 100}
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

// Every G of the ceremony's key is the generator, and so is gamma. A contract then needs a pairing
// less, in code of its own.
func TestFrozenCeremonyKey(t *testing.T) {
	_, vk := loadVectors(t, "groth16_ceremony256.json")
	_, _, _, generator := bn254.Generators()
	gamma := new(bn254.G2Affine).Neg(&vk.GammaNeg)
	for i := range vk.Knowledge {
		if !vk.Knowledge[i].G.Equal(&generator) || !gamma.Equal(&generator) {
			t.Errorf("G of commitment %d, or gamma, is not the generator", i)
		}
	}
}

// Texts that some reader of JSON takes for a valid proof are refused.
func TestFrozenProofTexts(t *testing.T) {
	var file struct {
		Words string
		Cases []struct {
			Name, Rule string
			Text       []byte
			Valid      bool
		}
	}
	fixture.Vectors(t, "bad_proofs.json", &file)
	vk, err := keys.Parse(unhex(t, file.Words))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range file.Cases {
		p, err := proof.Parse(c.Text)
		if err == nil {
			err = verify.Verify(vk, p, verify.MaskNone)
		}
		if (err == nil) != c.Valid {
			t.Errorf("%s (%s): valid %v, got %v", c.Name, c.Rule, c.Valid, err)
		}
	}
	if len(file.Cases) < 80 {
		t.Errorf("%d cases only", len(file.Cases))
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

// SPDX-License-Identifier: Apache-2.0

// Package frozen reads and writes the vector files of proofs and their keys.
//
// It may import field, keys, proof and verify.
package frozen

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/field"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/verify"
)

// The files of the proofs that other files are made from.
const (
	EpochFile = "groth16_epoch256.json"
	TreeFile  = "groth16_tree256.json"
	// CeremonyFile has epoch proofs, too. In its key all G and gamma are the generator.
	CeremonyFile = "groth16_ceremony256.json"
)

// Case is a proof, a mask, whether the verifier must accept the proof under this mask, and why.
type Case struct {
	Name  string      `json:"name"`
	Proof proof.JSON  `json:"proof"`
	Mask  verify.Mask `json:"mask"`
	Valid bool        `json:"valid"`
	Why   string      `json:"why"`
}

// Proofs are the parts of a file of proofs that other files are made from.
type Proofs struct {
	Words string `json:"words"`
	VKID  string `json:"vkId"`
	Cases []Case `json:"cases"`
}

// Load reads a file of proofs and its verifying key.
func Load(folder, name string) (*Proofs, *keys.Verifying, error) {
	file := new(Proofs)
	if err := ReadJSON(filepath.Join(folder, name), file); err != nil {
		return nil, nil, err
	}
	words, err := hex.DecodeString(strings.TrimPrefix(file.Words, "0x"))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: words: %w", name, err)
	}
	vk, err := keys.Parse(words)
	return file, vk, err
}

// Proof is the proof of the case of this name.
func (p *Proofs) Proof(name string) (*proof.JSON, error) {
	for i := range p.Cases {
		if p.Cases[i].Name == name {
			return &p.Cases[i].Proof, nil
		}
	}
	return nil, fmt.Errorf("no case is called %q", name)
}

// ReadJSON reads a file of vectors.
func ReadJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// Write puts one case per line, which keeps diffs readable.
func Write(path string, value any) error {
	text, err := Text(value)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// Text is the content of a file, a case a line.
func Text(value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	text = bytes.ReplaceAll(text, []byte(`},{"name"`), []byte("},\n{\"name\""))
	return append(text, '\n'), nil
}

// Hex is a byte string as it stands in a file.
func Hex(data []byte) string { return "0x" + hex.EncodeToString(data) }

// Scalars are elements as they stand in a file.
func Scalars(elements []fr.Element) []string {
	out := make([]string, len(elements))
	for i := range elements {
		out[i] = field.ScalarHex(&elements[i])
	}
	return out
}

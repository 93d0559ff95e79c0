// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"provenance/zkprover/circuits"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/verify"
)

const planFile = "mutations.json"

// plan is mutations.json: which honest proofs are mutated, and how often by what is drawn.
type plan struct {
	Drawn map[string]int `json:"drawn"`
	Kinds []plannedKind  `json:"kinds"`
}

// plannedKind is one circuit; SHA256 is that of its expanded file.
type plannedKind struct {
	Kind   circuits.Kind `json:"kind"`
	File   string        `json:"file"`
	Bases  []plannedBase `json:"bases"`
	SHA256 string        `json:"sha256"`
}

// plannedBase is an honest proof, by the name of its case, and the mask under which its mutations are verified.
type plannedBase struct {
	Name string      `json:"name"`
	Mask verify.Mask `json:"mask"`
}

// expanded is the file of one circuit. A case's words are A, B, C, commitments, proofs of knowledge and public inputs.
type expanded struct {
	Kind  circuits.Kind  `json:"kind"`
	VKID  string         `json:"vkId"`
	Words string         `json:"words"`
	Cases []expandedCase `json:"cases"`
}

type expandedCase struct {
	Name  string      `json:"name"`
	Mask  verify.Mask `json:"mask"`
	Words string      `json:"words"`
	Valid bool        `json:"valid"`
}

// expandAll writes the expanded file of every kind of the plan.
func expandAll(vectors, out string) error {
	var p plan
	if err := readJSON(filepath.Join(vectors, planFile), &p); err != nil {
		return err
	}
	for _, kind := range p.Kinds {
		file, err := expand(vectors, kind, p.Drawn)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.Kind, err)
		}
		if err := write(filepath.Join(out, expandedName(kind.Kind)), file); err != nil {
			return err
		}
	}
	return nil
}

func expandedName(kind circuits.Kind) string { return fmt.Sprintf("mutations_%s.json", kind) }

// expand mutates the honest proofs of a kind. An error names the first mutation whose verdict is not the one that
// follows from how it was made.
func expand(vectors string, planned plannedKind, drawn map[string]int) (*expanded, error) {
	file, vk, err := readFrozen(filepath.Join(vectors, planned.File))
	if err != nil {
		return nil, err
	}
	honest := map[string]proof.JSON{}
	for _, c := range file.Cases {
		honest[c.Name] = c.Proof
	}
	m := &mutator{vk: vk, taken: map[string]bool{}}
	for _, base := range planned.Bases {
		wire, ok := honest[base.Name]
		if !ok {
			return nil, fmt.Errorf("%s has no case %q", planned.File, base.Name)
		}
		m.bases = append(m.bases, newVector(fmt.Sprintf("%s under mask %d", base.Name, base.Mask), wire, base.Mask))
	}
	m.run(drawn)
	return &expanded{planned.Kind, vk.ID().Hex(), file.Words, m.cases}, m.err
}

// frozen is what the mutations need of a file of proof vectors.
type frozen struct {
	Words string      `json:"words"`
	Cases []proofCase `json:"cases"`
}

func readFrozen(path string) (*frozen, *keys.Verifying, error) {
	file := new(frozen)
	if err := readJSON(path, file); err != nil {
		return nil, nil, err
	}
	words, err := hex.DecodeString(strings.TrimPrefix(file.Words, "0x"))
	if err != nil {
		return nil, nil, err
	}
	vk, err := keys.Parse(words)
	return file, vk, err
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func fileDigest(path string) (string, error) {
	text, err := os.ReadFile(path)
	digest := sha256.Sum256(text)
	return hex.EncodeToString(digest[:]), err
}

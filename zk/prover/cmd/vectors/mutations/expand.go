// SPDX-License-Identifier: Apache-2.0

// Package mutations derives thousands of false and valid proofs from the frozen honest ones, by a
// plan. They are the same on every run.
//
// It may import order, verify and what lies below them, and draw and frozen beside it.
package mutations

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"provenance/zkprover/cmd/vectors/frozen"
	"provenance/zkprover/kinds"
	"provenance/zkprover/verify"
)

const planFile = "mutations.json"

// plan is mutations.json: which honest proofs are mutated, and how often each drawn operator is
// applied.
type plan struct {
	Drawn map[string]int `json:"drawn"`
	Kinds []plannedKind  `json:"kinds"`
}

// plannedKind is one circuit; SHA256 is that of its expanded file.
type plannedKind struct {
	Kind   kinds.Kind    `json:"kind"`
	File   string        `json:"file"`
	Bases  []plannedBase `json:"bases"`
	SHA256 string        `json:"sha256"`
}

// plannedBase is an honest proof, by the name of its case, and the mask under which its mutations
// are verified.
type plannedBase struct {
	Name string      `json:"name"`
	Mask verify.Mask `json:"mask"`
}

// expanded is the file of one circuit. A case's words are A, B, C, commitments, proofs of knowledge
// and public inputs.
type expanded struct {
	Kind  kinds.Kind     `json:"kind"`
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

// Expand writes the expanded file of every kind of the plan. It asks the verifier about the
// mutations of a kind only if they are not those of the plan, whose verdicts TestMutations checks.
func Expand(vectors, out string) error {
	var p plan
	if err := frozen.ReadJSON(filepath.Join(vectors, planFile), &p); err != nil {
		return err
	}
	for _, kind := range p.Kinds {
		m, file, err := expand(vectors, kind, p.Drawn)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.Kind, err)
		}
		text, err := frozen.Text(file)
		if err != nil {
			return err
		}
		if digestOf(text) != kind.SHA256 {
			if err := m.judge(); err != nil {
				return fmt.Errorf("%s: %w", kind.Kind, err)
			}
		}
		path := filepath.Join(out, expandedName(kind.Kind))
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func digestOf(text []byte) string {
	digest := sha256.Sum256(text)
	return hex.EncodeToString(digest[:])
}

func expandedName(kind kinds.Kind) string { return fmt.Sprintf("mutations_%s.json", kind) }

// expand mutates the honest proofs of a kind.
func expand(
	vectors string, planned plannedKind, drawn map[string]int,
) (*mutator, *expanded, error) {
	file, vk, err := frozen.Load(vectors, planned.File)
	if err != nil {
		return nil, nil, err
	}
	m := &mutator{vk: vk, taken: map[string]bool{}}
	for _, base := range planned.Bases {
		wire, err := file.Proof(base.Name)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", planned.File, err)
		}
		name := fmt.Sprintf("%s under mask %d", base.Name, base.Mask)
		m.bases = append(m.bases, newVector(name, wire, base.Mask))
	}
	m.run(drawn)
	return m, &expanded{planned.Kind, vk.ID().Hex(), file.Words, m.cases}, m.err
}

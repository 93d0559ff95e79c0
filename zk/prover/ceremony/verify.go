// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"

	"github.com/consensys/gnark/backend/groth16/bn254/mpcsetup"

	"provenance/zkprover/fault"
	"provenance/zkprover/files"
	"provenance/zkprover/keys"
)

// Result is a verified ceremony and the key that follows from it. Attested counts the contributions
// of phase 1 and of phase 2 that the caller attested. A phase without one shows nothing to a caller
// who knows none of its other contributors: all of them may be one person.
type Result struct {
	Manifest *Manifest
	Material *keys.Material
	Attested [2]int
}

// Beacon is the one that closed the ceremony.
func (r *Result) Beacon() keys.Beacon { return *r.Manifest.Phase2.Beacon }

// Store writes the key folder into a cache.
func (r *Result) Store(cache string) (dir string, reused bool, err error) {
	return keys.StoreCeremony(r.Material, r.Manifest.Digest(), r.Beacon(), cache)
}

// RequireKey refuses a key folder that is not the one that follows from the transcript.
func (r *Result) RequireKey(dir string) error {
	return keys.RequireSame(r.Material, r.Manifest.Digest(), r.Beacon(), dir)
}

// Verify recomputes a closed ceremony from the folder's files, all of them attacker-controlled, and
// returns the key. It refuses (bad_file) a contribution that does not follow from the one before,
// fewer than minimum contributions in a phase, and a transcript without one of the attested
// contributions (SHA-256 of their files, in hexadecimal).
func Verify(dir string, minimum int, attested []string) (*Result, error) {
	if minimum < MinContributions {
		return nil, fault.Differs(fault.BadRequest, "minimum of contributions",
			MinContributions, minimum)
	}
	m, circuit, err := loadManifest(dir)
	if err != nil {
		return nil, err
	}
	if number := m.open(); number != 0 {
		return nil, fault.New(fault.BadFile, "phase %d of the ceremony is not closed", number)
	}
	for number := phase1; number <= phase2; number++ {
		if err := m.requireContributions(number, minimum); err != nil {
			return nil, err
		}
	}
	counts, err := m.countAttested(attested)
	if err != nil {
		return nil, err
	}
	if err := m.requireFiles(dir); err != nil {
		return nil, err
	}
	result, err := recompute(dir, m, circuit)
	if err != nil {
		return nil, err
	}
	result.Attested = counts
	return result, nil
}

func (m *Manifest) requireContributions(number, minimum int) error {
	if got := len(m.phase(number).Contributions); got < minimum {
		return fault.Differs(fault.BadFile, fmt.Sprintf("contributions of phase %d", number),
			fmt.Sprintf("at least %d", minimum), got)
	}
	return nil
}

// countAttested counts the attested contributions of each phase. It refuses (bad_file) a digest
// that no contribution has.
func (m *Manifest) countAttested(attested []string) (counts [2]int, err error) {
	missing := map[string]bool{}
	for _, digest := range attested {
		missing[digest] = true
	}
	for i, p := range []Phase{m.Phase1, m.Phase2} {
		for _, c := range p.Contributions {
			if missing[c.SHA256] {
				counts[i]++
				delete(missing, c.SHA256)
			}
		}
	}
	for _, digest := range attested {
		if missing[digest] {
			return counts, fault.Differs(fault.BadFile, "contributions of the transcript",
				"one with SHA-256 "+digest, "none")
		}
	}
	return counts, nil
}

func recompute(dir string, m *Manifest, circuit *keys.Circuit) (*Result, error) {
	commons, err := verifyPhase1(dir, m, circuit)
	if err != nil {
		return nil, err
	}
	start, evaluations := newSecondPhase(circuit, commons)
	last, err := verifyPhase(dir, m, circuit, phase2, start)
	if err != nil {
		return nil, err
	}
	pk, vk := last.(*secondPhase).seal(commons, evaluations, beaconValue(m.Phase2.Beacon))
	material, err := circuit.Material(pk, vk)
	if err != nil {
		return nil, err
	}
	return &Result{Manifest: m, Material: material}, nil
}

// verifyPhase1 verifies phase 1 and returns its parameters after the beacon.
func verifyPhase1(dir string, m *Manifest, circuit *keys.Circuit) (*mpcsetup.SrsCommons, error) {
	last, err := verifyPhase(dir, m, circuit, phase1, mpcsetup.NewPhase1(uint64(domain(circuit))))
	if err != nil {
		return nil, err
	}
	commons := last.(*mpcsetup.Phase1).Seal(beaconValue(m.Phase1.Beacon))
	return &commons, nil
}

// verifyPhase verifies all contributions of a phase, beginning with its start, which the caller
// computed. It returns the last state.
func verifyPhase(
	dir string, m *Manifest, circuit *keys.Circuit, number int, start state,
) (state, error) {
	payload := encode(start)
	want := header{phase: number, shape: circuit.Shape, circuit: circuit.Digest}
	if err := requireStart(dir, number, append(want.encode(), payload...)); err != nil {
		return nil, err
	}
	previous, digest := start, sha256.Sum256(payload)
	seen := map[string]bool{}
	for i, c := range m.phase(number).Contributions {
		next, err := load(filepath.Join(dir, fileName(number, i+1)), circuit,
			header{phase: number, index: i + 1})
		if err != nil {
			return nil, err
		}
		if got := fmt.Sprintf("%x", next.file); got != c.SHA256 || next.name != c.Name {
			return nil, fault.Differs(fault.BadFile, fileName(number, i+1), c.Name+" "+c.SHA256,
				next.name+" "+got)
		}
		if err := follows(previous, digest, next); err != nil {
			return nil, err
		}
		for _, secret := range next.secrets {
			if seen[string(secret)] {
				return nil, fault.New(fault.BadFile,
					"contribution %d of phase %d repeats a secret", i+1, number)
			}
			seen[string(secret)] = true
		}
		previous, digest = next.state, next.digest
	}
	return previous, nil
}

// requireStart requires that the file of a phase's start is what was computed.
func requireStart(dir string, number int, expected []byte) error {
	name := fileName(number, 0)
	data, err := files.Read("transcript", filepath.Join(dir, name), int64(len(expected)))
	if err != nil {
		return err
	}
	if !bytes.Equal(data, expected) {
		return fault.New(fault.BadFile,
			"%s is not the start that follows from circuit and phase 1", name)
	}
	return nil
}

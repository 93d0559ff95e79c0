// SPDX-License-Identifier: Apache-2.0

// Package ceremony makes keys with several parties. Only all of them together could forge proofs.
//
// A transcript is a folder (docs/formats/ceremony.md):
//
//	manifest.json   circuit, contributions in order (name, SHA-256 of the file), the beacons;
//	                its SHA-256 names the transcript
//	phase1-000.bin  the start of phase 1; phase1-001.bin .. one file per contribution
//	phase2-000.bin  the start of phase 2, which follows from phase 1 and its beacon;
//	                phase2-001.bin ..
//
// [Verify] recomputes everything except the contributions, and trusts nothing in the folder.
//
// Source: Bowe, Gabizon, Miers, "Scalable Multi-party Computation for zk-SNARK Parameters in the
// Random Beacon Model" (ePrint 2017/1050), as gnark's backend/groth16/bn254/mpcsetup implements it;
// contributions to the sigmas of commitments differ from gnark's ([sigmaProof]).
package ceremony

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/files"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
)

const (
	// FileManifest is the transcript's table of contents.
	FileManifest = "manifest.json"
	// MinContributions is the smallest number of contributions that a phase needs.
	MinContributions = 2
	// MaxContributions is the largest number of contributions that a phase may have.
	MaxContributions = 999

	format           = "provenance-ceremony/2"
	formatWithSigma1 = "provenance-ceremony/1" // its contributions published [x]_1 of each sigma
	digestPrefix     = "sha256:"
	maxManifestBytes = 1 << 20
)

// The phases. Phase 1 depends on the circuit's size only, phase 2 on the circuit.
const (
	phase1 = 1
	phase2 = 2
)

// Contribution is one entry of the manifest. Name is what the contributor wrote; nobody checks that
// it is the contributor's.
type Contribution struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// Phase lists the contributions in order. A phase is closed by its beacon.
type Phase struct {
	Contributions []Contribution `json:"contributions"`
	Beacon        *keys.Beacon   `json:"beacon"`
}

// Manifest is the content of manifest.json. Only the encoding that [Manifest.encode] writes is
// accepted.
type Manifest struct {
	Format        string     `json:"format"`
	Kind          kinds.Kind `json:"kind"`
	Slots         int        `json:"slots"`
	Depth         int        `json:"depth"`
	CircuitDigest string     `json:"circuitDigest"`
	Phase1        Phase      `json:"phase1"`
	Phase2        Phase      `json:"phase2"`
}

func newManifest(circuit *keys.Circuit) *Manifest {
	s := circuit.Shape
	empty := Phase{Contributions: []Contribution{}}
	return &Manifest{Format: format, Kind: s.Kind, Slots: s.Slots, Depth: s.Depth,
		CircuitDigest: digestPrefix + circuit.Name(), Phase1: empty, Phase2: empty}
}

func (m *Manifest) shape() circuits.Shape {
	return circuits.Shape{Kind: m.Kind, Slots: m.Slots, Depth: m.Depth}
}

func (m *Manifest) encode() []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(m); err != nil {
		panic(err) // strings and numbers can always be encoded
	}
	return out.Bytes()
}

// Digest is the transcript's name.
func (m *Manifest) Digest() string {
	digest := sha256.Sum256(m.encode())
	return digestPrefix + hex.EncodeToString(digest[:])
}

func (m *Manifest) phase(number int) *Phase {
	if number == phase1 {
		return &m.Phase1
	}
	return &m.Phase2
}

// open is the number of the phase that takes contributions; 0 when both are closed.
func (m *Manifest) open() int {
	switch {
	case m.Phase1.Beacon == nil:
		return phase1
	case m.Phase2.Beacon == nil:
		return phase2
	}
	return 0
}

// loadManifest reads the manifest of an untrusted folder and compiles the circuit that it names. It
// refuses (bad_file) another encoding than the canonical one, another circuit, and malformed texts
// or beacons.
func loadManifest(dir string) (*Manifest, *keys.Circuit, error) {
	data, err := files.Read("transcript", filepath.Join(dir, FileManifest), maxManifestBytes)
	if err != nil {
		return nil, nil, err
	}
	m := new(Manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, nil, fault.New(fault.BadFile, "%s: %v", FileManifest, err)
	}
	if m.Format != format {
		differs := fault.Differs(fault.BadFile, "format of "+FileManifest, format, m.Format)
		if m.Format == formatWithSigma1 {
			return nil, nil, differs.WithHint("in ceremonies of this format all contributors but " +
				"one could learn every sigma together: run the ceremony again")
		}
		return nil, nil, differs
	}
	if !bytes.Equal(m.encode(), data) {
		return nil, nil, fault.New(fault.BadFile, "%s is not in its canonical encoding",
			FileManifest)
	}
	if err := m.check(); err != nil {
		return nil, nil, err
	}
	circuit, err := keys.Compile(m.shape())
	if err != nil {
		return nil, nil, fault.New(fault.BadFile, "%s: %v", FileManifest, err)
	}
	if want := digestPrefix + circuit.Name(); m.CircuitDigest != want {
		return nil, nil, fault.Differs(fault.BadFile, "circuit digest of the transcript", want,
			m.CircuitDigest).
			WithHint("the ceremony was run by another version of this program")
	}
	return m, circuit, nil
}

// check refuses contributions, names and beacons that cannot be those of a ceremony.
func (m *Manifest) check() error {
	for number := phase1; number <= phase2; number++ {
		if err := m.phase(number).check(number); err != nil {
			return err
		}
	}
	if m.Phase1.Beacon == nil && (m.Phase2.Beacon != nil || len(m.Phase2.Contributions) != 0) {
		return fault.New(fault.BadFile, "phase 2 began before phase 1 was closed")
	}
	if m.Phase2.Beacon != nil && m.Phase1.Beacon.Value == m.Phase2.Beacon.Value {
		return fault.New(fault.BadFile,
			"both phases have the same beacon: the second was known when phase 2 began")
	}
	return nil
}

func (p *Phase) check(number int) error {
	if p.Contributions == nil || len(p.Contributions) > MaxContributions {
		return fault.Differs(fault.BadFile, fmt.Sprintf("contributions of phase %d", number),
			fmt.Sprintf("at most %d", MaxContributions), len(p.Contributions))
	}
	seen := map[string]bool{}
	for _, c := range p.Contributions {
		if err := checkText("contributor's name", c.Name, maxNameBytes); err != nil {
			return err
		}
		if seen[c.Name] {
			return fault.New(fault.BadFile, "phase %d counts %q twice", number, c.Name)
		}
		seen[c.Name] = true
	}
	if p.Beacon == nil {
		return nil
	}
	return checkBeacon(*p.Beacon)
}

// requireFiles requires that the folder has exactly the files that the manifest names.
func (m *Manifest) requireFiles(dir string) error {
	want := []string{FileManifest}
	for number := phase1; number <= phase2; number++ {
		if number == phase2 && m.Phase1.Beacon == nil {
			break
		}
		for i := range len(m.phase(number).Contributions) + 1 {
			want = append(want, fileName(number, i))
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fault.New(fault.BadFile, "%v", err)
	}
	var got []string
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			got = append(got, entry.Name())
		}
	}
	if slices.Sort(want); !slices.Equal(want, got) {
		return fault.Differs(fault.BadFile, "files of the transcript", strings.Join(want, " "),
			strings.Join(got, " "))
	}
	return nil
}

func fileName(phase, index int) string { return fmt.Sprintf("phase%d-%03d.bin", phase, index) }

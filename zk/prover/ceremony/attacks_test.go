// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
)

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// rewrite writes a manifest that fits the changed files, as an attacker who owns the folder can.
func rewrite(t *testing.T, dir string, change func(m *Manifest)) {
	t.Helper()
	m := new(Manifest)
	if err := json.Unmarshal(read(t, dir, FileManifest), m); err != nil {
		t.Fatal(err)
	}
	change(m)
	for number := phase1; number <= phase2; number++ {
		for i := range m.phase(number).Contributions {
			if data, err := os.ReadFile(filepath.Join(dir, fileName(number, i+1))); err == nil {
				m.phase(number).Contributions[i].SHA256 = fmt.Sprintf("%x", sha256.Sum256(data))
			}
		}
	}
	put(t, dir, FileManifest, m.encode())
}

func unchanged(*Manifest) {}

func refused(t *testing.T, what, dir, text string) {
	t.Helper()
	_, err := Verify(dir, 2, nil)
	requireFault(t, what, err, fault.BadFile, text)
}

func circuitOfShape(t *testing.T, shape circuits.Shape) *keys.Circuit {
	t.Helper()
	circuit, err := keys.Compile(shape)
	if err != nil {
		t.Fatal(err)
	}
	return circuit
}

func TestHonestTranscriptVerifies(t *testing.T) {
	dir := transcript(t, epochShape)
	result, err := Verify(dir, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := closed(t, epochShape).result
	if result.Material.Verifying.ID() != first.Material.Verifying.ID() ||
		result.Manifest.Digest() != first.Manifest.Digest() {
		t.Error("sealing and verifying give different keys")
	}
	if got := fmt.Sprintf("sha256:%x", sha256.Sum256(read(t, dir,
		FileManifest))); got != result.Manifest.Digest() {
		t.Errorf("digest %s, file %s", result.Manifest.Digest(), got)
	}
	phase1, phase2 := result.Manifest.Phase1.Contributions, result.Manifest.Phase2.Contributions
	attested := []string{phase1[1].SHA256, phase2[0].SHA256}
	for _, c := range []struct {
		attested []string
		want     [2]int
	}{
		{nil, [2]int{0, 0}}, {attested[:1], [2]int{1, 0}}, {attested[1:], [2]int{0, 1}},
		{attested, [2]int{1, 1}}, {append(attested, attested[1]), [2]int{1, 1}},
		{append(attested, phase2[1].SHA256), [2]int{1, 2}},
	} {
		got, err := Verify(dir, 2, c.attested)
		if err != nil || got.Attested != c.want {
			t.Errorf("attested %v: %v, want %v", c.attested, err, c.want)
		}
	}
	_, err = Verify(dir, 2, append(attested, strings.Repeat("0", 64)))
	requireFault(t, "a contribution left out", err, fault.BadFile,
		"contributions of the transcript")
	_, err = Verify(dir, 3, nil)
	requireFault(t, "k-1 contributions", err, fault.BadFile,
		"contributions of phase 1 (expected at least 3, actual 2)")
	_, err = Verify(dir, 1, nil)
	requireFault(t, "one party is no ceremony", err, fault.BadRequest, "minimum")
}

// k contributions are wanted in both phases, not in one.
func TestTooFewContributions(t *testing.T) {
	for number := phase1; number <= phase2; number++ {
		dir := transcript(t, epochShape)
		if err := os.Remove(filepath.Join(dir, fileName(number, 2))); err != nil {
			t.Fatal(err)
		}
		rewrite(t, dir, func(m *Manifest) {
			m.phase(number).Contributions = m.phase(number).Contributions[:1]
		})
		refused(t, "one contribution", dir, fmt.Sprintf("contributions of phase %d", number))
	}
	dir := filepath.Join(t.TempDir(), "ceremony")
	if _, err := Begin(epochShape, dir); err != nil {
		t.Fatal(err)
	}
	if err := contribute(dir, phase1, 0, "alone"); err != nil {
		t.Fatal(err)
	}
	_, err := Seal(dir, 2, beacons[1])
	requireFault(t, "sealed with one contribution", err, fault.BadFile, "contributions of phase 1")
	refused(t, "phase 1 open", dir, "phase 1 of the ceremony is not closed")
}

// If any byte of any file changes, the transcript is refused; or it is another transcript, with
// another last beacon or text of a source, and the key does not follow from it.
func TestTamperedFiles(t *testing.T) {
	honest := transcript(t, epochShape)
	folder, _ := storedKey(t, epochShape)
	follows := func() bool {
		result, err := Verify(honest, 2, nil)
		return err == nil && result.RequireKey(folder) == nil
	}
	entries, err := os.ReadDir(honest)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue // the lock is not a part of the transcript
		}
		data := read(t, honest, name)
		damaged := [][]byte{nil, data[:len(data)-1], append(bytes.Clone(data), 0)}
		for at := 0; at < len(data); at += max(1, len(data)/5) {
			bad := bytes.Clone(data)
			bad[at] ^= 1
			damaged = append(damaged, bad)
		}
		for i, bad := range damaged {
			put(t, honest, name, bad)
			if follows() {
				t.Errorf("%s: damage %d is not seen", name, i)
			}
		}
		put(t, honest, name, data)
	}
	if !follows() {
		t.Error("the honest transcript is refused")
	}
}

// A changed point, proof, challenge or header is refused even with a manifest that fits.
func TestTamperedContributionWithFittingManifest(t *testing.T) {
	circuit := circuitOfShape(t, epochShape)
	for number := phase1; number <= phase2; number++ {
		dir := transcript(t, epochShape)
		name := fileName(number, 2)
		data := read(t, dir, name)
		begin := headerBytes + len("party 2")
		l := layoutOf(circuit, number)
		offsets := []int{0, len(magic), len(magic) + 2, len(magic) + 3, len(magic) + 7,
			len(magic) + 12, len(data) - 1,
			begin + l.bytes, begin + l.bytes - 1, begin + l.bytes/2, begin + l.bytes/3}
		for _, f := range l.fixed {
			offsets = append(offsets, begin+f.offset)
		}
		for _, p := range l.proofs {
			offsets = append(offsets, begin+p, begin+p+g1Bytes-1, begin+p+proofBytes-1)
		}
		for _, p := range l.sigmas {
			offsets = append(offsets, begin+p, begin+p+g2Bytes-1, begin+p+g2Bytes,
				begin+p+g2Bytes+31, begin+p+g2Bytes+32, begin+p+sigmaProofBytes-1)
		}
		for _, at := range offsets {
			bad := bytes.Clone(data)
			bad[at] ^= 1
			put(t, dir, name, bad)
			rewrite(t, dir, unchanged)
			_, err := Verify(dir, 2, nil)
			requireFault(t, fmt.Sprintf("%s byte %d", name, at), err, fault.BadFile, "")
		}
	}
}

// Phase 2 of another circuit with the same domain.
func TestPhase2OfAnotherCircuit(t *testing.T) {
	dir := transcript(t, epochShape)
	other := filepath.Join(t.TempDir(), "other")
	if _, err := run(other, circuits.Shape{Kind: kinds.Epoch, Slots: 15}, 2); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		put(t, dir, fileName(phase2, i), read(t, other, fileName(phase2, i)))
	}
	rewrite(t, dir, unchanged)
	refused(t, "phase 2 of 15 slots", dir, "phase2-000.bin is not the start")
	put(t, dir, fileName(phase2, 0), read(t, transcript(t, epochShape), fileName(phase2, 0)))
	refused(t, "contributions of 15 slots", dir, "")
	rewrite(t, dir, func(m *Manifest) { m.Slots = 15 })
	refused(t, "manifest of 15 slots", dir, "circuit digest")
	_, err := Accept(transcript(t, epochShape), filepath.Join(other, fileName(phase2, 1)))
	requireFault(t, "closed", err, fault.BadRequest, "closed")
}

func TestAlteredManifest(t *testing.T) {
	swapped := func(number int) func(m *Manifest) {
		return func(m *Manifest) { slices.Reverse(m.phase(number).Contributions) }
	}
	for what, test := range map[string]struct {
		change func(m *Manifest)
		text   string
	}{
		"phase 1 reordered": {swapped(phase1), "phase1-001.bin"},
		"phase 2 reordered": {swapped(phase2), "phase2-001.bin"},
		"beacon of phase 1": {func(m *Manifest) {
			m.Phase1.Beacon.Value = strings.Repeat("1e", 32)
		}, "phase2-000.bin is not the start"},
		"same beacons": {func(m *Manifest) {
			m.Phase2.Beacon.Value = m.Phase1.Beacon.Value
		}, "same beacon"},
		"beacon of zeros": {func(m *Manifest) {
			m.Phase2.Beacon.Value = strings.Repeat("0", 64)
		}, "beacon"},
		"short beacon":          {func(m *Manifest) { m.Phase2.Beacon.Value = "1f" }, "beacon"},
		"beacon without source": {func(m *Manifest) { m.Phase2.Beacon.Source = "" }, "source"},
		"phase 1 reopened": {func(m *Manifest) {
			m.Phase1.Beacon = nil
		}, "before phase 1 was closed"},
		"phase 2 reopened": {func(m *Manifest) {
			m.Phase2.Beacon = nil
		}, "phase 2 of the ceremony is not closed"},
		"name with a newline": {func(m *Manifest) {
			m.Phase1.Contributions[0].Name = "a\nb"
		}, "name"},
		"no list": {func(m *Manifest) {
			m.Phase1.Contributions = nil
		}, "contributions of phase 1"},
		"kind":  {func(m *Manifest) { m.Kind = "none" }, "none"},
		"slots": {func(m *Manifest) { m.Slots = 1 << 30 }, "slots"},
		"format": {func(m *Manifest) {
			m.Format = "provenance-ceremony/3"
		}, "format"},
		"format in which sigmas leak": {func(m *Manifest) {
			m.Format = formatWithSigma1
		}, "format"},
	} {
		dir := transcript(t, epochShape)
		rewrite(t, dir, func(*Manifest) {})
		m := new(Manifest)
		if err := json.Unmarshal(read(t, dir, FileManifest), m); err != nil {
			t.Fatal(err)
		}
		test.change(m)
		put(t, dir, FileManifest, m.encode())
		refused(t, what, dir, test.text)
	}
	dir := transcript(t, epochShape)
	put(t, dir, FileManifest, append(read(t, dir, FileManifest), ' '))
	refused(t, "a second encoding", dir, "canonical")
	dir = transcript(t, epochShape)
	put(t, dir, "phase1-003.bin", nil)
	refused(t, "a file that the manifest does not name", dir, "files of the transcript")
	dir = transcript(t, epochShape)
	if err := os.Remove(filepath.Join(dir, fileName(phase1, 1))); err != nil {
		t.Fatal(err)
	}
	refused(t, "a missing file", dir, "files of the transcript")
}

// A key folder with another beacon of phase 2, or with any other file changed, is refused.
func TestKeyThatDoesNotFollow(t *testing.T) {
	folder, _ := storedKey(t, epochShape)
	honest := transcript(t, epochShape)
	result := closed(t, epochShape).result
	if err := result.RequireKey(folder); err != nil {
		t.Fatal(err)
	}
	rewrite(t, honest, func(m *Manifest) { m.Phase2.Beacon.Value = strings.Repeat("2d", 32) })
	other, err := Verify(honest, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	requireFault(t, "beacon of phase 2", other.RequireKey(folder), fault.Mismatch, "")
	development, _, err := keys.Setup(epochShape, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	requireFault(t, "a development key", result.RequireKey(development), fault.Mismatch, "")
	for _, name := range []string{keys.FileSystem, keys.FileProver, keys.FileGnark, keys.FileWords,
		keys.FileBases, keys.FileInfo} {
		bad := t.TempDir()
		if err := os.CopyFS(bad, os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
		data := read(t, bad, name)
		if name == keys.FileInfo {
			data = bytes.Replace(data, []byte(beacons[2].Source), []byte("hash of block 201"), 1)
		} else {
			data[len(data)/2] ^= 1
		}
		put(t, bad, name, data)
		requireFault(t, name, result.RequireKey(bad), fault.Mismatch, "")
	}
}

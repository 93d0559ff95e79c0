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

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark/backend/groth16/bn254/mpcsetup"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
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

// rewrite lets an attacker who owns the folder write a manifest that fits what was done to the
// files.
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
	attested := []string{result.Manifest.Phase1.Contributions[1].SHA256,
		result.Manifest.Phase2.Contributions[0].SHA256}
	if _, err := Verify(dir, 2, attested); err != nil {
		t.Error(err)
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

// Any byte of any file counts: the transcript is refused, or it is another one (the last beacon,
// the free text of a source), from which the key does not follow.
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
			continue // the lock is no part of the transcript
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

// With a manifest that fits, a changed point, proof, challenge or header must still be seen.
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

// A state that is well-formed but not made from the one before.
func TestContributionThatIgnoresThePrevious(t *testing.T) {
	for number := phase1; number <= phase2; number++ {
		dir := transcript(t, epochShape)
		elsewhere := filepath.Join(t.TempDir(), "other.bin")
		if _, err := Contribute(filepath.Join(dir, fileName(number, 0)), elsewhere,
			"party 2"); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(elsewhere)
		if err != nil {
			t.Fatal(err)
		}
		circuit := circuitOfShape(t, epochShape)
		data[len(magic)+2] = 2 // calls itself the second contribution
		put(t, dir, fileName(number, 2), data)
		rewrite(t, dir, unchanged)
		refused(t, "made from the start", dir, "state that the contribution was made from")
		// ... and with the challenge of the true predecessor written over its own.
		first, err := load(filepath.Join(dir, fileName(number, 1)), circuit,
			header{phase: number, index: 1})
		if err != nil {
			t.Fatal(err)
		}
		copy(data[len(data)-challengeBytes:], first.digest[:])
		put(t, dir, fileName(number, 2), data)
		rewrite(t, dir, unchanged)
		refused(t, "with a borrowed challenge", dir, "does not follow")
	}
}

// gnark takes an absent challenge for the right one; here it is refused.
func TestContributionWithoutChallenge(t *testing.T) {
	dir := transcript(t, epochShape)
	data := read(t, dir, fileName(phase1, 2))
	put(t, dir, fileName(phase1, 2),
		append(data[:len(data)-challengeBytes-1:len(data)-challengeBytes-1], 0))
	rewrite(t, dir, unchanged)
	refused(t, "no challenge", dir, "bytes of the state")
}

func TestRepeatedContribution(t *testing.T) {
	for number := phase1; number <= phase2; number++ {
		dir := transcript(t, epochShape)
		repeated := read(t, dir, fileName(number, 2))
		repeated[len(magic)+2] = 3
		put(t, dir, fileName(number, 3), repeated)
		again := func(name string) func(m *Manifest) {
			return func(m *Manifest) {
				p := m.phase(number)
				p.Contributions = append(slices.Clone(p.Contributions[:2]),
					Contribution{Name: name})
			}
		}
		rewrite(t, dir, again("party 2"))
		refused(t, "counted twice", dir, "counts")
		rewrite(t, dir, again("party 3"))
		refused(t, "under another name", dir, fileName(number, 3))
		copy(repeated[headerBytes:], "party 3")
		put(t, dir, fileName(number, 3), repeated)
		rewrite(t, dir, unchanged)
		refused(t, "with another name inside", dir, "state that the contribution was made from")
	}
}

// trivial is a contribution to phase 1 whose three secrets are 1: its proofs of knowledge are
// right.
func trivial(t *testing.T, dir string) []byte {
	t.Helper()
	start := read(t, dir, fileName(phase1, 0))[headerBytes:]
	challenge := sha256.Sum256(start)
	_, _, one, _ := bn254.Generators()
	payload := bytes.Clone(start[:len(start)-1])
	for i := range 3 {
		base, err := bn254.HashToG2(append(one.Marshal(), challenge[:]...), []byte{byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		g1, g2 := one.Bytes(), base.Bytes()
		copy(payload[i*proofBytes:], append(g1[:], g2[:]...))
	}
	return append(append(payload, challengeBytes), challenge[:]...)
}

func TestSecretThatAddsNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ceremony")
	if _, err := Begin(epochShape, dir); err != nil {
		t.Fatal(err)
	}
	circuit := circuitOfShape(t, epochShape)
	payload := trivial(t, dir)
	next := new(mpcsetup.Phase1)
	if _, err := next.ReadFrom(bytes.NewReader(payload)); err != nil {
		t.Fatal(err)
	}
	if err := mpcsetup.NewPhase1(uint64(domain(circuit))).Verify(next); err != nil {
		t.Fatalf("gnark refuses the identity, so this attack shows nothing: %v", err)
	}
	h := header{phase: phase1, index: 1, shape: epochShape, circuit: circuit.Digest, name: "idle"}
	_, _, one, _ := bn254.Generators()
	var zero, minusOne bn254.G1Affine
	minusOne.Neg(&one)
	for what, point := range map[string]bn254.G1Affine{"1": one, "-1": minusOne, "0": zero} {
		for i := range 3 {
			bad, encoded := bytes.Clone(payload), point.Bytes()
			copy(bad[i*proofBytes:], encoded[:])
			put(t, dir, "idle", append(h.encode(), bad...))
			_, err := Accept(dir, filepath.Join(dir, "idle"))
			requireFault(t, "secret "+what, err, fault.BadFile, "it adds nothing")
		}
	}
}

// Phase 2 of another circuit with the same domain.
func TestPhase2OfAnotherCircuit(t *testing.T) {
	dir := transcript(t, epochShape)
	other := filepath.Join(t.TempDir(), "other")
	if _, err := run(other, circuits.Shape{Kind: circuits.KindEpoch, Slots: 15}, 2); err != nil {
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
			m.Format = "provenance-ceremony/2"
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

// The beacon of phase 2 and every file of the key are held against the key folder.
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

func TestContributeRefuses(t *testing.T) {
	dir := transcript(t, epochShape)
	out := filepath.Join(t.TempDir(), "out.bin")
	start := filepath.Join(dir, fileName(phase1, 0))
	for _, name := range []string{"", " a", "a\tb", "\xff", strings.Repeat("a", maxNameBytes+1)} {
		_, err := Contribute(start, out, name)
		requireFault(t, fmt.Sprintf("name %q", name), err, fault.BadFile, "name")
	}
	_, err := Contribute(start, start, "a")
	requireFault(t, "over a file", err, fault.BadFile, "exists already")
	data := read(t, dir, fileName(phase1, 0))
	for what, bad := range map[string][]byte{
		"empty": {}, "truncated": data[:len(data)-1], "oversized": append(bytes.Clone(data), 0),
		"header only": data[:headerBytes],
		"other circuit": append(append(bytes.Clone(data[:headerBytes-2]), data[headerBytes-2]^1),
			data[headerBytes-1:]...),
		"huge domain": append(append(bytes.Clone(data[:headerBytes+3*proofBytes]),
			bytes.Repeat([]byte{0x7f}, 8)...), data[headerBytes+3*proofBytes+8:]...),
	} {
		put(t, dir, "bad", bad)
		_, err := Contribute(filepath.Join(dir, "bad"), out, "a")
		requireFault(t, what, err, fault.BadFile, "")
	}
}

// A vector whose length asks for 256 GB is refused before anything is allocated.
func TestHugeVector(t *testing.T) {
	dir := transcript(t, epochShape)
	circuit := circuitOfShape(t, epochShape)
	data := read(t, dir, fileName(phase2, 0))
	for _, f := range layoutOf(circuit, phase2).fixed[1:] {
		bad := bytes.Clone(data)
		copy(bad[headerBytes+f.offset:], "\xff\xff\xff\xff")
		put(t, dir, "bad", bad)
		_, err := Contribute(filepath.Join(dir, "bad"), filepath.Join(dir, "out"), "a")
		requireFault(t, "huge", err, fault.BadFile, "length at byte")
	}
}

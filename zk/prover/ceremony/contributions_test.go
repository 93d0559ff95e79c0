// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark/backend/groth16/bn254/mpcsetup"

	"provenance/zkprover/fault"
)

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

// gnark accepts a state without a challenge; this package refuses it.
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

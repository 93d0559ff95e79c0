// SPDX-License-Identifier: Apache-2.0

package mutations

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"

	"provenance/zkprover/cmd/vectors/frozen"
	"provenance/zkprover/kinds"
	"provenance/zkprover/verify"
)

const vectorFolder = "../../../../../tests/vectors/zk"

// There are at least 2,000 mutations of the proofs of every statement. The verifier gives the
// expected verdict on each, and they are the same bytes on every run.
func TestMutations(t *testing.T) {
	var p plan
	if err := frozen.ReadJSON(filepath.Join(vectorFolder, planFile), &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Kinds) != 8 {
		t.Errorf("%d kinds", len(p.Kinds))
	}
	dir := t.TempDir()
	if err := Expand(vectorFolder, dir); err != nil {
		t.Fatal(err)
	}
	for _, kind := range p.Kinds {
		path := filepath.Join(dir, expandedName(kind.Kind))
		if digest, err := fileDigest(path); err != nil || digest != kind.SHA256 {
			t.Errorf("%s: digest %s, want %s; %v", kind.Kind, digest, kind.SHA256, err)
		}
		var file expanded
		if err := frozen.ReadJSON(path, &file); err != nil {
			t.Fatal(err)
		}
		verdicts, names := map[bool]int{}, map[string]bool{}
		for _, c := range file.Cases {
			verdicts[c.Valid]++
			names[c.Name] = true
		}
		if len(names) != len(file.Cases) || verdicts[false] < 2000 || verdicts[true] < 50 {
			t.Errorf("%s: %d names of %d cases, verdicts %v", kind.Kind, len(names),
				len(file.Cases), verdicts)
		}
	}
}

// If the verifier does not give the expected verdict on a case, the error names the case.
func TestWrongVerdictIsNamed(t *testing.T) {
	planned := plannedKind{Kind: kinds.Epoch, File: frozen.EpochFile,
		Bases: []plannedBase{{"link chunk 0", 0b110}}}
	_, err := expand(vectorFolder, planned, nil)
	if err == nil || !strings.Contains(err.Error(),
		`"link chunk 0 under mask 6: honest": must verify true`) {
		t.Errorf("U of a link is infinity and has no knowledge to show: %v", err)
	}
}

// The operator `fold` changes proofs of knowledge, but not gnark's folded one.
func TestShiftsInTheFoldCancel(t *testing.T) {
	file, vk, err := frozen.Load(vectorFolder, frozen.EpochFile)
	if err != nil {
		t.Fatal(err)
	}
	base := newVector("base", &file.Cases[0].Proof, verify.MaskAll)
	m := &mutator{vk: vk, bases: []*vector{base}, taken: map[string]bool{}}
	m.draw(map[string]int{"fold": 6})
	if m.err != nil || len(m.cases) != 6 {
		t.Fatalf("%d cases, %v", len(m.cases), m.err)
	}
	for _, c := range m.cases {
		shifted := base.copy()
		data, err := hex.DecodeString(c.Words[2:])
		if err != nil {
			t.Fatal(err)
		}
		shifted.set(placeA, data)
		if folded(t, shifted) != folded(t, base) || shifted.hex() == base.hex() {
			t.Errorf("%s: the fold differs", c.Name)
		}
	}
}

func folded(t *testing.T, v *vector) bn254.G1Affine {
	t.Helper()
	wire := v.wire()
	p, err := wire.Parse()
	if err != nil {
		t.Fatal(err)
	}
	challenge, err := verify.FoldingChallenge(p)
	if err != nil {
		t.Fatal(err)
	}
	var sum bn254.G1Affine
	if _, err := sum.Fold(p.Knowledge, challenge, ecc.MultiExpConfig{NbTasks: 1}); err != nil {
		t.Fatal(err)
	}
	return sum
}

func fileDigest(path string) (string, error) {
	text, err := os.ReadFile(path)
	digest := sha256.Sum256(text)
	return hex.EncodeToString(digest[:]), err
}

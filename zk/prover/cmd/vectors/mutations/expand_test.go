// SPDX-License-Identifier: Apache-2.0

package mutations

import (
	"bytes"
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
		text, err := os.ReadFile(filepath.Join(dir, expandedName(kind.Kind)))
		if err != nil {
			t.Fatal(err)
		}
		if digest := digestOf(text); digest != kind.SHA256 {
			t.Errorf("%s: digest %s, want %s", kind.Kind, digest, kind.SHA256)
		}
		m, file, err := expand(vectorFolder, kind, p.Drawn)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := frozen.Text(file); err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%s: the file does not hold these mutations; %v", kind.Kind, err)
		}
		if err := m.judge(); err != nil {
			t.Error(err)
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
	m, _, err := expand(vectorFolder, planned, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.judge(); err == nil || !strings.Contains(err.Error(),
		`"link chunk 0 under mask 6: honest": must verify true`) {
		t.Errorf("U of a link is infinity and has no knowledge to show: %v", err)
	}
}

// Expand writes nothing of a kind whose mutations are neither planned nor what the verifier says.
func TestUnplannedMutationsAreJudged(t *testing.T) {
	vectors, out := t.TempDir(), t.TempDir()
	honest, err := os.ReadFile(filepath.Join(vectorFolder, frozen.EpochFile))
	if err != nil {
		t.Fatal(err)
	}
	plan := `{"drawn": {}, "kinds": [{"kind": "epoch", "file": "` + frozen.EpochFile +
		`", "bases": [{"name": "link chunk 0", "mask": 6}], "sha256": ""}]}`
	for name, text := range map[string][]byte{frozen.EpochFile: honest, planFile: []byte(plan)} {
		if err := os.WriteFile(filepath.Join(vectors, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Expand(vectors, out); err == nil ||
		!strings.Contains(err.Error(), "must verify true") {
		t.Errorf("an honest link without knowledge of U: %v", err)
	}
	if written, err := os.ReadDir(out); err != nil || len(written) != 0 {
		t.Errorf("%v was written; %v", written, err)
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

// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/order"
	"provenance/zkprover/prove/dataset"
	"provenance/zkprover/prove/epoch"
	"provenance/zkprover/statement"
	"provenance/zkprover/tree"
	"provenance/zkprover/verify"
)

var (
	epochShape = circuits.Shape{Kind: kinds.Epoch, Slots: 16}
	treeShape  = circuits.Shape{Kind: kinds.Tree, Slots: 16, Depth: 1}

	beacons = [3]keys.Beacon{{},
		{Value: strings.Repeat("1f", 32), Source: "hash of block 100"}, {Value: strings.Repeat("2e",
			32), Source: "hash of block 200"}}

	made      = map[circuits.Shape]*ceremony{}
	madeGuard sync.Mutex
	folders   []string // to be removed when the tests are over
)

// ceremony is one made for all tests of this process: its folder, and what closing it gave.
type ceremony struct {
	parent string
	result *Result
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range folders {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// temporary is a folder that stays until the tests of this process are over.
func temporary() (string, error) {
	dir, err := os.MkdirTemp("", "ceremony-test-")
	folders = append(folders, dir)
	return dir, err
}

func requireFault(t *testing.T, what string, err error, code fault.Code, text string) {
	t.Helper()
	var failure *fault.Error
	if !errors.As(err, &failure) || failure.Code != code ||
		!strings.Contains(failure.Error(), text) {
		t.Errorf("%s: got %v, want %s with %q", what, err, code, text)
	}
}

// run is a ceremony with this many contributions per phase, closed by the beacons.
func run(dir string, shape circuits.Shape, contributions int) (result *Result, err error) {
	if _, err := Begin(shape, dir); err != nil {
		return nil, err
	}
	for phase := phase1; phase <= phase2; phase++ {
		for i := range contributions {
			if err := contribute(dir, phase, i, fmt.Sprintf("party %d", i+1)); err != nil {
				return nil, err
			}
		}
		if result, err = Seal(dir, contributions, beacons[phase]); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// contribute makes a contribution in another folder, as another machine would, and submits it.
func contribute(dir string, phase, index int, name string) error {
	elsewhere, err := os.MkdirTemp("", "party-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(elsewhere)
	out := filepath.Join(elsewhere, "mine.bin")
	receipt, err := Contribute(filepath.Join(dir, fileName(phase, index)), out, name)
	if err != nil {
		return err
	}
	accepted, err := Accept(dir, out)
	if err == nil && *accepted != *receipt {
		return fmt.Errorf("receipt %v, accepted %v", receipt, accepted)
	}
	return err
}

func closed(t *testing.T, shape circuits.Shape) *ceremony {
	t.Helper()
	madeGuard.Lock()
	defer madeGuard.Unlock()
	if made[shape] != nil {
		return made[shape]
	}
	c := new(ceremony)
	var err error
	if c.parent, err = temporary(); err != nil {
		t.Fatal(err)
	}
	made[shape] = c
	if c.result, err = run(filepath.Join(c.parent, "transcript"), shape, 2); err != nil {
		t.Fatal(err)
	}
	return c
}

// transcript is a copy of a closed ceremony of two contributions per phase, which a test may
// damage.
func transcript(t *testing.T, shape circuits.Shape) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(closed(t, shape).parent,
		"transcript"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// storedKey is the folder and content of the key that a ceremony gave.
func storedKey(t *testing.T, shape circuits.Shape) (string, *keys.Key) {
	t.Helper()
	result := closed(t, shape).result
	cache := t.TempDir()
	for _, again := range []bool{false, true} {
		if _, reused, err := result.Store(cache); err != nil || reused != again {
			t.Fatal(reused, err)
		}
	}
	dir, _, err := result.Store(cache)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if key.Info.Class != keys.ClassCeremony || key.Info.Transcript != result.Manifest.Digest() ||
		*key.Info.Beacon != beacons[2] {
		t.Errorf("key.json states %+v", key.Info)
	}
	return dir, key
}

func TestCeremonyKeyOfEpochProves(t *testing.T) {
	_, key := storedKey(t, epochShape)
	leaves := fixture.Leaves(t, 11)
	a, err := order.Shuffle([32]byte{3}, 0, len(leaves))
	if err != nil {
		t.Fatal(err)
	}
	inverse, err := order.Invert(a)
	if err != nil {
		t.Fatal(err)
	}
	witness := &epoch.Witness{
		Data: statement.Window(leaves, 0, 16), Positions: statement.Positions(inverse, 0, 16),
		Used:         statement.Window(nil, 0, 16),
		DataBlinding: fixture.Scalar(), UsedBlinding: fixture.Scalar(),
		Challenge: fixture.Challenge(),
	}
	for i, leaf := range a {
		witness.Used[i] = leaves[leaf]
	}
	p, err := epoch.Prove(key, witness)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.Verify(key.Verifying, p, verify.MaskAll); err != nil {
		t.Fatal(err)
	}
	p.Public[3] = fixture.Scalar()
	if err := verify.Verify(key.Verifying, p, verify.MaskAll); err == nil {
		t.Error("a false product verifies")
	}
}

func TestCeremonyKeyOfTreeProves(t *testing.T) {
	_, key := storedKey(t, treeShape)
	built, err := tree.New(fixture.Leaves(t, 11), 1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := dataset.Tree(key, built, 0, fixture.Challenge())
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.Verify(key.Verifying, p, verify.MaskNone); err != nil {
		t.Fatal(err)
	}
	p.Public[0] = fixture.Scalar()
	if err := verify.Verify(key.Verifying, p, verify.MaskNone); err == nil {
		t.Error("a false root verifies")
	}
}

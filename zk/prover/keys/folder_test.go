// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/statement"
)

// Bases of positions that were altered so that a false order matches are refused.
func TestPositionBases(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	all, err := os.ReadFile(filepath.Join(fixture.KeyDir(t, fixture.EpochShape), keys.FileBases))
	if err != nil {
		t.Fatal(err)
	}
	own := all[len(all)-257*field.G1Bytes:]
	for _, data := range [][]byte{all, own} {
		bases, err := key.Verifying.ParsePositionBases(data)
		if err != nil {
			t.Fatal(err)
		}
		point, err := keys.CommitPositions(bases, statement.IdentityPositions(0, fixture.Slots))
		if err != nil || !point.Equal(&key.Verifying.WeightedPositions) {
			t.Errorf("identity positions do not give I_0: %v", err)
		}
		if _, err := keys.CommitPositions(bases, nil); err == nil {
			t.Error("no positions were committed to")
		}
	}
	swapped := bytes.Clone(own)
	copy(swapped[:64], own[64:128])
	copy(swapped[64:128], own[:64])
	_, err = key.Verifying.ParsePositionBases(swapped)
	requireCode(t, "swapped bases", err, fault.Mismatch)
	for _, data := range [][]byte{nil, own[:64], own[1:], all[64:]} {
		_, err = key.Verifying.ParsePositionBases(data)
		requireCode(t, "length", err, fault.BadFile)
	}
	tree := fixture.Key(t, fixture.TreeShape)
	_, err = tree.Verifying.ParsePositionBases(own)
	requireCode(t, "tree key", err, fault.BadRequest)
	// A key whose digest fits but whose sums do not.
	v := copyOf(t, fixture.EpochShape)
	v.Positions.Double(&v.Positions)
	_, err = v.ParsePositionBases(own)
	requireCode(t, "false S", err, fault.BadKey)
	v = copyOf(t, fixture.EpochShape)
	v.WeightedPositions.Neg(&v.WeightedPositions)
	_, err = v.ParsePositionBases(own)
	requireCode(t, "false I_0", err, fault.BadKey)
}

func TestSetupIsCachedAndExclusive(t *testing.T) {
	cache := t.TempDir()
	shape := circuits.Shape{Kind: kinds.Epoch, Slots: 2}
	var group sync.WaitGroup
	var guard sync.Mutex
	made, found := 0, map[string]bool{}
	for range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			dir, reused, err := keys.Setup(shape, cache)
			guard.Lock()
			defer guard.Unlock()
			if err != nil {
				t.Error(err)
			}
			if !reused {
				made++
			}
			found[dir] = true
		}()
	}
	group.Wait()
	if made != 1 || len(found) != 1 {
		t.Errorf("%d setups in %d folders", made, len(found))
	}
	entries, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".making-") {
			t.Errorf("%s was left behind", entry.Name())
		}
	}
	if _, _, err := keys.Setup(circuits.Shape{Kind: kinds.Epoch}, cache); err == nil {
		t.Error("a key without slots was made")
	}
}

// A folder of which any file changed is refused before the file is parsed.
func TestDamagedFolders(t *testing.T) {
	shape := circuits.Shape{Kind: kinds.Epoch, Slots: 3}
	source := fixture.KeyDir(t, shape)
	fresh := func() string {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	if _, err := keys.Load(fresh()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{keys.FileSystem, keys.FileProver, keys.FileWords, keys.FileInfo} {
		for what, damage := range map[string]func(data []byte) []byte{
			"flipped":   func(data []byte) []byte { data[len(data)/2] ^= 1; return data },
			"truncated": func(data []byte) []byte { return data[:len(data)/2] },
			"longer":    func(data []byte) []byte { return append(data, "{}"...) },
		} {
			if name == keys.FileInfo && what != "truncated" {
				// a byte of key.json may be white space, and what follows the object is not read
				continue
			}
			dir := fresh()
			path := filepath.Join(dir, name)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(data), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err = keys.Load(dir)
			requireCode(t, name+" "+what, err, fault.BadKey)
		}
		dir := fresh()
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		_, err := keys.Load(dir)
		requireCode(t, name+" missing", err, fault.BadFile)
	}
	damageInfo(t, fresh)
}

func damageInfo(t *testing.T, fresh func() string) {
	for name, damage := range map[string]func(i *keys.Info){
		"format":      func(i *keys.Info) { i.Format = "provenance-key/2" },
		"kind":        func(i *keys.Info) { i.Kind = kinds.Tree },
		"slots":       func(i *keys.Info) { i.Slots++ },
		"depth":       func(i *keys.Info) { i.Depth++ },
		"digest":      func(i *keys.Info) { i.CircuitDigest = "sha256:00" },
		"vkId":        func(i *keys.Info) { i.VKID = field.Word{}.Hex() },
		"constraints": func(i *keys.Info) { i.Constraints++ },
	} {
		dir := fresh()
		info, err := keys.LoadInfo(dir)
		if err != nil {
			t.Fatal(err)
		}
		damage(info)
		text, err := json.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, keys.FileInfo), text, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = keys.Load(dir)
		requireCode(t, "key.json: "+name, err, fault.BadKey)
	}
}

// A key whose circuit is another one than today's is refused by name: here that of int8, which has
// the same public inputs, in a key of q8_0.
func TestKeysOfOlderCircuits(t *testing.T) {
	shape := circuits.Shape{Kind: kinds.Q8_0, Slots: 1, Depth: 1}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(fixture.KeyDir(t, shape))); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Load(dir); err != nil {
		t.Fatal(err)
	}
	other, err := keys.Compile(circuits.Shape{Kind: kinds.Int8, Slots: 1, Depth: 1})
	if err != nil {
		t.Fatal(err)
	}
	var serialized bytes.Buffer
	if _, err := other.System.WriteTo(&serialized); err != nil {
		t.Fatal(err)
	}
	info, err := keys.LoadInfo(dir)
	if err != nil {
		t.Fatal(err)
	}
	info.Files[keys.FileSystem] = other.Name()
	info.CircuitDigest, info.Constraints = "sha256:"+other.Name(), other.System.GetNbConstraints()
	text, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{keys.FileInfo: text,
		keys.FileSystem: serialized.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err = keys.Load(dir)
	requireCode(t, "older circuit", err, fault.BadKey)
	if err == nil || !strings.Contains(err.Error(), "the key is of an older circuit of q8_0") {
		t.Errorf("the error is %v", err)
	}
}

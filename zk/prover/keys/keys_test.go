// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/keys"
	"provenance/zkprover/statement"
)

func TestMain(m *testing.M) { fixture.Main(m) }

func requireCode(t *testing.T, what string, err error, code fault.Code) {
	t.Helper()
	var failure *fault.Error
	if !errors.As(err, &failure) || failure.Code != code {
		t.Errorf("%s: got %v, want %s", what, err, code)
	}
}

// copyOf is a key that a test may damage.
func copyOf(t *testing.T, shape circuits.Shape) *keys.Verifying {
	t.Helper()
	v, err := keys.Parse(fixture.Key(t, shape).Verifying.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWordsRoundTrip(t *testing.T) {
	for _, shape := range []circuits.Shape{fixture.EpochShape, fixture.TreeShape} {
		data := fixture.Key(t, shape).Verifying.Bytes()
		v, err := keys.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(v.Bytes(), data) {
			t.Errorf("%v: the bytes do not survive", shape)
		}
		for _, bad := range [][]byte{nil, data[:len(data)-1], data[:len(data)-32], append(bytes.Clone(data), 0),
			append(bytes.Clone(data), make([]byte, 32)...), make([]byte, keys.MaxWordsBytes+1)} {
			_, err := keys.Parse(bad)
			requireCode(t, "length", err, fault.BadKey)
		}
	}
}

// The header admits one value per word, given the kind.
func TestHeader(t *testing.T) {
	data := fixture.Key(t, fixture.EpochShape).Verifying.Bytes()
	for word, values := range map[int][]byte{0: {0, 2}, 1: {0, 2, 3}, 2: {0}, 3: {5}, 4: {4, 6, 8}, 5: {0, 2, 4}, 6: {1, 2}} {
		for _, value := range values {
			bad := bytes.Clone(data)
			copy(bad[32*word:], make([]byte, 32))
			bad[32*word+31] = value
			_, err := keys.Parse(bad)
			requireCode(t, "header", err, fault.BadKey)
		}
		bad := bytes.Clone(data)
		bad[32*word] = 1
		_, err := keys.Parse(bad)
		requireCode(t, "large number", err, fault.BadKey)
	}
}

// Every point of a key is canonical, on its curve and in its subgroup.
func TestPoints(t *testing.T) {
	for _, shape := range []circuits.Shape{fixture.EpochShape, fixture.TreeShape} {
		data := fixture.Key(t, shape).Verifying.Bytes()
		words := len(data) / 32
		for word := 7; word < words; word++ {
			if shape.Kind == circuits.KindEpoch && word >= words-7 && word < words-4 {
				continue // digests
			}
			aliased, zeroed, moved := bytes.Clone(data), bytes.Clone(data), bytes.Clone(data)
			value := new(big.Int).SetBytes(data[32*word : 32*word+32])
			value.Add(value, fp.Modulus()).FillBytes(aliased[32*word : 32*word+32])
			copy(zeroed[32*word:], make([]byte, 32))
			moved[32*word+31] ^= 1
			for name, bad := range map[string][]byte{"+ q": aliased, "= 0": zeroed, "moved": moved} {
				if _, err := keys.Parse(bad); err == nil {
					t.Errorf("%v: word %d %s is accepted", shape, word, name)
				}
			}
		}
	}
}

func TestPointOutsideTheSubgroup(t *testing.T) {
	_, _, _, g2 := bn254.Generators()
	var twist bn254.E2
	twist.Square(&g2.X).Mul(&twist, &g2.X)
	var y bn254.E2
	y.Square(&g2.Y).Sub(&y, &twist) // the curve's constant
	var outside bn254.G2Affine
	for i := uint64(1); ; i++ {
		outside.X.A0.SetOne()
		outside.X.A1.SetUint64(i)
		var square bn254.E2
		square.Square(&outside.X).Mul(&square, &outside.X).Add(&square, &y)
		if square.Legendre() == 1 {
			outside.Y.Sqrt(&square)
			break
		}
	}
	for name, change := range g2Points() {
		v := copyOf(t, fixture.EpochShape)
		*change(v) = outside
		_, err := keys.Parse(v.Bytes())
		requireCode(t, name, err, fault.BadKey)
	}
}

func g2Points() map[string]func(v *keys.Verifying) *bn254.G2Affine {
	return map[string]func(v *keys.Verifying) *bn254.G2Affine{
		"beta":  func(v *keys.Verifying) *bn254.G2Affine { return &v.BetaNeg },
		"gamma": func(v *keys.Verifying) *bn254.G2Affine { return &v.GammaNeg },
		"delta": func(v *keys.Verifying) *bn254.G2Affine { return &v.DeltaNeg },
		"G":     func(v *keys.Verifying) *bn254.G2Affine { return &v.Knowledge[1].G },
		"sigma": func(v *keys.Verifying) *bn254.G2Affine { return &v.Knowledge[2].SigmaNeg },
	}
}

// Keys that are well-formed and unsound.
func TestRefusedKeys(t *testing.T) {
	_, _, _, generator := bn254.Generators()
	type change = func(v *keys.Verifying)
	cases := map[string]change{
		"gamma = delta":     func(v *keys.Verifying) { v.GammaNeg = v.DeltaNeg },
		"delta = generator": func(v *keys.Verifying) { v.DeltaNeg.Neg(&generator) },
		"sigmas equal":      func(v *keys.Verifying) { v.Knowledge[2].SigmaNeg = v.Knowledge[0].SigmaNeg },
		"sigmas opposite":   func(v *keys.Verifying) { v.Knowledge[2].SigmaNeg.Neg(&v.Knowledge[0].SigmaNeg) },
		"sigma = 1":         func(v *keys.Verifying) { v.Knowledge[1].SigmaNeg.Neg(&v.Knowledge[1].G) },
		"sigma = -1":        func(v *keys.Verifying) { v.Knowledge[1].SigmaNeg = v.Knowledge[1].G },
		"different G":       func(v *keys.Verifying) { v.Knowledge[1].G.Double(&v.Knowledge[1].G) },
		"IC too short":      func(v *keys.Verifying) { v.IC = v.IC[:5] },
		"IC too long":       func(v *keys.Verifying) { v.IC = append(v.IC, v.Alpha) },
		"IC repeated":       func(v *keys.Verifying) { v.IC[2] = v.IC[1] },
		"IC negated":        func(v *keys.Verifying) { v.IC[2].Neg(&v.IC[1]) },
		"IC infinity":       func(v *keys.Verifying) { v.IC[3].SetInfinity() },
		"alpha infinity":    func(v *keys.Verifying) { v.Alpha.SetInfinity() },
		"I_0 infinity":      func(v *keys.Verifying) { v.WeightedPositions.SetInfinity() },
		"S infinity":        func(v *keys.Verifying) { v.Positions.SetInfinity() },
		"same bases":        func(v *keys.Verifying) { v.BasesDigests[1] = v.BasesDigests[0] },
	}
	for name, point := range g2Points() {
		cases[name+" infinity"] = func(v *keys.Verifying) { point(v).SetInfinity() }
	}
	for name, damage := range cases {
		v := copyOf(t, fixture.EpochShape)
		damage(v)
		_, err := keys.Parse(v.Bytes())
		requireCode(t, name, err, fault.BadKey)
	}
	// gamma = generator is normal for ceremony keys.
	v := copyOf(t, fixture.EpochShape)
	v.GammaNeg.Neg(&generator)
	if _, err := keys.Parse(v.Bytes()); err != nil {
		t.Errorf("gamma = generator: %v", err)
	}
}

// The exporter refuses what the words cannot show: bases, and circuits that use gnark's challenge.
func TestRefusedGnarkKeys(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	type material struct {
		vk    *groth16.VerifyingKey
		bases [][]bn254.G1Affine
	}
	for name, damage := range map[string]func(m *material){
		"":                             func(*material) {},
		"base infinity":                func(m *material) { m.bases[0][3].SetInfinity() },
		"base repeated":                func(m *material) { m.bases[1][3] = m.bases[1][4] },
		"base repeated in another key": func(m *material) { m.bases[2][3] = m.bases[0][3] },
		"base negated":                 func(m *material) { m.bases[0][3].Neg(&m.bases[0][4]) },
		"base missing":                 func(m *material) { m.bases[0] = m.bases[0][:9] },
		"hash wire used":               func(m *material) { m.vk.G1.K[7] = m.vk.G1.Alpha },
		"public wire committed":        func(m *material) { m.vk.PublicAndCommitmentCommitted[1] = []int{1} },
		"IC too short":                 func(m *material) { m.vk.G1.K = m.vk.G1.K[:8] },
		"IC too long":                  func(m *material) { m.vk.G1.K = append(m.vk.G1.K, m.vk.G1.Alpha) },
		"commitment key missing":       func(m *material) { m.vk.CommitmentKeys = m.vk.CommitmentKeys[:2] },
		"sigmas equal":                 func(m *material) { m.vk.CommitmentKeys[1] = m.vk.CommitmentKeys[0] },
		"gamma = delta":                func(m *material) { m.vk.G2.Gamma = m.vk.G2.Delta },
	} {
		vk, err := keys.LoadGnark(fixture.KeyDir(t, fixture.EpochShape))
		if err != nil {
			t.Fatal(err)
		}
		m := &material{vk: vk}
		for i := range key.Proving.CommitmentKeys {
			m.bases = append(m.bases, append([]bn254.G1Affine(nil), key.Proving.CommitmentKeys[i].Basis...))
		}
		damage(m)
		v, err := keys.FromGnark(m.vk, fixture.EpochShape, m.bases)
		if name != "" {
			requireCode(t, name, err, fault.BadKey)
		} else if err != nil || v.ID() != key.Verifying.ID() {
			t.Errorf("the honest key: %v", err)
		}
	}
}

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
	shape := circuits.Shape{Kind: circuits.KindEpoch, Slots: 2}
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
	if _, _, err := keys.Setup(circuits.Shape{Kind: circuits.KindEpoch}, cache); err == nil {
		t.Error("a key without slots was made")
	}
}

// A folder of which any file changed is refused before the file is parsed.
func TestDamagedFolders(t *testing.T) {
	shape := circuits.Shape{Kind: circuits.KindEpoch, Slots: 3}
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
				continue // a byte of key.json may be white space, and what follows the object is not read
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
		"kind":        func(i *keys.Info) { i.Kind = circuits.KindTree },
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

// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/gnark"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// shapes is one of every kind.
var shapes = []circuits.Shape{fixture.EpochShape, fixture.TreeShape, fixture.SortedShape,
	fixture.MemberShape, fixture.AbsentShape}

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
	for _, shape := range shapes {
		data := fixture.Key(t, shape).Verifying.Bytes()
		v, err := keys.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(v.Bytes(), data) {
			t.Errorf("%v: the bytes do not survive", shape)
		}
		for _, bad := range [][]byte{nil, data[:len(data)-1], data[:len(data)-32],
			append(bytes.Clone(data), 0),
			append(bytes.Clone(data), make([]byte, 32)...), make([]byte, keys.MaxWordsBytes+1)} {
			_, err := keys.Parse(bad)
			requireCode(t, "length", err, fault.BadKey)
		}
	}
}

// The header admits one value per word, given the kind.
func TestHeader(t *testing.T) {
	data := fixture.Key(t, fixture.EpochShape).Verifying.Bytes()
	for word, values := range map[int][]byte{0: {0, 2}, 1: {0, 2, 3}, 2: {0}, 3: {5}, 4: {4, 6, 8},
		5: {0, 2, 4}, 6: {1, 2}} {
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

// A key is refused unless every point is canonical, on its curve and in its subgroup.
func TestPoints(t *testing.T) {
	for _, shape := range shapes {
		data := fixture.Key(t, shape).Verifying.Bytes()
		words := len(data) / 32
		for word := 7; word < words; word++ {
			if shape.Kind == kinds.Epoch && word >= words-7 && word < words-4 {
				continue // digests
			}
			aliased, zeroed, moved := bytes.Clone(data), bytes.Clone(data), bytes.Clone(data)
			value := new(big.Int).SetBytes(data[32*word : 32*word+32])
			value.Add(value, fp.Modulus()).FillBytes(aliased[32*word : 32*word+32])
			copy(zeroed[32*word:], make([]byte, 32))
			moved[32*word+31] ^= 1
			for name, bad := range map[string][]byte{"+ q": aliased, "= 0": zeroed,
				"moved": moved} {
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
		"sigmas equal": func(v *keys.Verifying) {
			v.Knowledge[2].SigmaNeg = v.Knowledge[0].SigmaNeg
		},
		"sigmas opposite": func(v *keys.Verifying) {
			v.Knowledge[2].SigmaNeg.Neg(&v.Knowledge[0].SigmaNeg)
		},
		"sigma = 1": func(v *keys.Verifying) {
			v.Knowledge[1].SigmaNeg.Neg(&v.Knowledge[1].G)
		},
		"sigma = -1":     func(v *keys.Verifying) { v.Knowledge[1].SigmaNeg = v.Knowledge[1].G },
		"different G":    func(v *keys.Verifying) { v.Knowledge[1].G.Double(&v.Knowledge[1].G) },
		"IC too short":   func(v *keys.Verifying) { v.IC = v.IC[:5] },
		"IC too long":    func(v *keys.Verifying) { v.IC = append(v.IC, v.Alpha) },
		"IC repeated":    func(v *keys.Verifying) { v.IC[2] = v.IC[1] },
		"IC negated":     func(v *keys.Verifying) { v.IC[2].Neg(&v.IC[1]) },
		"IC infinity":    func(v *keys.Verifying) { v.IC[3].SetInfinity() },
		"alpha infinity": func(v *keys.Verifying) { v.Alpha.SetInfinity() },
		"I_0 infinity":   func(v *keys.Verifying) { v.WeightedPositions.SetInfinity() },
		"S infinity":     func(v *keys.Verifying) { v.Positions.SetInfinity() },
		"same bases":     func(v *keys.Verifying) { v.BasesDigests[1] = v.BasesDigests[0] },
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

// The table of refused keys that the tests of all three loaders read. Only sound keys are accepted.
func TestSharedBadKeys(t *testing.T) {
	var vectors struct {
		Cases []struct {
			Name, Rule, Words string
			Sound             bool
		}
	}
	fixture.Vectors(t, "bad_keys.json", &vectors)
	for _, c := range vectors.Cases {
		data, err := hex.DecodeString(c.Words[2:])
		if err != nil {
			t.Fatal(err)
		}
		_, err = keys.Parse(data)
		if c.Sound && err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		if !c.Sound {
			requireCode(t, c.Name, err, fault.BadKey)
		}
	}
	if len(vectors.Cases) < 70 {
		t.Errorf("%d cases only", len(vectors.Cases))
	}
}

// Bases of positions whose digest is the key's are refused all the same unless they are sound.
func TestBadBases(t *testing.T) {
	var vectors struct {
		Cases []struct {
			Name, Words, Bases string
			Sound              bool
		}
	}
	fixture.Vectors(t, "bad_bases.json", &vectors)
	for _, c := range vectors.Cases {
		words, err := hex.DecodeString(c.Words[2:])
		if err != nil {
			t.Fatal(err)
		}
		bases, err := hex.DecodeString(c.Bases[2:])
		if err != nil {
			t.Fatal(err)
		}
		v, err := keys.Parse(words)
		if err == nil {
			_, err = v.ParsePositionBases(bases)
		}
		if (err == nil) != c.Sound {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	if len(vectors.Cases) < 30 {
		t.Errorf("%d cases only", len(vectors.Cases))
	}
}

// The exporter refuses what the words do not show: unsound bases, and circuits that use gnark's
// challenge.
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
		"public wire committed": func(m *material) {
			m.vk.PublicAndCommitmentCommitted[1] = []int{1}
		},
		"IC too short": func(m *material) { m.vk.G1.K = m.vk.G1.K[:8] },
		"IC too long": func(m *material) {
			m.vk.G1.K = append(m.vk.G1.K, m.vk.G1.Alpha)
		},
		"commitment key missing": func(m *material) {
			m.vk.CommitmentKeys = m.vk.CommitmentKeys[:2]
		},
		"sigmas equal": func(m *material) {
			m.vk.CommitmentKeys[1] = m.vk.CommitmentKeys[0]
		},
		"gamma = delta": func(m *material) { m.vk.G2.Gamma = m.vk.G2.Delta },
	} {
		vk, err := gnark.Load(fixture.KeyDir(t, fixture.EpochShape))
		if err != nil {
			t.Fatal(err)
		}
		m := &material{vk: vk}
		for i := range key.Proving.CommitmentKeys {
			m.bases = append(m.bases, append([]bn254.G1Affine(nil),
				key.Proving.CommitmentKeys[i].Basis...))
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

// A key that is accepted is encoded to the very bytes that it was read from.
func FuzzParse(f *testing.F) {
	data := fixture.Key(f, fixture.EpochShape).Verifying.Bytes()
	f.Add(data)
	f.Add(data[:len(data)-32])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, err := keys.Parse(data); err == nil && !bytes.Equal(v.Bytes(), data) {
			t.Error("a second encoding of a key was accepted")
		}
	})
}

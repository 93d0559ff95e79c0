// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/gnark"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove/epoch"
	"provenance/zkprover/statement"
	"provenance/zkprover/verify"
)

func TestMain(m *testing.M) { fixture.Main(m) }

func honestEpoch(t *testing.T) *proof.Proof {
	t.Helper()
	leaves := fixture.Leaves(t, fixture.Slots)
	p, err := epoch.Prove(fixture.Key(t, fixture.EpochShape), &epoch.Witness{
		Data: leaves, Used: leaves, Positions: statement.IdentityPositions(0, fixture.Slots),
		DataBlinding: fixture.Scalar(), UsedBlinding: fixture.Scalar(),
		Challenge: fixture.Challenge(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// gnark and this verifier agree on every damaged proof but one kind: shifts of proofs of knowledge
// that cancel in the fold, which gnark cannot see.
func TestDifferentialWithGnark(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	vk, err := gnark.Load(fixture.KeyDir(t, fixture.EpochShape))
	if err != nil {
		t.Fatal(err)
	}
	_, _, x, _ := bn254.Generators()
	for name, change := range map[string]func(p *proof.Proof){
		"honest":      func(*proof.Proof) {},
		"(-A, -B, C)": func(p *proof.Proof) { p.A.Neg(&p.A); p.B.Neg(&p.B) },
		"-A":          func(p *proof.Proof) { p.A.Neg(&p.A) },
		"A infinity":  func(p *proof.Proof) { p.A.SetInfinity() },
		"C + X":       func(p *proof.Proof) { p.C.Add(&p.C, &x) },
		"public":      func(p *proof.Proof) { p.Public[3] = fixture.Scalar() },
		"D and U": func(p *proof.Proof) {
			p.Commitments[0], p.Commitments[1] = p.Commitments[1], p.Commitments[0]
		},
		"D+X, P-X": func(p *proof.Proof) {
			p.Commitments[0].Add(&p.Commitments[0], &x)
			p.Commitments[2].Sub(&p.Commitments[2], &x)
		},
		"pok of U": func(p *proof.Proof) { p.Knowledge[1].Add(&p.Knowledge[1], &x) },
		"poks sum": func(p *proof.Proof) {
			p.Knowledge[0].Add(&p.Knowledge[0], &x)
			p.Knowledge[1].Sub(&p.Knowledge[1], &x)
		},
		"too few inputs": func(p *proof.Proof) { p.Public = p.Public[:4] },
		"too few points": func(p *proof.Proof) {
			p.Commitments = p.Commitments[:2]
			p.Knowledge = p.Knowledge[:2]
		},
	} {
		p := honestEpoch(t)
		change(p)
		ours, theirs := verify.Verify(key.Verifying, p, verify.MaskAll), gnark.Verify(vk, p)
		if (ours == nil) != (theirs == nil) {
			t.Errorf("%s: here %v, gnark %v", name, ours, theirs)
		}
	}
	p := honestEpoch(t)
	challenge, err := verify.FoldingChallenge(p)
	if err != nil {
		t.Fatal(err)
	}
	shift := fr.One()
	shift.Inverse(&challenge)
	p.Knowledge[0].Add(&p.Knowledge[0], &x)
	x.ScalarMultiplication(&x, shift.BigInt(new(big.Int)))
	p.Knowledge[1].Sub(&p.Knowledge[1], &x)
	if err := gnark.Verify(vk, p); err != nil {
		t.Errorf("gnark should accept poks that agree in the fold: %v", err)
	}
	if err := verify.Verify(key.Verifying, p, verify.MaskAll); !errors.Is(err,
		verify.ErrKnowledge) {
		t.Errorf("poks that agree in the fold: %v", err)
	}
}

func TestReasons(t *testing.T) {
	vk := fixture.Key(t, fixture.EpochShape).Verifying
	for name, c := range map[string]struct {
		want   error
		mask   verify.Mask
		change func(p *proof.Proof)
	}{
		"kind": {verify.ErrKey, 7, func(p *proof.Proof) { p.Kind = kinds.Tree }},
		"key":  {verify.ErrKey, 7, func(p *proof.Proof) { p.KeyID[0] ^= 1 }},
		"poks": {verify.ErrShape, 7, func(p *proof.Proof) { p.Knowledge = p.Knowledge[:2] }},
		"inputs": {verify.ErrShape, 7, func(p *proof.Proof) {
			p.Public = append(p.Public, fr.Element{})
		}},
		"mask": {verify.ErrShape, 8, func(*proof.Proof) {}},
		"commitment": {verify.ErrCommitment, 7, func(p *proof.Proof) {
			p.Commitments[1].SetInfinity()
			p.Knowledge[1].SetInfinity()
		}},
		"knowledge": {verify.ErrKnowledge, 7, func(p *proof.Proof) {
			p.Knowledge[1] = p.Knowledge[0]
		}},
		"equation": {verify.ErrEquation, 7, func(p *proof.Proof) { p.C = p.A }},
	} {
		p := honestEpoch(t)
		c.change(p)
		if err := verify.Verify(vk, p, c.mask); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// The wire form admits one text per number and nothing beside the format's fields.
func TestProofTexts(t *testing.T) {
	p := honestEpoch(t)
	text, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := proof.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := back.Marshal(); string(again) != string(text) {
		t.Error("the text does not survive")
	}
	change := func(edit func(fields map[string]any)) []byte {
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		edit(fields)
		out, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, bad := range map[string][]byte{
		"empty":         nil,
		"trailing":      append(append([]byte(nil), text...), "{}"...),
		"too long":      make([]byte, proof.MaxBytes+1),
		"format":        change(func(f map[string]any) { f["format"] = "provenance-proof/2" }),
		"unknown field": change(func(f map[string]any) { f["x"] = 1 }),
		"no a":          change(func(f map[string]any) { delete(f, "a") }),
		"three words": change(func(f map[string]any) {
			f["a"] = append(f["a"].([]any), f["a"].([]any)[0])
		}),
		"short number": change(func(f map[string]any) { f["public"].([]any)[0] = "0x01" }),
		"upper case": change(func(f map[string]any) {
			f["public"].([]any)[0] = "0x" + digits("A")
		}),
		"upper 0X": change(func(f map[string]any) {
			f["public"].([]any)[0] = "0X" + digits("a")
		}),
		"not hex": change(func(f map[string]any) {
			f["public"].([]any)[0] = "0x" + digits("g")
		}),
		"number": change(func(f map[string]any) { f["public"].([]any)[0] = 1 }),
		"input r": change(func(f map[string]any) {
			f["public"].([]any)[0] = "0x" + hex.EncodeToString(fr.Modulus().Bytes())
		}),
		"vkId of a word": change(func(f map[string]any) { f["vkId"] = "0x00" }),
	} {
		if _, err := proof.Parse(bad); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// digits is a word of zeros that ends in the given character.
func digits(last string) string { return strings.Repeat("0", 63) + last }

func FuzzParseProof(f *testing.F) {
	f.Add([]byte("{}"))
	f.Add([]byte(`{"format":"provenance-proof/1"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := proof.Parse(text)
		if err != nil {
			return
		}
		again, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := proof.Parse(again); err != nil || back.KeyID != p.KeyID {
			t.Errorf("a parsed proof does not survive: %v", err)
		}
	})
}

func TestMissingGnarkKey(t *testing.T) {
	var failure *fault.Error
	if _, err := gnark.Load(os.TempDir()); !errors.As(err, &failure) ||
		failure.Code != fault.BadFile {
		t.Errorf("%v", err)
	}
}

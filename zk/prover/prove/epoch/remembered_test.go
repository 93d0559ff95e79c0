// SPDX-License-Identifier: Apache-2.0

package epoch

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/keys"
	"provenance/zkprover/verify"
)

// A commitment is remembered by key, vector, every value and the blinding.
func TestADigestDependsOnAllOfACommitment(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	w := newEpoch(t).witness(0)
	openings, err := w.openings(key)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[[sha256.Size]byte]bool{}
	for vector := range openings {
		seen[digest(key, vector, openings[0])] = true
	}
	for _, at := range []int{0, fixture.Slots - 1, fixture.Slots} { // the last one is the blinding
		changed := slices.Clone(openings[0])
		changed[at].Add(&changed[at], new(fr.Element).SetOne())
		seen[digest(key, 0, changed)] = true
	}
	other := *key.Verifying
	other.DeltaNeg = other.GammaNeg
	seen[digest(&keys.Key{Verifying: &other}, 0, openings[0])] = true
	if len(seen) != 7 {
		t.Errorf("%d digests of 7 commitments", len(seen))
	}
}

// What is remembered wrongly makes one proof fail, and is made again for the next.
func TestAWrongCommitmentIsForgotten(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	w, other := newEpoch(t).witness(0), newEpoch(t).witness(0)
	openings, err := w.openings(key)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := Commit(key, keys.VectorUsed, other.Used, &other.UsedBlinding)
	if err != nil {
		t.Fatal(err)
	}
	remembered.keep(digest(key, keys.VectorUsed, openings[keys.VectorUsed]), wrong)
	if _, err := Prove(key, w); fault.Of(err).Code != fault.Internal || err == nil {
		t.Errorf("a proof with a wrong commitment: %v", err)
	}
	if _, err := Prove(key, w); err != nil {
		t.Error(err)
	}
}

// A commitment under damaged bases is refused, and not remembered for when they are mended.
func TestDamagedBasesAreNotRemembered(t *testing.T) {
	dir := fixture.KeyDir(t, fixture.EpochShape)
	damaged, err := keys.LoadBases(dir)
	if err != nil {
		t.Fatal(err)
	}
	bases := damaged.Proving.CommitmentKeys[keys.VectorUsed].BasisExpSigma
	bases[0], bases[1] = bases[1], bases[0]
	w := newEpoch(t).witness(0)
	for range 2 {
		_, err := Commit(damaged, keys.VectorUsed, w.Used, &w.UsedBlinding)
		if fault.Of(err).Code != fault.BadKey || err == nil {
			t.Errorf("damaged bases: %v", err)
		}
	}
	key := fixture.Key(t, fixture.EpochShape)
	if _, err := Commit(key, keys.VectorUsed, w.Used, &w.UsedBlinding); err != nil {
		t.Error(err)
	}
}

// With the commitment of the registration, the bases of D are not needed.
func TestARegisteredCommitmentIsTaken(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	w := newEpoch(t).witness(0)
	made, err := Commit(key, keys.VectorData, w.Data, &w.DataBlinding)
	if err != nil {
		t.Fatal(err)
	}
	w.Registered = &made
	light, err := keys.Load(fixture.KeyDir(t, fixture.EpochShape))
	if err != nil {
		t.Fatal(err)
	}
	bases := &light.Proving.CommitmentKeys[keys.VectorData]
	bases.Basis = make([]bn254.G1Affine, len(bases.Basis))
	bases.BasisExpSigma = bases.Basis
	p, err := Prove(light, w)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Commitments[keys.VectorData].Equal(&made.Point) {
		t.Error("the proof has another D than the registered one")
	}
	if err := verify.Verify(key.Verifying, p, verify.MaskAll); err != nil {
		t.Error(err)
	}
}

// A commitment of another dataset makes no proof, and neither does one that nobody knows.
func TestAForeignRegisteredCommitmentIsRefused(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	w, other := newEpoch(t).witness(0), newEpoch(t).witness(0)
	foreign, err := Commit(key, keys.VectorData, other.Data, &other.DataBlinding)
	if err != nil {
		t.Fatal(err)
	}
	unknown := Commitment{Point: foreign.Point, Knowledge: foreign.Point}
	for _, c := range []struct {
		registered Commitment
		code       fault.Code
	}{{foreign, fault.Mismatch}, {unknown, fault.BadRequest}} {
		w.Registered = &c.registered
		if _, err := Prove(key, w); err == nil || fault.Of(err).Code != c.code {
			t.Errorf("expected %v, got %v", c.code, err)
		}
	}
	w.Registered = nil
	if _, err := Prove(key, w); err != nil { // nothing foreign was remembered
		t.Error(err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var m memory
	name := func(i int) (out [sha256.Size]byte) {
		binary.BigEndian.PutUint64(out[:], uint64(i))
		return out
	}
	for i := range most + 2 {
		m.keep(name(i), Commitment{})
		m.keep(name(i), Commitment{})
	}
	_, oldest := m.find(name(1))
	_, newest := m.find(name(most + 1))
	if len(m.made) != most || len(m.order) != most || oldest || !newest {
		t.Errorf("%d remembered, %d in order", len(m.made), len(m.order))
	}
}

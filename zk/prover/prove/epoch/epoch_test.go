// SPDX-License-Identifier: Apache-2.0

package epoch

import (
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/gnark"
	"provenance/zkprover/keys"
	"provenance/zkprover/order"
	"provenance/zkprover/prove"
	"provenance/zkprover/statement"
)

const count = 300

// epoch is a dataset of 300 records with one order, fed as `used` says.
type epoch struct {
	leaves, used []fr.Element
	a, inverse   []uint64
	challenge    statement.Challenge
	d, u         []fr.Element // blindings
}

func newEpoch(t *testing.T) *epoch {
	t.Helper()
	e := &epoch{leaves: fixture.Leaves(t, count), challenge: fixture.Challenge()}
	var err error
	if e.a, err = order.Shuffle([32]byte{7}, 0, count); err != nil {
		t.Fatal(err)
	}
	if e.inverse, err = order.Invert(e.a); err != nil {
		t.Fatal(err)
	}
	for _, leaf := range e.a {
		e.used = append(e.used, e.leaves[leaf])
	}
	for range 2 {
		e.d, e.u = append(e.d, fixture.Scalar()), append(e.u, fixture.Scalar())
	}
	return e
}

func (e *epoch) witness(chunk int) *Witness {
	return &Witness{
		Data:         statement.Window(e.leaves, chunk, fixture.Slots),
		Used:         statement.Window(e.used, chunk, fixture.Slots),
		Positions:    statement.Positions(e.inverse, chunk, fixture.Slots),
		DataBlinding: e.d[chunk], UsedBlinding: e.u[chunk],
		Start: uint64(chunk * fixture.Slots), Challenge: e.challenge,
	}
}

// accepted is what a ledger decides from the products of all chunks: A = B and not 0.
func accepted(witnesses ...*Witness) bool {
	a, b := fr.One(), fr.One()
	for _, w := range witnesses {
		public := w.public()
		a.Mul(&a, &public[3])
		b.Mul(&b, &public[4])
	}
	return a.Equal(&b) && !a.IsZero()
}

func TestEpochProofs(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	vk, err := gnark.Load(fixture.KeyDir(t, fixture.EpochShape))
	if err != nil {
		t.Fatal(err)
	}
	e := newEpoch(t)
	a, b := fr.One(), fr.One()
	for chunk := range 2 {
		w := e.witness(chunk)
		p, err := Prove(key, w)
		if err != nil {
			t.Fatal(err)
		}
		for k, c := range commitAll(t, key, w) {
			if !p.Commitments[k].Equal(&c.Point) || !p.Knowledge[k].Equal(&c.Knowledge) {
				t.Errorf("chunk %d: commitment %d is not the anchored one", chunk, k)
			}
		}
		if err := gnark.Verify(vk, p); err != nil {
			t.Errorf("gnark refuses chunk %d: %v", chunk, err)
		}
		a.Mul(&a, &p.Public[3])
		b.Mul(&b, &p.Public[4])
	}
	if !a.Equal(&b) || a.IsZero() {
		t.Error("A and B differ")
	}
}

// Two proofs of one statement differ in A, B, C and agree in their commitments.
func TestProofsAreRandomizedCommitmentsAreNot(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	w := newEpoch(t).witness(0)
	first, err := Prove(key, w)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Prove(key, w)
	if err != nil {
		t.Fatal(err)
	}
	if first.A.Equal(&second.A) || first.C.Equal(&second.C) {
		t.Error("two proofs share their randomness")
	}
	for k := range first.Commitments {
		if !first.Commitments[k].Equal(&second.Commitments[k]) {
			t.Errorf("commitment %d differs", k)
		}
	}
	w.DataBlinding = fixture.Scalar()
	third := commitAll(t, key, w)
	if third[0].Point.Equal(&first.Commitments[0]) {
		t.Error("the blinding is without effect")
	}
}

// commitAll commits to the vectors of a witness, as is done before they are anchored.
func commitAll(t *testing.T, key *keys.Key, w *Witness) []Commitment {
	t.Helper()
	var out []Commitment
	for vector, in := range []struct {
		values   []fr.Element
		blinding *fr.Element
	}{{w.Data, &w.DataBlinding}, {w.Used, &w.UsedBlinding}, {w.Positions, nil}} {
		c, err := Commit(key, vector, in.values, in.blinding)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// A proof whose commitments are not to the witness's vectors does not leave the process, nor does
// one of a key that can only commit.
func TestOwnCheck(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	w, other := newEpoch(t).witness(0), newEpoch(t).witness(0)
	foreign, err := Prove(key, other)
	if err != nil {
		t.Fatal(err)
	}
	public := w.public()
	p, err := prove.Groth16(key, w.assignment(public))
	if err != nil {
		t.Fatal(err)
	}
	own, err := Prove(key, w)
	if err != nil {
		t.Fatal(err)
	}
	for what, points := range map[string][2][]bn254.G1Affine{
		"commitments":         {foreign.Commitments, foreign.Knowledge},
		"proofs of knowledge": {own.Commitments, foreign.Knowledge},
	} {
		p.Commitments, p.Knowledge, p.Public = points[0], points[1], public
		if err := prove.Check(key, p); fault.Of(err).Code != fault.Internal || err == nil {
			t.Errorf("a proof with another witness's %s: %v", what, err)
		}
	}
	bases, err := keys.LoadBases(fixture.KeyDir(t, fixture.EpochShape))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Prove(bases, w); err == nil {
		t.Error("a key without its constraint system proves")
	}
	whole, part := commitAll(t, key, w), commitAll(t, bases, w)
	for i := range whole {
		if whole[i] != part[i] {
			t.Errorf("commitment %d differs with the bases alone", i)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package epoch

import (
	"errors"
	"math/big"
	"regexp"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/keys"
	"provenance/zkprover/prove"
	"provenance/zkprover/statement"
	"provenance/zkprover/verify"
)

// Each of these epochs can be proved chunk by chunk, with products that tell it from an honest one.
func TestDishonestUseIsSeenInTheProducts(t *testing.T) {
	for name, change := range map[string]func(e *epoch){
		"honest": func(*epoch) {},
		"swap within a chunk": func(e *epoch) {
			e.used[3], e.used[4] = e.used[4], e.used[3]
		},
		"swap across chunks": func(e *epoch) {
			e.used[3], e.used[280] = e.used[280], e.used[3]
		},
		"drop": func(e *epoch) { e.used[9].SetZero() },
		"drop and close the gap": func(e *epoch) {
			copy(e.used[9:], e.used[10:])
			e.used[count-1].SetZero()
		},
		"repeat":              func(e *epoch) { e.used[9] = e.used[10] },
		"inject":              func(e *epoch) { e.used[9] = fixture.Scalar() },
		"inject beyond count": func(e *epoch) { e.used = append(e.used, fixture.Scalar()) },
		"repeat beyond count": func(e *epoch) { e.used = append(e.used, e.used[0]) },
		"another dataset":     func(e *epoch) { e.leaves[0] = fixture.Scalar() },
		"a position twice":    func(e *epoch) { e.inverse[0] = e.inverse[1] },
		"swap, with gamma = delta": func(e *epoch) {
			e.challenge.Delta = e.challenge.Gamma
			e.used[3], e.used[4] = e.used[4], e.used[3]
		},
		"repeat, with gamma = delta": func(e *epoch) {
			e.challenge.Delta = e.challenge.Gamma
			e.used[3] = e.used[4]
		},
	} {
		e := newEpoch(t)
		change(e)
		if got := accepted(e.witness(0), e.witness(1)); got != (name == "honest") {
			t.Errorf("%s: accepted %v", name, got)
		}
	}
}

// The two challenges do different work: without delta any order passes, and a product of zero
// passes anything.
func TestWhyTheChallengesMatter(t *testing.T) {
	e := newEpoch(t)
	e.challenge.Delta.SetZero()
	e.used[3], e.used[4] = e.used[4], e.used[3]
	if !accepted(e.witness(0), e.witness(1)) {
		t.Error("with delta = 0 a swap was seen, against expectation")
	}
	e = newEpoch(t)
	var position fr.Element
	position.SetUint64(e.inverse[0])
	e.challenge.Gamma.Mul(&e.challenge.Delta, &position).Add(&e.challenge.Gamma,
		&e.leaves[0]).Neg(&e.challenge.Gamma)
	a := e.witness(0).public()[3]
	if !a.IsZero() || accepted(e.witness(0), e.witness(1)) {
		t.Error("a challenge that makes a factor zero must be refused")
	}
}

// Who knows the challenge before fixing U can make the products agree for another epoch. Its point
// then is not the anchored one, which is why every U belongs to the challenge's preimage.
func TestUsedChosenAfterTheChallenge(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	e := newEpoch(t)
	honest := e.witness(1)
	anchored, err := Commit(key, keys.VectorUsed, honest.Used, &honest.UsedBlinding)
	if err != nil {
		t.Fatal(err)
	}
	e.used[3] = fixture.Scalar()
	w0, w1 := e.witness(0), e.witness(1)
	ratio := fr.One() // what factor 0 of chunk 1 must be multiplied with
	for _, w := range []*Witness{w0, w1} {
		public := w.public()
		ratio.Mul(&ratio, &public[3])
		ratio.Div(&ratio, &public[4])
	}
	var base fr.Element
	base.SetUint64(w1.Start)
	base.Mul(&base, &e.challenge.Delta).Add(&base, &e.challenge.Gamma)
	w1.Used[0].Add(&w1.Used[0], &base)
	w1.Used[0].Mul(&w1.Used[0], &ratio)
	w1.Used[0].Sub(&w1.Used[0], &base)
	if !accepted(w0, w1) {
		t.Fatal("the adapted products should agree")
	}
	p, err := Prove(key, w1)
	if err != nil {
		t.Fatal(err)
	}
	if p.Commitments[keys.VectorUsed].Equal(&anchored.Point) {
		t.Error("an adapted U has the anchored point")
	}
}

// Padding moved into the used prefix: an empty slot takes position 5, the record of position 5 goes
// beyond the end. The products agree; only recomputing P from the order tells.
func TestPaddingInTheUsedPrefixIsSeenInP(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	e := newEpoch(t)
	w0, w1 := e.witness(0), e.witness(1)
	victim := e.a[5]
	beyond := count // first empty slot, in chunk 1
	owner := w0
	if victim >= fixture.Slots {
		owner = w1
	}
	owner.Positions[victim%fixture.Slots] = fr.NewElement(uint64(beyond))
	w1.Positions[beyond-fixture.Slots] = fr.NewElement(uint64(5))
	w0.Used[5], w1.Used[beyond-fixture.Slots] = fr.Element{}, e.leaves[victim]
	if !accepted(w0, w1) {
		t.Fatal("the products should agree: they cannot see it")
	}
	for chunk, w := range []*Witness{w0, w1} {
		p, err := Prove(key, w)
		if err != nil {
			t.Fatal(err)
		}
		right, err := keys.CommitPositions(key.Proving.CommitmentKeys[2].Basis,
			statement.Positions(e.inverse, chunk, fixture.Slots))
		if err != nil {
			t.Fatal(err)
		}
		if changed := chunk == 1 ||
			victim < fixture.Slots; changed == p.Commitments[2].Equal(&right) {
			t.Errorf("chunk %d: recomputing P does not tell", chunk)
		}
	}
}

// A proof for a shifted start does not verify for the ledger's.
func TestShiftedStart(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	w := newEpoch(t).witness(1)
	w.Start++
	p, err := Prove(key, w)
	if err != nil {
		t.Fatal(err)
	}
	p.Public[2].SetUint64(fixture.Slots)
	if err := verify.Verify(key.Verifying, p, verify.MaskEpoch); !errors.Is(err,
		verify.ErrEquation) {
		t.Errorf("shifted start: %v", err)
	}
}

var silent = regexp.MustCompile(`^unproven: the statement is false: constraint \d+ does not hold$`)

// A prover that states false products finds no witness, and hears nothing of one.
func TestFalseProductsHaveNoWitness(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	w := newEpoch(t).witness(0)
	for i := range 5 {
		public := w.public()
		public[i].Add(&public[i], new(fr.Element).SetOne())
		var failure *fault.Error
		_, err := prove.Groth16(key, w.assignment(public))
		if !errors.As(err, &failure) || failure.Code != fault.Unproven {
			t.Errorf("public input %d: %v", i, err)
		}
		if !silent.MatchString(failure.Error()) { // gnark's own text quotes values of the witness
			t.Errorf("public input %d: %v", i, err)
		}
	}
}

// linkP is what a ledger computes for a link: I_0 + c*n*S.
func linkP(vk *keys.Verifying, chunk int) bn254.G1Affine {
	var p bn254.G1Affine
	p.ScalarMultiplication(&vk.Positions, big.NewInt(int64(chunk*vk.Shape.Slots)))
	p.Add(&p, &vk.WeightedPositions)
	return p
}

func TestLinkProofs(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	e := newEpoch(t)
	for chunk := range 2 {
		p, err := Prove(key, Link(e.leaves, chunk, fixture.Slots, e.d[chunk], e.challenge))
		if err != nil {
			t.Fatal(err)
		}
		if want := linkP(key.Verifying, chunk); !p.Commitments[2].Equal(&want) ||
			!p.Commitments[1].IsInfinity() {
			t.Errorf("chunk %d: U is not infinity or P not I_0 + c*n*S", chunk)
		}
		epochProof, err := Prove(key, e.witness(chunk))
		if err != nil {
			t.Fatal(err)
		}
		if !p.Commitments[0].Equal(&epochProof.Commitments[0]) {
			t.Errorf("chunk %d: link and epoch commit to different D", chunk)
		}
		if err := verify.Verify(key.Verifying, p, verify.MaskNone); err != nil {
			t.Errorf("chunk %d: %v", chunk, err)
		}
		if err := verify.Verify(key.Verifying, p, verify.MaskEpoch); !errors.Is(err,
			verify.ErrCommitment) {
			t.Errorf("chunk %d under the epoch's mask: %v", chunk, err)
		}
	}
}

// A link with other positions, or with a U that is not zero, proves something else; the ledger's
// own points refuse it.
func TestDishonestLinks(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	e := newEpoch(t)
	for name, change := range map[string]func(w *Witness){
		"another P": func(w *Witness) {
			w.Positions[0], w.Positions[1] = w.Positions[1], w.Positions[0]
		},
		"U not zero":     func(w *Witness) { w.Used[0] = fixture.Scalar() },
		"U blinded only": func(w *Witness) { w.UsedBlinding = fixture.Scalar() },
	} {
		w := Link(e.leaves, 0, fixture.Slots, e.d[0], e.challenge)
		change(w)
		p, err := Prove(key, w)
		if err != nil {
			t.Fatal(err)
		}
		p.Commitments[1].SetInfinity()
		p.Commitments[2] = linkP(key.Verifying, 0)
		if err := verify.Verify(key.Verifying, p, verify.MaskNone); !errors.Is(err,
			verify.ErrEquation) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Commitments of another chunk or of another key are refused.
func TestForeignCommitments(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	other := fixture.Key(t, smallEpochShape)
	e := newEpoch(t)
	p, err := Prove(key, e.witness(0))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := Prove(other, smallEpoch(smallEpochShape.Slots))
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.Verify(key.Verifying, foreign, verify.MaskEpoch); !errors.Is(err,
		verify.ErrKey) {
		t.Errorf("proof of another key: %v", err)
	}
	for k := range 3 {
		mixed := *p
		mixed.Commitments = append([]bn254.G1Affine(nil), p.Commitments...)
		mixed.Knowledge = append([]bn254.G1Affine(nil), p.Knowledge...)
		mixed.Commitments[k], mixed.Knowledge[k] = foreign.Commitments[k], foreign.Knowledge[k]
		if err := verify.Verify(key.Verifying, &mixed, verify.MaskAll); err == nil {
			t.Errorf("commitment %d of another key is accepted", k)
		}
	}
}

func TestWrongRequests(t *testing.T) {
	key := fixture.Key(t, fixture.EpochShape)
	e := newEpoch(t)
	blind := fixture.Scalar()
	for name, run := range map[string]func() error{
		"too few values": func() error {
			_, err := Commit(key, keys.VectorData, e.leaves[:9], &blind)
			return err
		},
		"no blinding": func() error {
			_, err := Commit(key, keys.VectorData, e.leaves[:256], nil)
			return err
		},
		"blinded positions": func() error {
			_, err := Commit(key, keys.VectorPosition, e.leaves[:256], &blind)
			return err
		},
		"a key without them": func() error {
			_, err := Commit(fixture.Key(t, fixture.TreeShape), 0, e.leaves[:256], &blind)
			return err
		},
	} {
		var failure *fault.Error
		if err := run(); !errors.As(err, &failure) || failure.Code != fault.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"errors"
	"math/bits"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint"

	"provenance/zkprover/circuits"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/gnark"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove/epoch"
	"provenance/zkprover/statement"
	"provenance/zkprover/verify"
)

// colludedLeaves and colludedBlinding are what D of the proofs below holds.
var (
	colludedLeaves   = []fr.Element{fixture.Scalar(), fixture.Scalar(), fixture.Scalar()}
	colludedBlinding = fixture.Scalar()
	colludedOrder    = []uint64{2, 0, 1}
)

func honestProof(t *testing.T, c *collusion) *proof.Proof {
	t.Helper()
	slots := colludedShape.Slots
	w := &epoch.Witness{Data: statement.Window(colludedLeaves, 0, slots),
		Used:      make([]fr.Element, slots),
		Positions: statement.Positions(colludedOrder, 0, slots), DataBlinding: colludedBlinding,
		UsedBlinding: fixture.Scalar(), Challenge: fixture.Challenge()}
	for i, position := range colludedOrder {
		w.Used[position] = colludedLeaves[i]
	}
	return provedBy(t, c, w)
}

func honestLink(t *testing.T, c *collusion) *proof.Proof {
	t.Helper()
	return provedBy(t, c, epoch.Link(colludedLeaves, 0, colludedShape.Slots, colludedBlinding,
		fixture.Challenge()))
}

func provedBy(t *testing.T, c *collusion, w *epoch.Witness) *proof.Proof {
	t.Helper()
	p, err := epoch.Prove(c.key, w)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// From here on somebody has every [sigma]_1, as after a ceremony whose contributors all collude.
// The first line of defence is gone: D + c[1]_1 with P - c[1]_1 passes every check of a proof.
func TestWithEverySigmaConstantsThatCancelPass(t *testing.T) {
	c := collude(t)
	vk, err := gnark.Load(c.folder)
	if err != nil {
		t.Fatal(err)
	}
	p := shifted(c, honestProof(t, c), 5, 0, -5)
	if err := verify.Verify(c.key.Verifying, p, verify.MaskAll); err != nil {
		t.Errorf("the margins below are tested against an attack that is seen before: %v", err)
	}
	if err := gnark.Verify(vk, p); err != nil {
		t.Errorf("gnark: %v", err)
	}
}

// shifted adds d, u and p times [1]_1 to D, U and P, each with its proof of knowledge.
func shifted(c *collusion, p *proof.Proof, constants ...int64) *proof.Proof {
	sigmas := c.sigmas()
	for i, constant := range constants {
		var by fr.Element
		by.SetInt64(constant)
		shift(p, i, &sigmas[i], &by)
	}
	return p
}

// Margin 1: the constants sum to 0, or the equation fails.
func TestConstantsMustSumToZero(t *testing.T) {
	c := collude(t)
	for _, constants := range [][]int64{{5, 0, 0}, {0, 5, 0}, {0, 0, 5}, {5, 0, 5}, {1, 1, 1}} {
		p := shifted(c, honestProof(t, c), constants...)
		if err := verify.Verify(c.key.Verifying, p, verify.MaskAll); !errors.Is(err,
			verify.ErrEquation) {
			t.Errorf("constants %v: %v", constants, err)
		}
	}
}

// Why no other proof does better: with a constant, row i of the system reads L_i R_i - O_i = c. The
// rows of gnark's masks (m * 1 = m) and the rows between the constraints and the end of the domain
// are 0 = 0 whatever the wires are, so they read 0 = c. An epoch key of any size has both.
func TestEveryEpochCircuitHasRowsThatNoConstantSatisfies(t *testing.T) {
	for _, slots := range []int{1, 2, 4, 16, 256} {
		circuit := circuitOfShape(t, circuits.Shape{Kind: kinds.Epoch, Slots: slots})
		count := circuit.System.GetNbConstraints()
		if count != 3*slots+6 || domain(circuit) <= count {
			t.Errorf("%d slots: %d constraints, domain %d", slots, count, domain(circuit))
		}
		if got := tautologies(circuit); got != circuits.EpochCommitments {
			t.Errorf("%d slots: %d rows hold for all wires, want one per commitment", slots, got)
		}
	}
	for slots := 1; slots <= kinds.MaxSlots; slots++ {
		if bits.OnesCount(uint(3*slots+6)) == 1 {
			t.Errorf("%d slots: the constraints fill the domain", slots)
		}
	}
}

// tautologies counts the constraints that hold for any wires (tried with random ones).
func tautologies(circuit *keys.Circuit) (count int) {
	internal, secret, public := circuit.System.GetNbVariables()
	values := make(fr.Vector, internal+secret+public)
	values.MustSetRandom()
	values[0].SetOne()
	sum := func(side constraint.LinearExpression) (sum fr.Element) {
		for _, t := range side {
			var term fr.Element
			term.Mul(&circuit.System.Coefficients[t.CoeffID()], &values[t.WireID()])
			sum.Add(&sum, &term)
		}
		return sum
	}
	for _, row := range circuit.System.GetR1Cs() {
		l, r, o := sum(row.L), sum(row.R), sum(row.O)
		if l.Mul(&l, &r).Equal(&o) {
			count++
		}
	}
	return count
}

// Margin 2: the link fixes D. Its U is infinity and its P is the ledger's own, so D alone would
// have to carry a constant.
func TestTheLinkFixesTheConstantOfD(t *testing.T) {
	c := collude(t)
	p := honestLink(t, c)
	const mask = 1 << keys.VectorData
	if err := verify.Verify(c.key.Verifying, p, mask); err != nil {
		t.Fatal(err)
	}
	if !p.Commitments[keys.VectorUsed].IsInfinity() ||
		!p.Commitments[keys.VectorPosition].Equal(&c.key.Verifying.WeightedPositions) {
		t.Fatal("the link's U and P are not those that a ledger computes")
	}
	if err := verify.Verify(c.key.Verifying, shifted(c, p, 5, 0, 0), mask); !errors.Is(err,
		verify.ErrEquation) {
		t.Errorf("D + c in a link: %v", err)
	}
	// Only a ledger that took U or P from the prover would accept.
	p = shifted(c, honestLink(t, c), 5, -5, 0)
	if err := verify.Verify(c.key.Verifying, p, mask); err != nil ||
		p.Commitments[keys.VectorUsed].IsInfinity() {
		t.Errorf("D + c, U - c in a link: %v", err)
	}
	p = shifted(c, honestLink(t, c), 5, 0, -5)
	if err := verify.Verify(c.key.Verifying, p, mask); err != nil ||
		p.Commitments[keys.VectorPosition].Equal(&c.key.Verifying.WeightedPositions) {
		t.Errorf("D + c, P - c in a link: %v", err)
	}
}

// Margin 3: recomputing P from the order fixes P; with D fixed too, U follows.
func TestRecomputingPositionsFixesTheConstantOfP(t *testing.T) {
	c := collude(t)
	bases := c.key.Proving.CommitmentKeys[keys.VectorPosition].Basis
	want, err := keys.CommitPositions(bases, statement.Positions(colludedOrder, 0,
		colludedShape.Slots))
	if err != nil {
		t.Fatal(err)
	}
	p := honestProof(t, c)
	if got := p.Commitments[keys.VectorPosition]; !got.Equal(&want) {
		t.Fatal("P of an honest proof is not the recomputed one")
	}
	for _, constants := range [][]int64{{5, 0, -5}, {0, 5, -5}} {
		p := shifted(c, honestProof(t, c), constants...)
		forged := p.Commitments[keys.VectorPosition]
		if err := verify.Verify(c.key.Verifying, p, verify.MaskAll); err != nil ||
			forged.Equal(&want) {
			t.Errorf("constants %v: %v, or P is the recomputed one", constants, err)
		}
		p.Commitments[keys.VectorPosition] = want
		if err := verify.Verify(c.key.Verifying, p, verify.MaskNone); !errors.Is(err,
			verify.ErrEquation) {
			t.Errorf("constants %v with the recomputed P: %v", constants, err)
		}
	}
	registered := honestLink(t, c).Commitments[keys.VectorData]
	p = shifted(c, honestProof(t, c), 0, 5, 0)
	if !equalPoint(p.Commitments[keys.VectorData], registered) {
		t.Error("D of epoch and link differ")
	}
	if err := verify.Equation(c.key.Verifying, p); !errors.Is(err, verify.ErrEquation) {
		t.Errorf("U + c with the registered D and the recomputed P: %v", err)
	}
}

func equalPoint(p, q bn254.G1Affine) bool { return p.Equal(&q) }

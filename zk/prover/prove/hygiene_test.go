// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	fcs "github.com/consensys/gnark/frontend/cs"

	"provenance/zkprover/circuits"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/tree"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// solved is a constraint system with a full assignment of its wires.
type solved struct {
	system      *cs.R1CS
	constraints []constraint.R1C
	wires       []fr.Element
	users       map[int][]int // wire to the constraints it occurs in
}

var compiledOnce = map[circuits.Shape]*cs.R1CS{} // tests of this package do not run in parallel

// compiled is the constraint system of a shape.
func compiled(t testing.TB, shape circuits.Shape) *cs.R1CS {
	t.Helper()
	if compiledOnce[shape] == nil {
		system, err := circuits.Compile(shape)
		if err != nil {
			t.Fatal(err)
		}
		compiledOnce[shape] = system
	}
	return compiledOnce[shape]
}

// solve fills in the internal wires; the stand-in for gnark's commitment hash is any value.
func solve(t *testing.T, shape circuits.Shape, assignment frontend.Circuit) (*solved, error) {
	t.Helper()
	system := compiled(t, shape)
	witness, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	hash := func(_ *big.Int, _, out []*big.Int) error { out[0].SetUint64(42); return nil }
	solution, err := system.Solve(witness, solver.OverrideHint(solver.GetHintID(fcs.Bsb22CommitmentComputePlaceholder), hash))
	if err != nil {
		return nil, err
	}
	s := &solved{system: system, constraints: system.GetR1Cs(), users: map[int][]int{}}
	s.wires = append(s.wires, solution.(*cs.R1CSSolution).W...)
	for i, c := range s.constraints {
		for _, side := range []constraint.LinearExpression{c.L, c.R, c.O} {
			for _, term := range side {
				s.users[term.WireID()] = append(s.users[term.WireID()], i)
			}
		}
	}
	return s, nil
}

func (s *solved) value(side constraint.LinearExpression) fr.Element {
	var sum, term fr.Element
	for _, t := range side {
		term.Mul(&s.system.Coefficients[t.CoeffID()], &s.wires[t.WireID()])
		sum.Add(&sum, &term)
	}
	return sum
}

// holds evaluates the constraints that a wire occurs in.
func (s *solved) holds(wire int) bool {
	for _, i := range s.users[wire] {
		c := &s.constraints[i]
		l, r, o := s.value(c.L), s.value(c.R), s.value(c.O)
		if l.Mul(&l, &r); !l.Equal(&o) {
			return false
		}
	}
	return true
}

// free are the wires that can be changed alone without any constraint noticing.
func (s *solved) free() map[int]bool {
	out := map[int]bool{}
	for wire := range s.wires {
		for _, shift := range []fr.Element{fr.One(), fixture.Scalar()} {
			before := s.wires[wire]
			s.wires[wire].Add(&before, &shift)
			if s.holds(wire) {
				out[wire] = true
			}
			s.wires[wire] = before
		}
	}
	return out
}

func smallEpoch(slots int) *EpochWitness {
	w := &EpochWitness{DataBlinding: fixture.Scalar(), UsedBlinding: fixture.Scalar(), Start: 4, Challenge: fixture.Challenge()}
	for i := range slots {
		w.Data, w.Used = append(w.Data, fixture.Scalar()), append(w.Used, fixture.Scalar())
		w.Positions = append(w.Positions, number(7+i))
	}
	return w
}

// Only the masks and the unused hash wires of the commitments may be changed alone.
func TestEpochWiresAreBound(t *testing.T) {
	w := smallEpoch(4)
	s, err := solve(t, circuits.Shape{Kind: circuits.KindEpoch, Slots: 4}, w.assignment(w.public()))
	if err != nil {
		t.Fatal(err)
	}
	free := s.free()
	for _, c := range s.system.CommitmentInfo.(constraint.Groth16Commitments) {
		for _, allowed := range []int{c.CommitmentIndex, c.PrivateCommitted[len(c.PrivateCommitted)-1]} {
			if !free[allowed] {
				t.Errorf("wire %d was expected to be free", allowed)
			}
			delete(free, allowed)
		}
	}
	if len(free) != 0 {
		t.Errorf("wires %v can be changed alone", free)
	}
}

func smallTree(t *testing.T, count int) *tree.Tree {
	t.Helper()
	built, err := tree.New(fixture.Leaves(t, count), 3)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

var smallTreeShape = circuits.Shape{Kind: circuits.KindTree, Slots: 16, Depth: 3}

// Candidates outside the used prefix have no effect; everything else is bound.
func TestTreeWiresAreBound(t *testing.T) {
	for _, c := range []struct{ count, k, unused int }{{40, 1, 0}, {40, 2, 8}, {256, 15, 0}} {
		built := smallTree(t, c.count)
		public := treePublic(built, c.k, 16, fixture.Challenge())
		s, err := solve(t, smallTreeShape, treeAssignment(built, c.k, 16, public))
		if err != nil {
			t.Fatal(err)
		}
		free := s.free()
		firstCandidate := 1 + circuits.TreePublic
		for i := 16 - c.unused; i < 16; i++ {
			if !free[firstCandidate+i] {
				t.Errorf("candidate %d was expected to be free", i)
			}
			delete(free, firstCandidate+i)
		}
		if len(free) != 0 {
			t.Errorf("count %d, chunk %d: wires %v can be changed alone", c.count, c.k, free)
		}
	}
}

// Every public input of a valid assignment is bound: any other value has no witness with the same secrets.
func TestPublicInputsAreBound(t *testing.T) {
	w := smallEpoch(4)
	for i := range circuits.EpochPublic {
		public := w.public()
		public[i].Add(&public[i], new(fr.Element).SetOne())
		if _, err := solve(t, circuits.Shape{Kind: circuits.KindEpoch, Slots: 4}, w.assignment(public)); err == nil {
			t.Errorf("epoch: public input %d is not bound", i)
		}
	}
	built := smallTree(t, 40)
	for i := range circuits.TreePublic {
		public := treePublic(built, 2, 16, fixture.Challenge())
		assignment := treeAssignment(built, 2, 16, public)
		shifted := public[i]
		shifted.Add(&shifted, new(fr.Element).SetOne())
		fields := []*frontend.Variable{&assignment.Root, &assignment.Chunk, &assignment.Used, &assignment.Last,
			&assignment.Gamma, &assignment.Delta, &assignment.Product, &assignment.Zeros}
		*fields[i] = shifted
		if _, err := solve(t, smallTreeShape, assignment); err == nil {
			t.Errorf("tree: public input %d is not bound", i)
		}
	}
}

var smallEpochShape = circuits.Shape{Kind: circuits.KindEpoch, Slots: 4}

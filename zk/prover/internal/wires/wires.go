// SPDX-License-Identifier: Apache-2.0

// Package wires is for tests: it solves circuits and looks for wires that a dishonest prover could
// change.
//
// It may import circuits, fixture and verify. No program imports it.
package wires

import (
	"math/big"
	"sync"
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
)

var (
	guard    sync.Mutex
	compiled = map[circuits.Shape]*cs.R1CS{}
)

// Compiled is the constraint system of a shape, compiled once in a process.
func Compiled(tb testing.TB, shape circuits.Shape) *cs.R1CS {
	tb.Helper()
	guard.Lock()
	defer guard.Unlock()
	if compiled[shape] == nil {
		system, err := circuits.Compile(shape)
		if err != nil {
			tb.Fatal(err)
		}
		compiled[shape] = system
	}
	return compiled[shape]
}

// Solve returns an error unless the assignment satisfies the circuit, by gnark's hints or by other
// values of the wires that hints give. The wires of gnark's commitment hash get an arbitrary value.
func Solve(tb testing.TB, shape circuits.Shape, assignment frontend.Circuit) error {
	tb.Helper()
	_, err := solve(tb, shape, assignment)
	if err == nil {
		return nil
	}
	full, fullErr := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if fullErr != nil {
		tb.Fatal(fullErr)
	}
	system := Compiled(tb, shape)
	wires := append([]fr.Element{fr.One()}, full.Vector().(fr.Vector)...)
	s := &solved{system: system, constraints: system.GetR1Cs(),
		wires: append(wires, make([]fr.Element, system.GetNbInternalVariables())...)}
	if newDerivation(s).satisfy() {
		return nil
	}
	return err
}

// Satisfied tells whether the assignment satisfies the circuit.
func Satisfied(tb testing.TB, shape circuits.Shape, assignment frontend.Circuit) bool {
	tb.Helper()
	return Solve(tb, shape, assignment) == nil
}

func solve(tb testing.TB, shape circuits.Shape, assignment frontend.Circuit) (fr.Vector, error) {
	tb.Helper()
	witness, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		tb.Fatal(err)
	}
	hash := func(_ *big.Int, _, out []*big.Int) error { out[0].SetUint64(42); return nil }
	placeholder := solver.GetHintID(fcs.Bsb22CommitmentComputePlaceholder)
	solution, err := Compiled(tb, shape).Solve(witness, solver.OverrideHint(placeholder, hash))
	if err != nil {
		return nil, err
	}
	return solution.(*cs.R1CSSolution).W, nil
}

// solved is a constraint system with a full assignment of its wires.
type solved struct {
	system      *cs.R1CS
	constraints []constraint.R1C
	wires       []fr.Element
	users       map[int][]int // wire to the constraints it occurs in
}

// Free are the wires of a satisfied assignment that can be changed alone without breaking a
// constraint.
func Free(tb testing.TB, shape circuits.Shape, assignment frontend.Circuit) map[int]bool {
	tb.Helper()
	s := solvedSystem(tb, shape, assignment)
	s.index()
	return s.free()
}

// index fills users.
func (s *solved) index() {
	s.users = map[int][]int{}
	for i, c := range s.constraints {
		for _, side := range []constraint.LinearExpression{c.L, c.R, c.O} {
			for _, term := range side {
				s.users[term.WireID()] = append(s.users[term.WireID()], i)
			}
		}
	}
}

func solvedSystem(tb testing.TB, shape circuits.Shape, assignment frontend.Circuit) *solved {
	tb.Helper()
	wires, err := solve(tb, shape, assignment)
	if err != nil {
		tb.Fatalf("%v: the honest assignment: %v", shape, err)
	}
	system := Compiled(tb, shape)
	return &solved{system: system, constraints: system.GetR1Cs(), wires: wires}
}

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

// holds tells whether all constraints that a wire occurs in are satisfied.
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

func (s *solved) value(side constraint.LinearExpression) fr.Element {
	var sum, term fr.Element
	for _, t := range side {
		term.Mul(&s.system.Coefficients[t.CoeffID()], &s.wires[t.WireID()])
		sum.Add(&sum, &term)
	}
	return sum
}

// Value is the value of a variable that an assignment set.
func Value(v frontend.Variable) fr.Element {
	var e fr.Element
	if _, err := e.SetInterface(v); err != nil {
		panic(err)
	}
	return e
}

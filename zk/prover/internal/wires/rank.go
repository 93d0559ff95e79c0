// SPDX-License-Identifier: Apache-2.0

package wires

import (
	"math/big"
	"slices"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"

	"provenance/zkprover/circuits"
)

// hashed is one Poseidon hash of a circuit.
type hashed struct {
	inputs []constraint.LinearExpression
	output constraint.LinearExpression
}

// watcher builds a circuit and notes its hashes. It implements poseidon.Observer.
type watcher struct {
	frontend.Builder[constraint.U64]
	hashes []hashed
}

// Commit implements frontend.Committer.
func (w *watcher) Commit(v ...frontend.Variable) (frontend.Variable, error) {
	return w.Builder.(frontend.Committer).Commit(v...)
}

// Hashed implements poseidon.Observer.
func (w *watcher) Hashed(inputs []frontend.Variable, output frontend.Variable) {
	expression := func(v frontend.Variable) constraint.LinearExpression {
		return w.ToCanonicalVariable(v).(constraint.LinearExpression)
	}
	h := hashed{output: expression(output)}
	for _, input := range inputs {
		h.inputs = append(h.inputs, expression(input))
	}
	w.hashes = append(w.hashes, h)
}

// watch compiles a circuit and returns its hashes, in which wires have the system's numbers.
func watch(tb testing.TB, circuit frontend.Circuit) (*cs.R1CS, []hashed) {
	tb.Helper()
	var w *watcher
	newBuilder := func(
		q *big.Int, c frontend.CompileConfig,
	) (frontend.Builder[constraint.U64], error) {
		builder, err := r1cs.NewBuilder[constraint.U64](q, c)
		w = &watcher{Builder: builder}
		return w, err
	}
	system, err := frontend.Compile(ecc.BN254.ScalarField(), newBuilder, circuit)
	if err != nil {
		tb.Fatal(err)
	}
	return system.(*cs.R1CS), w.hashes
}

// jacobian is the derivative of a satisfied constraint system at its wires.
type jacobian struct {
	*solved
	known  map[int]bool // wires that are given: public inputs, commitments, pinned wires
	system *elimination
}

// gradient is the derivative of an expression, times a factor, over the wires that are not known.
func (j *jacobian) gradient(into form, side constraint.LinearExpression, factor *fr.Element) form {
	for _, t := range side {
		if t.IsConstant() || j.known[t.WireID()] {
			continue
		}
		var c fr.Element
		c.Mul(&j.solved.system.Coefficients[t.CoeffID()], factor)
		into.add(t.WireID(), &c)
	}
	return into
}

// newJacobian has a row for each constraint L R = O: R dL + L dR - dO = 0. Pinned wires count as
// given, released ones do not although they are public.
func newJacobian(s *solved, pinned, released []int) *jacobian {
	j := &jacobian{solved: s, known: map[int]bool{}, system: newElimination()}
	for wire := range s.system.GetNbPublicVariables() {
		j.known[wire] = !slices.Contains(released, wire)
	}
	for _, c := range s.system.CommitmentInfo.(constraint.Groth16Commitments) {
		j.known[c.CommitmentIndex] = true
		for _, wire := range c.PrivateCommitted {
			j.known[wire] = true
		}
	}
	for _, wire := range pinned {
		j.known[wire] = true
	}
	minusOne := new(fr.Element).SetInt64(-1)
	for i := range s.constraints {
		c := &s.constraints[i]
		l, r := s.value(c.L), s.value(c.R)
		row := form{}
		j.gradient(row, c.L, &r)
		j.gradient(row, c.R, &l)
		j.system.insert(j.gradient(row, c.O, minusOne))
	}
	return j
}

// solve eliminates. As soon as a hash is shown to be fixed, so are its inputs.
func (j *jacobian) solve(hashes []hashed) {
	one := fr.One()
	waiting := slices.Clone(hashes)
	for {
		j.system.peel()
		before := len(waiting)
		waiting = slices.DeleteFunc(waiting, func(h hashed) bool {
			fixed := j.system.isZero(j.gradient(form{}, h.output, &one))
			if fixed {
				for _, input := range h.inputs {
					j.system.insert(j.gradient(form{}, input, &one))
				}
			}
			return fixed
		})
		if len(waiting) == before && !j.system.eliminate() {
			return
		}
	}
}

// free is the dimension of the null space, and the wires that are no pivot: if these are given, so
// are all others.
func (j *jacobian) free() (wires []int) {
	determined := map[int]bool{}
	for _, p := range j.system.pivots {
		determined[p.wire] = true
	}
	for wire := range j.wires {
		if !j.known[wire] && !j.system.zero[wire] && !determined[wire] {
			wires = append(wires, wire)
		}
	}
	return wires
}

// Undetermined are wires by whose values all others would be determined, near the assignment; none
// if the Jacobian has full rank. pinned are wires that count as given. The constant is wire 0, and
// input i (public ones first) is wire i + 1.
func Undetermined(
	tb testing.TB, shape circuits.Shape, assignment frontend.Circuit, pinned ...int,
) []int {
	tb.Helper()
	s, hashes := watched(tb, shape, assignment)
	return undetermined(s, hashes, pinned, nil)
}

// watched is a solved circuit with its hashes. Each of its wires must follow from its inputs.
func watched(
	tb testing.TB, shape circuits.Shape, assignment frontend.Circuit,
) (*solved, []hashed) {
	tb.Helper()
	system, hashes := watch(tb, shape.Circuit())
	s := solvedSystem(tb, shape, assignment)
	if got, want := system.GetNbConstraints(), len(s.constraints); got != want {
		tb.Fatalf("%v: %d constraints when watched, %d else", shape, got, want)
	}
	requireDerived(tb, shape, s)
	return s, hashes
}

func undetermined(s *solved, hashes []hashed, pinned, released []int) []int {
	j := newJacobian(s, pinned, released)
	j.solve(hashes)
	return j.free()
}

// RequireRank requires that the wires of an assignment cannot be changed a little so that all
// constraints still hold to first order, but for the allowed inputs (numbered as by
// [RequireBound]), which have a degree of freedom each.
//
// Given are public inputs, committed vectors with their masks, and the preimage of each hash whose
// output is determined. How it works, and what it does not see: README, "Rank of the Jacobian".
//
// Source: the implicit function theorem over a field (Shafarevich, Basic Algebraic Geometry 1,
// section II.1): where the Jacobian has full column rank, the point is alone among the solutions
// near it, which no one-parameter family of them goes through.
func RequireRank(
	tb testing.TB, shape circuits.Shape, assignment frontend.Circuit, allowed ...int,
) {
	tb.Helper()
	wires := make([]int, len(allowed))
	for i, input := range allowed {
		wires[i] = 1 + input
	}
	if free := Undetermined(tb, shape, assignment, wires...); len(free) != 0 {
		tb.Errorf("%v: wires %v are not determined", shape, free)
	}
	if len(allowed) == 0 {
		return
	}
	if free := Undetermined(tb, shape, assignment); len(free) != len(allowed) {
		tb.Errorf("%v: the null space has dimension %d, want %d: %v", shape, len(free),
			len(allowed), free)
	}
}

// RequireFollowing requires that some public inputs follow from the others: although they count as
// unknown, no wire can be changed a little, but for the allowed inputs. What a prover can change
// together with such an input would be shown with another number than the true one.
func RequireFollowing(
	tb testing.TB, shape circuits.Shape, assignment frontend.Circuit, following []int,
	allowed ...int,
) {
	tb.Helper()
	wire := func(inputs []int) (wires []int) {
		for _, input := range inputs {
			wires = append(wires, 1+input)
		}
		return wires
	}
	s, hashes := watched(tb, shape, assignment)
	if free := undetermined(s, hashes, wire(allowed), wire(following)); len(free) != 0 {
		tb.Errorf("%v: public inputs %v: wires %v can be changed", shape, following, free)
	}
}

// SPDX-License-Identifier: Apache-2.0

package wires

import (
	"errors"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/circuits"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/gnark"
	"provenance/zkprover/proof"
	"provenance/zkprover/verify"
)

// effectless are the inputs that can be changed, each alone, so that the circuit is still satisfied
// after its internal wires are solved again. Inputs count from 0, public ones first, then secret
// ones in the order of the circuit's fields.
func effectless(tb testing.TB, shape circuits.Shape, assignment frontend.Circuit) map[int]bool {
	tb.Helper()
	system := Compiled(tb, shape)
	full, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := system.Solve(full); err != nil {
		tb.Fatalf("%v: the honest assignment: %v", shape, err)
	}
	values := full.Vector().(fr.Vector)
	out := map[int]bool{}
	for i := range values {
		before, shift := values[i], fixture.Scalar()
		values[i].Add(&before, &shift)
		if _, err := system.Solve(full); err == nil {
			out[i] = true
		}
		values[i] = before
	}
	return out
}

// RequireBound requires that no wire can be changed alone, and that no input can be changed with
// the internal wires solved again, except the allowed ones.
func RequireBound(
	tb testing.TB, shape circuits.Shape, assignment frontend.Circuit, allowed ...int,
) {
	tb.Helper()
	if free := Free(tb, shape, assignment); len(free) != 0 {
		tb.Errorf("%v: wires %v can be changed alone", shape, free)
	}
	without := effectless(tb, shape, assignment)
	for _, i := range allowed {
		if !without[i] {
			tb.Errorf("%v: input %d was expected to be without effect", shape, i)
		}
		delete(without, i)
	}
	if len(without) != 0 {
		tb.Errorf("%v: inputs %v are without effect", shape, without)
	}
}

// RequirePublic requires that gnark accepts a proof without commitments, made with the fixture's
// key, and refuses it after any change of a public input.
func RequirePublic(tb testing.TB, shape circuits.Shape, p *proof.Proof) {
	tb.Helper()
	vk, err := gnark.Load(fixture.KeyDir(tb, shape))
	if err != nil {
		tb.Fatal(err)
	}
	if err := gnark.Verify(vk, p); err != nil {
		tb.Errorf("%v: gnark refuses the proof: %v", shape, err)
	}
	for i := range p.Public {
		for _, shift := range []fr.Element{fr.One(), fixture.Scalar()} {
			changed := *p
			changed.Public = append([]fr.Element(nil), p.Public...)
			changed.Public[i].Add(&changed.Public[i], &shift)
			err := verify.Verify(fixture.Key(tb, shape).Verifying, &changed, verify.MaskNone)
			if !errors.Is(err, verify.ErrEquation) {
				tb.Errorf("%v: public input %d changed: %v", shape, i, err)
			}
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/circuits"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/tree"
)

// effectless are the inputs of a satisfied assignment that can be changed alone, all internal wires being solved anew.
// Inputs count from 0, public ones first, secret ones in the order of the circuit's fields.
func effectless(t *testing.T, shape circuits.Shape, assignment frontend.Circuit) map[int]bool {
	t.Helper()
	system := compiled(t, shape)
	full, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := system.Solve(full); err != nil {
		t.Fatalf("%v: the honest assignment: %v", shape, err)
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

// requireBound requires that no wire at all can be changed alone, and no input with the rest solved anew but those
// allowed.
func requireBound(t *testing.T, shape circuits.Shape, assignment frontend.Circuit, allowed ...int) {
	t.Helper()
	s, err := solve(t, shape, assignment)
	if err != nil {
		t.Fatal(err)
	}
	if free := s.free(); len(free) != 0 {
		t.Errorf("%v: wires %v can be changed alone", shape, free)
	}
	without := effectless(t, shape, assignment)
	for _, i := range allowed {
		if !without[i] {
			t.Errorf("%v: input %d was expected to be without effect", shape, i)
		}
		delete(without, i)
	}
	if len(without) != 0 {
		t.Errorf("%v: inputs %v are without effect", shape, without)
	}
}

// satisfied tells whether the assignment has a witness.
func satisfied(t *testing.T, shape circuits.Shape, assignment frontend.Circuit) bool {
	t.Helper()
	_, err := solve(t, shape, assignment)
	return err == nil
}

// openings are the records of a fixture dataset.
func openings(t *testing.T, count int) []tree.Opening {
	t.Helper()
	digests, salts := fixture.Records(count)
	out := make([]tree.Opening, count)
	for i := range out {
		var err error
		if out[i], err = tree.Open(digests[32*i:32*i+32], salts[31*i:31*i+31]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// withHighs are records with these first halves, which need be neither sorted nor in range.
func withHighs(highs ...*big.Int) []tree.Opening {
	out := make([]tree.Opening, len(highs))
	for i, high := range highs {
		out[i] = tree.Opening{Low: fixture.Scalar(), Salt: fixture.Scalar()}
		out[i].High.SetBigInt(high)
	}
	return out
}

// planted is the tree over these records as they are.
func planted(t *testing.T, records []tree.Opening, depth int) *tree.Tree {
	t.Helper()
	leaves := make([]fr.Element, len(records))
	for i := range records {
		leaves[i] = records[i].Leaf()
	}
	built, err := tree.New(leaves, depth)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// power is 2^n + add.
func power(n uint, add int64) *big.Int {
	p := new(big.Int).Lsh(big.NewInt(1), n)
	return p.Add(p, big.NewInt(add))
}

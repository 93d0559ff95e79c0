// SPDX-License-Identifier: Apache-2.0

package rankone

import (
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
)

// product asserts (x + 1) * (y - 2) = z + 3, v = 0 or v = w, and 2x = twice.
type product struct {
	X, Y, Z, V, W, Twice frontend.Variable
}

func (c *product) Define(api frontend.API) error {
	rows := New(api)
	rows.AssertIsProduct(rows.Add(c.X, 1), rows.Sub(c.Y, 2), rows.Add(c.Z, 3))
	rows.AssertIsZeroOr(c.V, c.W)
	rows.AssertIsProduct(c.Twice, 1, rows.Mul(c.X, 2))
	return nil
}

func TestAssertions(t *testing.T) {
	compiled, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, &product{})
	if err != nil {
		t.Fatal(err)
	}
	system := compiled.(*cs.R1CS)
	if got := len(system.GetR1Cs()); got != 3 || system.GetNbInternalVariables() != 0 {
		t.Errorf("%d constraints, %d wires", got, system.GetNbInternalVariables())
	}
	for _, c := range []struct {
		x, y, z, v, w, twice int
		want                 bool
	}{
		{4, 5, 12, 0, 9, 8, true}, {4, 5, 12, 9, 9, 8, true}, {4, 5, 12, -7, -7, 8, true},
		{4, 5, 12, 0, 0, 8, true}, {-1, 5, -3, 0, 9, -2, true},
		{4, 5, 13, 0, 9, 8, false}, {4, 6, 12, 0, 9, 8, false}, {5, 5, 12, 0, 9, 10, false},
		{4, 5, 12, 1, 9, 8, false}, {4, 5, 12, 1, 0, 8, false}, {4, 5, 12, -9, 9, 8, false},
		{4, 5, 12, 0, 9, 9, false},
	} {
		witness, err := frontend.NewWitness(&product{c.x, c.y, c.z, c.v, c.w, c.twice},
			ecc.BN254.ScalarField())
		if err != nil {
			t.Fatal(err)
		}
		if err := system.IsSolved(witness); (err == nil) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

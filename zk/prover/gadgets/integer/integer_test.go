// SPDX-License-Identifier: Apache-2.0

package integer

import (
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
)

type sixteen struct {
	Number frontend.Variable `gnark:",public"`
	Bits   [16]frontend.Variable
}

func (c *sixteen) Define(api frontend.API) error {
	api.AssertIsEqual(FromBits(api, c.Bits[:]), c.Number)
	return nil
}

func compiled(t *testing.T) constraint.ConstraintSystem {
	t.Helper()
	system, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, new(sixteen))
	if err != nil {
		t.Fatal(err)
	}
	return system
}

// One for each bit, and one for the number.
func TestConstraintCounts(t *testing.T) {
	if got := compiled(t).GetNbConstraints(); got != 16+1 {
		t.Errorf("%d constraints", got)
	}
}

// FromBits undoes SetBits, and refuses a bit that is 2.
func TestBits(t *testing.T) {
	system := compiled(t)
	for number, want := range map[int]int{0: 0, 1: 1, 0xa5c3: 0xa5c3, 1<<16 - 1: 1<<16 - 1,
		1<<16 + 5: 5, -1: 1<<16 - 1} {
		c := &sixteen{Number: want}
		SetBits(c.Bits[:], number)
		if err := solve(t, system, c); err != nil {
			t.Errorf("%d: %v", number, err)
		}
		c.Number = want ^ 1
		if solve(t, system, c) == nil {
			t.Errorf("%d was shown to be %d", number, want^1)
		}
	}
	for i := range 16 { // with bits of any value every number would be one of 16 bits
		twice := &sixteen{Number: 2 << i}
		SetBits(twice.Bits[:], 0)
		twice.Bits[i] = 2
		if solve(t, system, twice) == nil {
			t.Errorf("bit %d was accepted with value 2", i)
		}
	}
}

func solve(t *testing.T, system constraint.ConstraintSystem, c *sixteen) error {
	t.Helper()
	witness, err := frontend.NewWitness(c, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	return system.IsSolved(witness)
}

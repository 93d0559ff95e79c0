// SPDX-License-Identifier: Apache-2.0

package epoch

import (
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint"

	"provenance/zkprover/circuits"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/wires"
	"provenance/zkprover/kinds"
)

func TestMain(m *testing.M) { fixture.Main(m) }

var smallEpochShape = circuits.Shape{Kind: kinds.Epoch, Slots: 4}

func smallEpoch(slots int) *Witness {
	w := &Witness{DataBlinding: fixture.Scalar(), UsedBlinding: fixture.Scalar(), Start: 4,
		Challenge: fixture.Challenge()}
	for i := range slots {
		w.Data, w.Used = append(w.Data, fixture.Scalar()), append(w.Used, fixture.Scalar())
		w.Positions = append(w.Positions, fr.NewElement(uint64(7+i)))
	}
	return w
}

// Only the masks and the unused hash wires of the commitments may be changed alone.
func TestEpochWiresAreBound(t *testing.T) {
	w := smallEpoch(4)
	free := wires.Free(t, smallEpochShape, w.assignment(w.public()))
	for _, c := range wires.Compiled(t,
		smallEpochShape).CommitmentInfo.(constraint.Groth16Commitments) {
		for _, allowed := range []int{c.CommitmentIndex,
			c.PrivateCommitted[len(c.PrivateCommitted)-1]} {
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

// Every public input of a valid assignment is bound: any other value has no witness with the same
// secrets.
func TestPublicInputsAreBound(t *testing.T) {
	w := smallEpoch(4)
	for i := range circuits.EpochPublic {
		public := w.public()
		public[i].Add(&public[i], new(fr.Element).SetOne())
		if wires.Satisfied(t, smallEpochShape, w.assignment(public)) {
			t.Errorf("public input %d is not bound", i)
		}
	}
}

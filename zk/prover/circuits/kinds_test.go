// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"testing"

	"github.com/consensys/gnark/constraint"

	"provenance/zkprover/kinds"
)

// smallShape is a small shape of each kind of the table.
var smallShape = map[kinds.Kind]Shape{
	kinds.Epoch:  {kinds.Epoch, 2, 0},
	kinds.Tree:   {kinds.Tree, 16, 1},
	kinds.Sorted: {kinds.Sorted, 16, 1},
	kinds.Member: {kinds.Member, 1, 1},
	kinds.Absent: {kinds.Absent, 1, 1},
	kinds.Q8_0:   {kinds.Q8_0, 8, 1},
	kinds.Int8:   {kinds.Int8, 8, 1},
	kinds.Merge:  MergeShape(1, 1, 8),
}

func TestEachKindOfTheTableHasACircuit(t *testing.T) {
	if len(constructors) != len(kinds.All()) || len(smallShape) != len(kinds.All()) {
		t.Errorf("%d circuits, %d shapes, want %d",
			len(constructors), len(smallShape), len(kinds.All()))
	}
	for _, kind := range kinds.All() {
		if _, ok := constructors[kind]; !ok {
			t.Errorf("no circuit of kind %s", kind)
		}
	}
}

// The circuit's own public inputs and commitments are as many as the table says.
func TestCircuitsAreWhatTheTableSays(t *testing.T) {
	for kind, shape := range smallShape {
		statement, err := kinds.ByName(kind)
		if err != nil {
			t.Fatal(err)
		}
		system := compile(t, shape)
		if got := system.GetNbPublicVariables() - 1; got != statement.PublicCount(shape.Slots) {
			t.Errorf("%v: %d public inputs, want %v", shape, got, statement.Public(shape.Slots))
		}
		commitments := system.CommitmentInfo.(constraint.Groth16Commitments)
		if len(commitments) != len(statement.Commitments) {
			t.Errorf("%v: %d commitments, want %v", shape, len(commitments), statement.Commitments)
		}
	}
}

func TestAnUnknownKindIsRefused(t *testing.T) {
	shape := Shape{Kind: "toy", Slots: 1, Depth: 1}
	if shape.Check() == nil {
		t.Error("a shape of an unknown kind passed")
	}
	defer func() {
		if recover() == nil {
			t.Error("a shape of an unknown kind has public inputs")
		}
	}()
	shape.Public()
}

// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"testing"

	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/kinds"
)

func TestToyStatement(t *testing.T) {
	const slots = 8
	statement, err := kinds.ByNumber(uint64(len(kinds.All()))) // the last one of the table
	if err != nil || statement.Kind != kinds.Toy {
		t.Fatalf("%v, %v", statement, err)
	}
	constructors[kinds.Toy] = func(s Shape) frontend.Circuit {
		return &Toy{
			Indexes: make([]frontend.Variable, kinds.IndexCount(s.Slots)),
			Codes:   make([]frontend.Variable, kinds.CodeCount(s.Slots, statement.BlockBytes)),
		}
	}
	system, err := Compile(Shape{Kind: kinds.Toy, Slots: slots, Depth: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := system.GetNbPublicVariables()-1, len(statement.Public(slots)); got != want {
		t.Errorf("%d public inputs, want %d", got, want)
	}
	if err := (Shape{Kind: kinds.Toy, Slots: kinds.MaxBlocks + 1, Depth: 1}).Check(); err == nil {
		t.Error("a toy of 65 slots passed")
	}
}

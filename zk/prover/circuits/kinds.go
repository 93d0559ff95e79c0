// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/kinds"
)

// constructors make the circuit of a kind, without values, for a shape that passed [Shape.Check].
// A new circuit needs a line here, an entry of zk/statements.json, and a file of its own.
var constructors = map[kinds.Kind]func(Shape) frontend.Circuit{
	kinds.Epoch:  func(s Shape) frontend.Circuit { return NewEpoch(s.Slots) },
	kinds.Tree:   func(s Shape) frontend.Circuit { return NewTree(s.Slots, s.Depth) },
	kinds.Sorted: func(s Shape) frontend.Circuit { return NewSorted(s.Slots, s.Depth) },
	kinds.Member: func(s Shape) frontend.Circuit { return NewMember(s.Depth) },
	kinds.Absent: func(s Shape) frontend.Circuit { return NewAbsent(s.Depth) },
	kinds.Q8_0:   func(s Shape) frontend.Circuit { return NewQ8_0(s.Slots, s.Depth) },
	kinds.Int8:   func(s Shape) frontend.Circuit { return NewInt8(s.Slots, s.Depth) },
	kinds.Merge:  func(s Shape) frontend.Circuit { return NewMerge(s.Slots, s.Levels(), s.Rank()) },
}

// Renewed tells whether an earlier release had another circuit for this kind. Keys of that circuit
// may still be about.
func (s Shape) Renewed() bool { return s.Kind == kinds.Q8_0 || s.Kind == kinds.Int8 }

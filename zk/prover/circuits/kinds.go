// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/kinds"
)

// Kind names a statement of the table in package kinds.
type Kind = kinds.Kind

// The statements of this package.
const (
	KindEpoch  = kinds.Epoch
	KindTree   = kinds.Tree
	KindSorted = kinds.Sorted
	KindMember = kinds.Member
	KindAbsent = kinds.Absent
	KindQ8_0   = kinds.Q8_0
	KindInt8   = kinds.Int8
	KindMerge  = kinds.Merge
)

// constructors make the circuit of a kind, without values, for a shape that passed [Shape.Check].
// A new circuit is a line here, a line of zk/statements.json and a file of its own.
var constructors = map[Kind]func(Shape) frontend.Circuit{
	KindEpoch:  func(s Shape) frontend.Circuit { return NewEpoch(s.Slots) },
	KindTree:   func(s Shape) frontend.Circuit { return NewTree(s.Slots, s.Depth) },
	KindSorted: func(s Shape) frontend.Circuit { return NewSorted(s.Slots, s.Depth) },
	KindMember: func(s Shape) frontend.Circuit { return NewMember(s.Depth) },
	KindAbsent: func(s Shape) frontend.Circuit { return NewAbsent(s.Depth) },
	KindQ8_0:   func(s Shape) frontend.Circuit { return NewQ8_0(s.Slots, s.Depth) },
	KindInt8:   func(s Shape) frontend.Circuit { return NewInt8(s.Slots, s.Depth) },
	KindMerge:  func(s Shape) frontend.Circuit { return NewMerge(s.Slots, s.Levels(), s.Rank()) },
}

// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"fmt"
	"slices"

	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/tree"
)

// Kind names a statement.
type Kind string

// The statements of this package.
const (
	KindEpoch  Kind = "epoch"
	KindTree   Kind = "tree"
	KindSorted Kind = "sorted"
	KindMember Kind = "member"
	KindAbsent Kind = "absent"
	KindQ8_0   Kind = "q8_0"
	KindInt8   Kind = "int8"
	KindMerge  Kind = "merge"
)

// kind is what the rest of the program needs to know about a statement.
type kind struct {
	number  uint64 // word 1 of the key format
	check   func(Shape) error
	public  func(Shape) int
	circuit func(Shape) frontend.Circuit
}

// kinds is the closed table of statements. Kinds that are not epoch hold no commitments.
var kinds = map[Kind]kind{
	KindEpoch: {1, checkEpoch, fixed(EpochPublic), func(s Shape) frontend.Circuit {
		return NewEpoch(s.Slots)
	}},
	KindTree: {2, checkChunk, fixed(TreePublic), func(s Shape) frontend.Circuit {
		return NewTree(s.Slots, s.Depth)
	}},
	KindSorted: {3, checkChunk, fixed(SortedPublic), func(s Shape) frontend.Circuit {
		return NewSorted(s.Slots, s.Depth)
	}},
	KindMember: {4, checkOne, fixed(MemberPublic), func(s Shape) frontend.Circuit {
		return NewMember(s.Depth)
	}},
	KindAbsent: {5, checkOne, fixed(AbsentPublic), func(s Shape) frontend.Circuit {
		return NewAbsent(s.Depth)
	}},
	KindQ8_0: {6, checkQuantized, quantizedPublic(Q8_0Bytes), func(s Shape) frontend.Circuit {
		return NewQ8_0(s.Slots, s.Depth)
	}},
	KindInt8: {7, checkQuantized, quantizedPublic(Int8Bytes), func(s Shape) frontend.Circuit {
		return NewInt8(s.Slots, s.Depth)
	}},
	KindMerge: {8, checkMerge, mergePublic, func(s Shape) frontend.Circuit {
		return NewMerge(s.Slots, s.Levels(), s.Rank())
	}},
}

// Kinds lists the statements in the order of their numbers.
func Kinds() []Kind {
	out := make([]Kind, 0, len(kinds))
	for k := range kinds {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b Kind) int { return int(a.Number()) - int(b.Number()) })
	return out
}

// Number is word 1 of the kind's keys; 0 for no kind.
func (k Kind) Number() uint64 { return kinds[k].number }

// KindOf is the kind with this number; empty if there is none.
func KindOf(number uint64) Kind {
	for name, k := range kinds {
		if k.number == number {
			return name
		}
	}
	return ""
}

func fixed(n int) func(Shape) int { return func(Shape) int { return n } }

func checkEpoch(s Shape) error {
	if s.Slots < 1 || s.Slots > MaxSlots || s.Depth != 0 {
		return fmt.Errorf("epoch: slots %d, want 1..%d; depth %d, want 0", s.Slots,
			MaxSlots, s.Depth)
	}
	return nil
}

func checkChunk(s Shape) error {
	level := Levels(s.Slots)
	if level < 1 || level > 4 || s.Depth < level || s.Depth > tree.MaxDepth {
		return fmt.Errorf("%s: slots %d, want 16, 256, 4096 or 65536; depth %d, want up to %d",
			s.Kind, s.Slots, s.Depth, tree.MaxDepth)
	}
	return nil
}

func checkOne(s Shape) error {
	if s.Slots != 1 || s.Depth < 1 || s.Depth > tree.MaxDepth {
		return fmt.Errorf("%s: slots %d, want 1; depth %d, want 1..%d", s.Kind, s.Slots, s.Depth,
			tree.MaxDepth)
	}
	return nil
}

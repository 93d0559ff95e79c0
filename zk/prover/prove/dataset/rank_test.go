// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"testing"

	"provenance/zkprover/circuits"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/wires"
)

// The wires of a chunk are determined, but for the candidates of empty slots.
func TestTreeHasFullRank(t *testing.T) {
	for _, c := range []struct{ count, k, unused int }{{40, 1, 0}, {40, 2, 8}, {256, 15, 0}} {
		built := smallTree(t, c.count)
		var allowed []int
		for i := 16 - c.unused; i < 16; i++ {
			allowed = append(allowed, circuits.TreePublic+i)
		}
		assignment := treeAssignment(built, c.k, 16,
			treePublic(built, c.k, 16, fixture.Challenge()))
		wires.RequireRank(t, smallTreeShape, assignment, allowed...)
		// chunk, used, last, t and z follow from the root and the challenge
		wires.RequireFollowing(t, smallTreeShape, assignment, []int{1, 2, 3, 6, 7}, allowed...)
	}
}

// Records of empty slots have no effect, and neither has the follower if there is none.
func TestSortedHasFullRank(t *testing.T) {
	const records = circuits.SortedPublic // index of the first record's hi
	for _, c := range []struct{ count, k, used int }{{40, 0, 16}, {40, 2, 8}, {256, 15, 16}} {
		var allowed []int
		for i := 3 * c.used; i < 3*16; i++ {
			allowed = append(allowed, records+i)
		}
		if c.k > 0 {
			follower := records + 3*16 + 16
			allowed = append(allowed, follower, follower+1, follower+2)
		}
		assignment := sortedCase(t, openings(t, c.count), c.k)
		wires.RequireRank(t, fixture.SortedShape, assignment, allowed...)
		if c.k == 0 { // chunk, used, more and first follow from the root
			wires.RequireFollowing(t, fixture.SortedShape, assignment, []int{1, 2, 3, 4})
		}
	}
}

func TestAbsentHasFullRank(t *testing.T) {
	for _, c := range []struct{ count, position int }{{40, 0}, {40, 16}, {40, 17}, {40, 40},
		{256, 256}, {1, 0}, {1, 1}} {
		wires.RequireRank(t, fixture.AbsentShape,
			absentCase(t, spaced(c.count), c.position, uint64(10*c.position+5)))
	}
}

func TestMemberHasFullRank(t *testing.T) {
	records := openings(t, 40)
	for _, position := range []int{0, 15, 16, 39} {
		assignment := memberCase(t, records, position)
		wires.RequireRank(t, fixture.MemberShape, assignment)
		wires.RequireFollowing(t, fixture.MemberShape, assignment, []int{2, 3}) // the digest
	}
}

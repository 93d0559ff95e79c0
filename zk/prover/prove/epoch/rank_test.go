// SPDX-License-Identifier: Apache-2.0

package epoch

import (
	"testing"

	"provenance/zkprover/circuits"
	"provenance/zkprover/internal/wires"
	"provenance/zkprover/kinds"
)

// Given public inputs and committed vectors, every wire is determined; a link is an epoch's proof
// with a U of zeros.
func TestEpochHasFullRank(t *testing.T) {
	for _, slots := range []int{1, 2, 4, 16} {
		w := smallEpoch(slots)
		shape := circuits.Shape{Kind: kinds.Epoch, Slots: slots}
		wires.RequireRank(t, shape, w.assignment(w.public()))
		wires.RequireFollowing(t, shape, w.assignment(w.public()), []int{3, 4}) // the products
		link := Link(w.Data, 1, slots, w.DataBlinding, w.Challenge)
		wires.RequireRank(t, shape,
			link.assignment(link.public()))
	}
}

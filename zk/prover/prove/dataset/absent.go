// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/merkle"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove"
	"provenance/zkprover/tree"
)

// Gap is where a digest would lie in a sorted dataset: between the records at Position-1 and
// Position. Below is nil at the start (position 0), Above at the end (position count).
type Gap struct {
	Position     int
	Below, Above *tree.LeafPreimage
}

// Absent proves that a digest whose first half is high lies in the gap, without revealing where. No
// error reveals the position or a neighbour.
func Absent(key *keys.Key, t *tree.Tree, high fr.Element, g *Gap) (*proof.Proof, error) {
	if err := requireKey(key, kinds.Absent, t); err != nil {
		return nil, err
	}
	if err := g.check(t, &high); err != nil {
		return nil, err
	}
	public := absentPublic(t, high)
	return prove.Statement(key, absentAssignment(t, g, public), public)
}

// check requires that the gap is one of the tree, and that the digest lies in the gap.
func (g *Gap) check(t *tree.Tree, high *fr.Element) error {
	if g.Position < 0 || g.Position > t.Count() {
		return fault.New(fault.BadRequest, "the position is not one of %d records or their end",
			t.Count())
	}
	if (g.Below == nil) != (g.Position == 0) || (g.Above == nil) != (g.Position == t.Count()) {
		return fault.New(fault.BadRequest, "the neighbours are not those of the position").
			WithHint("give the record before the position and the one at it; " +
				"at start and end of the dataset only one")
	}
	for _, side := range []struct {
		neighbour *tree.LeafPreimage
		at        int
	}{{g.Below, g.Position - 1}, {g.Above, g.Position}} {
		if side.neighbour != nil && t.Node(0, side.at) != side.neighbour.Leaf() {
			return fault.New(fault.Mismatch, "a neighbour does not open its leaf")
		}
	}
	if g.Below != nil && g.Below.High.Cmp(high) >= 0 ||
		g.Above != nil && high.Cmp(&g.Above.High) >= 0 {
		return fault.New(fault.Unproven,
			"the digest does not lie between the neighbours, or is that of one of them")
	}
	return nil
}

// absentPublic is R, count, hi.
func absentPublic(t *tree.Tree, high fr.Element) []fr.Element {
	return []fr.Element{t.Root(), number(t.Count()), high}
}

// absentAssignment opens both sides of the gap; at an end of the dataset both are the one record
// there.
func absentAssignment(t *tree.Tree, g *Gap, public []fr.Element) *circuits.Absent {
	c := circuits.NewAbsent(t.Depth())
	c.Root, c.Count, c.High = public[0], public[1], public[2]
	below, above, lower, upper := g.Below, g.Above, g.Position-1, g.Position
	if below == nil {
		below, lower = above, upper
	}
	if above == nil {
		above, upper = below, lower
	}
	c.AtStart, c.AtEnd = integer.OneIf(g.Below == nil), integer.OneIf(g.Above == nil)
	c.Lower, c.Upper = neighbour(t, below, lower), neighbour(t, above, upper)
	c.Children = children(t, t.Depth(), 0)
	return c
}

func neighbour(t *tree.Tree, opened *tree.LeafPreimage, at int) circuits.Neighbour {
	n := circuits.Neighbour{Record: record(opened), Path: make(merkle.Path, t.Depth()-1)}
	openPath(n.Path, t, 0, at)
	n.Digit = bits(at / tree.Capacity(t.Depth()-1))
	return n
}

// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"errors"
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/wires"
	"provenance/zkprover/tree"
)

// sortedCase assigns chunk k over records that nobody checked.
func sortedCase(t *testing.T, records []tree.LeafPreimage, k int) *circuits.Sorted {
	t.Helper()
	built := planted(t, records, fixture.SortedShape.Depth)
	to := min(len(records), (k+1)*fixture.SortedShape.Slots+1)
	return sortedAssignment(built, records[k*fixture.SortedShape.Slots:to], k,
		fixture.SortedShape.Slots, sortedPublic(built, k, fixture.SortedShape.Slots))
}

// Records outside the used prefix have no effect, and neither has the follower if there is none. No
// other input can be changed.
func TestSortedWiresAreBound(t *testing.T) {
	const records = circuits.SortedPublic // index of the first record's hi
	follower := records + 3*16 + 16
	for _, c := range []struct{ count, k, used int }{{40, 0, 16}, {40, 2, 8}, {256, 15, 16}} {
		var allowed []int
		for i := 3 * c.used; i < 3*16; i++ {
			allowed = append(allowed, records+i)
		}
		if c.k > 0 { // no chunk behind it
			allowed = append(allowed, follower, follower+1, follower+2)
		}
		wires.RequireBound(t, fixture.SortedShape,
			sortedCase(t, openings(t, c.count), c.k), allowed...)
	}
}

// Datasets that are not sorted, each in one place; every leaf is opened and every other input
// honest.
func TestUnsortedRecords(t *testing.T) {
	for name, c := range map[string]struct {
		k      int
		change func(highs []*big.Int)
	}{
		"two equal halves":                       {0, func(h []*big.Int) { h[5] = h[4] }},
		"two equal halves at the end of a chunk": {0, func(h []*big.Int) { h[15] = h[14] }},
		"two equal halves in two chunks":         {0, func(h []*big.Int) { h[16] = h[15] }},
		"two equal halves in the last chunk":     {2, func(h []*big.Int) { h[39] = h[38] }},
		"an exchanged pair": {0, func(h []*big.Int) {
			h[4], h[5] = h[5], h[4]
		}},
		"an exchanged first pair": {0, func(h []*big.Int) {
			h[0], h[1] = h[1], h[0]
		}},
		"a pair exchanged across chunks": {0, func(h []*big.Int) {
			h[15], h[16] = h[16], h[15]
		}},
		"an exchanged pair in the last chunk": {2, func(h []*big.Int) {
			h[38], h[39] = h[39], h[38]
		}},
		"a first half below zero": {0, func(h []*big.Int) { h[0] = below(3) }},
		"first halves below zero": {0, func(h []*big.Int) {
			h[0], h[1], h[2] = below(30), below(20), below(10)
		}},
		"a whole chunk below zero": {2, func(h []*big.Int) {
			fill(h[32:], below(1000))
		}},
		"a first half of 2^128": {0, func(h []*big.Int) { h[0] = power(128, 0) }},
		"a last half of 2^128": {2, func(h []*big.Int) {
			h[38], h[39] = power(128, -1), power(128, 0)
		}},
		"a following half of 2^128": {0, func(h []*big.Int) {
			h[15], h[16] = power(128, -1), power(128, 0)
		}},
		"a chunk that rises to 2^129": {0, func(h []*big.Int) {
			fill(h[8:], power(128, 5))
		}},
		"a step of 2^128 + 1": {0, func(h []*big.Int) {
			fill(h[3:], new(big.Int).Add(h[2], power(128, 1)))
		}},
		"a step beyond the order and round again": {0, func(h []*big.Int) { h[7] = below(1) }},
	} {
		highs := make([]*big.Int, 40)
		fill(highs, power(100, 0))
		c.change(highs)
		if wires.Satisfied(t, fixture.SortedShape, sortedCase(t, withHighs(highs...), c.k)) {
			t.Errorf("%s: the circuit is satisfied", name)
		}
	}
}

// fill makes the list rise from a value in steps of 7.
func fill(highs []*big.Int, from *big.Int) {
	for i := range highs {
		highs[i] = new(big.Int).Add(from, big.NewInt(int64(7*i)))
	}
}

// The exact bounds hold: 0 first, 2^128 - 1 last, steps of 1 and of nearly 2^128.
func TestSortedBounds(t *testing.T) {
	highs := make([]*big.Int, 40)
	fill(highs, power(100, 0))
	highs[0], highs[1], highs[2] = big.NewInt(0), big.NewInt(1), big.NewInt(2)
	highs[38], highs[39] = power(128, -2), power(128, -1)
	highs[16] = new(big.Int).Add(highs[15], big.NewInt(1)) // a step of 1 to the next chunk
	for k := range 3 {
		if !wires.Satisfied(t, fixture.SortedShape, sortedCase(t, withHighs(highs...), k)) {
			t.Errorf("chunk %d: the circuit is not satisfied", k)
		}
	}
	for _, pair := range [][]*big.Int{{big.NewInt(0), power(128, -1)}, {power(128, -1)},
		{big.NewInt(0)}} {
		if !wires.Satisfied(t, fixture.SortedShape, sortedCase(t, withHighs(pair...), 0)) {
			t.Errorf("%v: the circuit is not satisfied", pair)
		}
	}
}

// Assignments of a sorted dataset of 40 records that state something false about it.
func TestSortedAttacks(t *testing.T) {
	records := openings(t, 40)
	leaf := func(i int) fr.Element { return records[i].Leaf() }
	for name, c := range map[string]struct {
		k      int
		change func(c *circuits.Sorted)
	}{
		"a used leaf left out at the end": {2, func(c *circuits.Sorted) {
			c.Selectors[7], c.Used = 0, 7
		}},
		"an empty slot used": {2, func(c *circuits.Sorted) {
			c.Selectors[8], c.Used = 1, 9
		}},
		"used shifted by one": {2, func(c *circuits.Sorted) {
			c.Selectors[0], c.Selectors[8] = 0, 1
		}},
		"used that is not the number": {2, func(c *circuits.Sorted) { c.Used = 9 }},
		"a hole that hides a wrong order": {0, func(c *circuits.Sorted) {
			c.Selectors[4], c.Used = 0, 15
		}},
		"a selector of -1 behind the end": {2, func(c *circuits.Sorted) {
			c.Selectors[8], c.Used = -1, 7
		}},
		"first that is the second leaf": {0, func(c *circuits.Sorted) { c.First = leaf(1) }},
		"first of another chunk":        {1, func(c *circuits.Sorted) { c.First = leaf(0) }},
		"next that is smaller": {1, func(c *circuits.Sorted) {
			c.Next, c.Follower = leaf(3), record(&records[3])
		}},
		"next that is the last leaf": {1, func(c *circuits.Sorted) {
			c.Next, c.Follower = leaf(31), record(&records[31])
		}},
		"next of another opening": {1, func(c *circuits.Sorted) {
			c.Follower = record(&records[33])
		}},
		"next without more":        {1, func(c *circuits.Sorted) { c.More = 0 }},
		"more without next":        {1, func(c *circuits.Sorted) { c.Next = 0 }},
		"more with a next of zero": {2, func(c *circuits.Sorted) { c.More = 1 }},
		"more = 2 with a doubled next": {1, func(c *circuits.Sorted) {
			d := leaf(32)
			d.Double(&d)
			c.More, c.Next = 2, d
		}},
		"another chunk number":           {1, func(c *circuits.Sorted) { c.Chunk = 2 }},
		"a chunk number beyond the tree": {1, func(c *circuits.Sorted) { c.Chunk = 17 }},
		"digits of another chunk": {1, func(c *circuits.Sorted) {
			c.Path[0].Digit, c.Chunk = bits(2), 2
		}},
		"another root": {1, func(c *circuits.Sorted) {
			c.Root = fixture.Scalar()
		}},
		"two records exchanged": {1, func(c *circuits.Sorted) {
			c.Records[3], c.Records[4] = c.Records[4], c.Records[3]
		}},
		"a record with another half": {1, func(c *circuits.Sorted) {
			c.Records[3].High = power(100, 0)
		}},
		"a record with another salt": {1, func(c *circuits.Sorted) {
			c.Records[3].Salt = fixture.Scalar()
		}},
		"an empty chunk with no leaf at all": {2, func(c *circuits.Sorted) {
			emptied(t, c, records)
		}},
	} {
		assignment := sortedCase(t, records, c.k)
		if !wires.Satisfied(t, fixture.SortedShape, assignment) {
			t.Fatal("the honest assignment is not satisfied")
		}
		c.change(assignment)
		if wires.Satisfied(t, fixture.SortedShape, assignment) {
			t.Errorf("%s: the circuit is satisfied", name)
		}
	}
}

// With `more` = 2 twice a leaf would be told as the next one. Small first halves leave room for
// twice their differences.
func TestSortedMoreThanOnce(t *testing.T) {
	records := spaced(40)
	twice := records[16].Leaf()
	twice.Double(&twice)
	c := sortedCase(t, records, 0)
	if !wires.Satisfied(t, fixture.SortedShape, c) {
		t.Fatal("the honest assignment is not satisfied")
	}
	c.More, c.Next = 2, twice
	if wires.Satisfied(t, fixture.SortedShape, c) {
		t.Error("twice the next leaf: the circuit is satisfied")
	}
	c = sortedCase(t, records, 0)
	next := records[16].Leaf()
	c.More, c.Next = -1, *next.Neg(&next)
	if wires.Satisfied(t, fixture.SortedShape, c) {
		t.Error("the negative of the next leaf: the circuit is satisfied")
	}
}

// emptied makes the assignment that of the empty chunk 3, which only the rule used >= 1 refuses.
func emptied(t *testing.T, c *circuits.Sorted, records []tree.LeafPreimage) {
	built := planted(t, records, fixture.SortedShape.Depth)
	public := sortedPublic(built, 2, 16)
	public[1], public[2], public[4] = number(3), fr.Element{}, fr.Element{}
	*c = *sortedAssignment(built, nil, 3, 16, public)
}

// The circuit does not check that `next` is `first` of the following chunk, nor that `more` fits
// the count; the verifier must.
func TestSortedLeavesTheChainToTheVerifier(t *testing.T) {
	records := openings(t, 40)
	skipping := sortedCase(t, records, 0)
	next := records[20].Leaf()
	skipping.Next, skipping.Follower = next, record(&records[20])
	foreign := sortedCase(t, records, 0)
	other := withHighs(power(128, -1))[0]
	foreign.Next, foreign.Follower = other.Leaf(), record(&other)
	stopping := sortedCase(t, records, 0)
	stopping.More, stopping.Next = 0, 0
	for name, assignment := range map[string]*circuits.Sorted{
		"a later leaf": skipping, "a leaf of no dataset": foreign, "none": stopping,
	} {
		if !wires.Satisfied(t, fixture.SortedShape, assignment) {
			t.Errorf("next = %s: against expectation the circuit is not satisfied", name)
		}
	}
}

func TestSortedProofs(t *testing.T) {
	key := fixture.Key(t, fixture.SortedShape)
	digests, salts := fixture.Records(40)
	built := planted(t, openings(t, 40), 2)
	var next fr.Element
	for k := range 3 {
		p, err := Sorted(key, built, digests, salts, k)
		if err != nil {
			t.Fatal(err)
		}
		wires.RequirePublic(t, fixture.SortedShape, p)
		if first := p.Public[4]; k > 0 && !first.Equal(&next) {
			t.Errorf("chunk %d does not start with the next of the one before", k)
		}
		next = p.Public[5]
	}
	if !next.IsZero() {
		t.Error("the last chunk has a next")
	}
}

func TestSortedRefusals(t *testing.T) {
	key := fixture.Key(t, fixture.SortedShape)
	digests, salts := fixture.Records(40)
	built := planted(t, openings(t, 40), 2)
	equal := append([]byte(nil), digests...)
	copy(equal[32*5:32*5+16], equal[32*4:])
	foreign := append([]byte(nil), salts...)
	foreign[31*20]++
	for name, c := range map[string]struct {
		built          *tree.Tree
		digests, salts []byte
		k              int
		code           fault.Code
	}{
		"a chunk beyond the count": {built, digests, salts, 3, fault.BadRequest},
		"a negative chunk":         {built, digests, salts, -1, fault.BadRequest},
		"too few salts":            {built, digests, salts[31:], 0, fault.BadRequest},
		"another salt":             {built, digests, foreign, 1, fault.Mismatch},
		"equal halves": {planted(t, opened(t, equal, salts), 2), equal, salts, 0,
			fault.Unproven},
		"a tree of another depth": {planted(t, openings(t, 40), 3), digests, salts, 0,
			fault.Mismatch},
	} {
		var failure *fault.Error
		if _, err := Sorted(key, c.built, c.digests, c.salts, c.k); !errors.As(err, &failure) ||
			failure.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

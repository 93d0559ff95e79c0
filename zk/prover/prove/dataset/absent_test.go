// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/wires"
	"provenance/zkprover/kinds"
	"provenance/zkprover/tree"
)

// spaced are records whose first halves are 10, 20, .., 10*count.
func spaced(count int) []tree.LeafPreimage {
	highs := make([]*big.Int, count)
	for i := range highs {
		highs[i] = big.NewInt(int64(10 * (i + 1)))
	}
	return withHighs(highs...)
}

// gapAt is the gap at a position between these records.
func gapAt(records []tree.LeafPreimage, position int) *Gap {
	g := &Gap{Position: position}
	if position > 0 {
		g.Below = &records[position-1]
	}
	if position < len(records) {
		g.Above = &records[position]
	}
	return g
}

// absentCase assigns the gap at a position for a first half that may not lie in it.
func absentCase(
	t *testing.T, records []tree.LeafPreimage, position int, high uint64,
) *circuits.Absent {
	t.Helper()
	built := planted(t, records, fixture.AbsentShape.Depth)
	return absentAssignment(built, gapAt(records, position),
		absentPublic(built, fr.NewElement(high)))
}

func TestAbsentWiresAreBound(t *testing.T) {
	for _, c := range []struct{ count, position int }{{40, 0}, {40, 16}, {40, 17}, {40, 40},
		{256, 256}, {1, 0}, {1, 1}} {
		wires.RequireBound(t, fixture.AbsentShape,
			absentCase(t, spaced(c.count), c.position, uint64(10*c.position+5)))
	}
}

// Tries every pair of positions, every pair of flags and every first half over one small dataset.
// It has three records, and a fourth leaf behind the count. The circuit is satisfied exactly if the
// statement is true.
func TestAbsentExhaustively(t *testing.T) {
	shape := circuits.Shape{Kind: kinds.Absent, Slots: 1, Depth: 1}
	const count = 3
	records := withHighs(big.NewInt(2), big.NewInt(4), big.NewInt(6), big.NewInt(8))
	built := planted(t, records, 1)
	for high := range uint64(11) {
		seen := false
		for code := range 4 * 4 * 4 {
			lower, upper, start, end := code&3, code>>2&3, code>>4&1, code>>5
			c := circuits.NewAbsent(1)
			c.Root, c.Count, c.High, c.AtStart, c.AtEnd = built.Root(), count, high, start, end
			c.Lower, c.Upper = neighbour(built, &records[lower], lower), neighbour(built,
				&records[upper], upper)
			c.Children = children(built, 1, 0)
			got := wires.Satisfied(t, shape, c)
			position := lower + 1 - start
			want := start+end < 2 && upper == position-end && position <= count && upper < count &&
				(start == 0 || lower == 0) && (end == 0 || position == count) &&
				(start == 1 || uint64(2*(lower+1)) < high) &&
				(end == 1 || high < uint64(2*(upper+1)))
			if got != want {
				t.Errorf("half %d, leaves %d and %d, flags %d and %d: %v", high, lower, upper,
					start, end, got)
			}
			seen = seen || got
		}
		if there := high == 2 || high == 4 || high == 6; seen == there {
			t.Errorf("half %d: absent %v", high, seen)
		}
	}
}

func TestAbsentAttacks(t *testing.T) {
	records := spaced(40)
	built := planted(t, records, 2)
	lower := func(i int) circuits.Neighbour { return neighbour(built, &records[i], i) }
	for name, change := range map[string]func(c *circuits.Absent){
		"the lower neighbour's half": func(c *circuits.Absent) { c.High = 170 },
		"the upper neighbour's half": func(c *circuits.Absent) { c.High = 180 },
		"neighbours that skip the record": func(c *circuits.Absent) {
			c.High, c.Upper = 180, lower(18)
		},
		"neighbours that skip half the tree": func(c *circuits.Absent) {
			c.High, c.Lower, c.Upper = 180, lower(0), lower(39)
		},
		"one record twice": func(c *circuits.Absent) { c.Upper = lower(16) },
		"neighbours exchanged": func(c *circuits.Absent) {
			c.Lower, c.Upper = c.Upper, c.Lower
		},
		"start while the first leaf is less": func(c *circuits.Absent) {
			c.Lower, c.Upper, c.AtStart = lower(0), lower(0), 1
		},
		"start in the middle": func(c *circuits.Absent) {
			c.High, c.Lower, c.AtStart = 170, lower(17), 1
		},
		"end while the last leaf is larger": func(c *circuits.Absent) {
			c.Lower, c.Upper, c.AtEnd = lower(39), lower(39), 1
		},
		"end in the middle": func(c *circuits.Absent) {
			c.High, c.Upper, c.AtEnd = 180, lower(16), 1
		},
		"start and end": func(c *circuits.Absent) {
			c.Lower, c.Upper, c.AtStart, c.AtEnd = lower(0), lower(0), 1, 1
		},
		"start and end over one gap": func(c *circuits.Absent) {
			c.Lower, c.Upper, c.AtStart, c.AtEnd = lower(17), lower(16), 1, 1
		},
		"flags of 2 and -1": func(c *circuits.Absent) {
			c.High, c.Upper, c.AtStart, c.AtEnd = 180, lower(16), 2, -1
		},
		"a flag of one half and another": func(c *circuits.Absent) {
			h := fr.NewElement(1)
			h.Halve()
			c.AtStart, c.AtEnd = h, h
		},
		// Flags of -1 would let the neighbours stand two apart: the record between is hidden.
		"a start of -1 that skips the second record": func(c *circuits.Absent) {
			c.High, c.Lower, c.Upper, c.AtStart = 20, lower(0), lower(2), -1
		},
		"an end of -1 that skips the last record but one": func(c *circuits.Absent) {
			c.High, c.Lower, c.Upper, c.AtEnd = 390, lower(37), lower(39), -1
		},
		"a half of 2^128 behind the end": func(c *circuits.Absent) {
			c.High, c.Lower, c.Upper, c.AtEnd = power(128, 401), lower(39), lower(39), 1
		},
		"a half of -2^128 before the start": func(c *circuits.Absent) {
			c.Lower, c.Upper, c.AtStart = lower(0), lower(0), 1
			c.High = new(big.Int).Sub(fr.Modulus(), power(128, -9))
		},
		"a count beyond the tree":             func(c *circuits.Absent) { c.Count = 17 + 1 + 256 },
		"an upper neighbour behind the count": func(c *circuits.Absent) { c.Count = 17 },
		"a count that wraps around":           func(c *circuits.Absent) { c.Count = below(100) },
		"count = 0":                           func(c *circuits.Absent) { c.Count = 0 },
		"a half below zero":                   func(c *circuits.Absent) { c.High = below(5) },
		"a half of 2^129":                     func(c *circuits.Absent) { c.High = power(129, 0) },
		"another root": func(c *circuits.Absent) {
			c.Root = fixture.Scalar()
		},
		"a lower leaf at another place": func(c *circuits.Absent) {
			c.Lower.Path[0].Digit = bits(3)
		},
		"an upper leaf at another place": func(c *circuits.Absent) { c.Upper.Digit = bits(2) },
		"a lower record with another half": func(c *circuits.Absent) {
			c.High, c.Lower.Record.High = 170, 165
		},
		"an upper record with another half": func(c *circuits.Absent) {
			c.High, c.Upper.Record.High = 180, 185
		},
		"an upper leaf that is an empty slot": func(c *circuits.Absent) {
			nothing := tree.LeafPreimage{High: fr.NewElement(1000)}
			c.High, c.Count, c.Lower, c.Upper = 405, 41, lower(39), neighbour(built, &nothing, 40)
		},
	} {
		assignment := absentCase(t, records, 17, 175)
		if !wires.Satisfied(t, fixture.AbsentShape, assignment) {
			t.Fatal("the honest assignment is not satisfied")
		}
		change(assignment)
		if wires.Satisfied(t, fixture.AbsentShape, assignment) {
			t.Errorf("%s: the circuit is satisfied", name)
		}
	}
}

// In a dataset that is not sorted, a record that is there can be shown to be absent. So the
// statement means nothing without a complete sorted set, which such a dataset cannot have.
func TestAbsentNeedsASortedDataset(t *testing.T) {
	records := spaced(40)
	records[3], records[30] = records[30], records[3]
	if !wires.Satisfied(t, fixture.AbsentShape, absentCase(t, records, 31, 310+5)) {
		t.Error("an absent half: the circuit is not satisfied")
	}
	hidden := records[3].High.Uint64() // 310, at place 3
	between := append(slices.Clone(records[:30]), records[31:]...)
	if !wires.Satisfied(t, fixture.AbsentShape, absentCase(t, between, 30, hidden)) {
		t.Error("against expectation the record at a wrong place is not absent")
	}
	if wires.Satisfied(t, fixture.SortedShape, sortedCase(t, between, 0)) {
		t.Error("the dataset was shown to be sorted")
	}
}

func TestAbsentProofs(t *testing.T) {
	key := fixture.Key(t, fixture.AbsentShape)
	records := spaced(40)
	built := planted(t, records, 2)
	for _, position := range []int{0, 16, 40} {
		p, err := Absent(key, built, fr.NewElement(uint64(10*position+1)), gapAt(records, position))
		if err != nil {
			t.Fatal(err)
		}
		wires.RequirePublic(t, fixture.AbsentShape, p)
	}
	for name, c := range map[string]struct {
		high uint64
		gap  Gap
		code fault.Code
	}{
		"the record below":           {170, *gapAt(records, 17), fault.Unproven},
		"the record above":           {180, *gapAt(records, 17), fault.Unproven},
		"another gap":                {195, *gapAt(records, 17), fault.Unproven},
		"a larger half at the start": {15, *gapAt(records, 0), fault.Unproven},
		"a smaller half at the end":  {395, *gapAt(records, 40), fault.Unproven},
		"the start pretended":        {175, Gap{17, nil, &records[17]}, fault.BadRequest},
		"the end pretended":          {175, Gap{17, &records[16], nil}, fault.BadRequest},
		"a neighbour at the start":   {5, Gap{0, &records[0], &records[0]}, fault.BadRequest},
		"a position behind the end":  {405, Gap{41, &records[39], nil}, fault.BadRequest},
		"a negative position":        {5, Gap{-1, nil, &records[0]}, fault.BadRequest},
		"neighbours that skip one":   {180, Gap{17, &records[16], &records[18]}, fault.Mismatch},
	} {
		var failure *fault.Error
		if _, err := Absent(key, built, fr.NewElement(c.high), &c.gap); !errors.As(err, &failure) ||
			failure.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"errors"
	"testing"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/wires"
	"provenance/zkprover/tree"
)

func memberCase(t *testing.T, records []tree.LeafPreimage, position int) *circuits.Member {
	t.Helper()
	built := planted(t, records, fixture.MemberShape.Depth)
	return memberAssignment(built, position, &records[position],
		memberPublic(built, &records[position]))
}

func TestMemberWiresAreBound(t *testing.T) {
	records := openings(t, 40)
	for _, position := range []int{0, 17, 39} {
		wires.RequireBound(t, fixture.MemberShape, memberCase(t, records, position))
	}
	all := openings(t, 256)
	wires.RequireBound(t, fixture.MemberShape, memberCase(t, all, 255))
}

func TestMemberAttacks(t *testing.T) {
	records := openings(t, 40)
	for name, change := range map[string]func(c *circuits.Member){
		"another first half":  func(c *circuits.Member) { c.High = records[18].High },
		"another second half": func(c *circuits.Member) { c.Low = records[18].Low },
		"another digest": func(c *circuits.Member) {
			c.High, c.Low = records[18].High, records[18].Low
		},
		"another salt":                 func(c *circuits.Member) { c.Salt = records[18].Salt },
		"the halves exchanged":         func(c *circuits.Member) { c.High, c.Low = c.Low, c.High },
		"the leaf at a wrong position": func(c *circuits.Member) { c.Path[0].Digit = bits(2) },
		"a wrong node above":           func(c *circuits.Member) { c.Path[1].Digit = bits(0) },
		"a digit of another child":     func(c *circuits.Member) { c.Path[0].Digit[0] = 0 },
		"a bit of -1":                  func(c *circuits.Member) { c.Path[0].Digit[0] = -1 },
		"the digit 1 as 3 - 2": func(c *circuits.Member) {
			c.Path[0].Digit[0], c.Path[0].Digit[1] = 3, -1
		},
		"a changed sibling": func(c *circuits.Member) {
			c.Path[0].Children[9] = fixture.Scalar()
		},
		"another root":              func(c *circuits.Member) { c.Root = fixture.Scalar() },
		"count = position":          func(c *circuits.Member) { c.Count = 17 },
		"count = 0":                 func(c *circuits.Member) { c.Count = 0 },
		"a negative count":          func(c *circuits.Member) { c.Count = below(1) },
		"a count that wraps around": func(c *circuits.Member) { c.Count = below(200) },
		"a count beyond the tree":   func(c *circuits.Member) { c.Count = 17 + 1 + 256 },
		"an empty slot as a record": func(c *circuits.Member) {
			built := planted(t, records, 2)
			nothing := tree.LeafPreimage{}
			*c = *memberAssignment(built, 40, &nothing, memberPublic(built, &nothing))
			c.Count = 41
		},
		"a leaf behind the count": func(c *circuits.Member) {
			*c = *memberCase(t, records, 20)
			c.Count = 20
		},
	} {
		assignment := memberCase(t, records, 17)
		if !wires.Satisfied(t, fixture.MemberShape, assignment) {
			t.Fatal("the honest assignment is not satisfied")
		}
		change(assignment)
		if wires.Satisfied(t, fixture.MemberShape, assignment) {
			t.Errorf("%s: the circuit is satisfied", name)
		}
	}
	last := memberCase(t, records, 17)
	last.Count = 18 // the exact bound
	if !wires.Satisfied(t, fixture.MemberShape, last) {
		t.Error("count = position + 1: the circuit is not satisfied")
	}
}

func TestMemberProofs(t *testing.T) {
	key := fixture.Key(t, fixture.MemberShape)
	records := openings(t, 40)
	built := planted(t, records, 2)
	for _, position := range []int{0, 39} {
		p, err := Member(key, built, position, &records[position])
		if err != nil {
			t.Fatal(err)
		}
		wires.RequirePublic(t, fixture.MemberShape, p)
	}
	for name, c := range map[string]struct {
		position, record int
		code             fault.Code
	}{
		"another record":            {3, 4, fault.Unproven},
		"a negative position":       {-1, 4, fault.BadRequest},
		"a position behind the end": {40, 4, fault.BadRequest},
	} {
		var failure *fault.Error
		if _, err := Member(key, built, c.position, &records[c.record]); !errors.As(err,
			&failure) || failure.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

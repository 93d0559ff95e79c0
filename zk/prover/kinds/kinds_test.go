// SPDX-License-Identifier: Apache-2.0

package kinds

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
)

// The vector was written before the languages shared one table; Python reads the same file.
type vector struct {
	Slots, Depths []int
	Kinds         []struct {
		Number      uint64
		Name        Kind
		Commitments []string
		Fits        [][2]int
		Public      map[string][]string
	}
}

func frozen(t *testing.T) *vector {
	t.Helper()
	data, err := os.ReadFile("../../../tests/vectors/zk/kinds.json")
	if err != nil {
		t.Fatal(err)
	}
	v := new(vector)
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNumbersAndNamesAreFrozen(t *testing.T) {
	v := frozen(t)
	if len(v.Kinds) != len(All()) {
		t.Fatalf("%d kinds, want %d", len(All()), len(v.Kinds))
	}
	for i, want := range v.Kinds {
		s, err := ByNumber(want.Number)
		if err != nil {
			t.Fatal(err)
		}
		named, err := ByName(want.Name)
		if err != nil || named != s || s.Number != want.Number || All()[i] != want.Name {
			t.Errorf("number %d is %q, want %q", want.Number, s.Kind, want.Name)
		}
		if !slices.Equal(s.Commitments, want.Commitments) {
			t.Errorf("%s commits to %v, want %v", s.Kind, s.Commitments, want.Commitments)
		}
	}
}

func TestShapesAndPublicInputsAreFrozen(t *testing.T) {
	v := frozen(t)
	for _, want := range v.Kinds {
		s, err := ByName(want.Name)
		if err != nil {
			t.Fatal(err)
		}
		var fits [][2]int
		for _, slots := range v.Slots {
			for _, depth := range v.Depths {
				if s.Check(slots, depth) == nil {
					fits = append(fits, [2]int{slots, depth})
				}
			}
		}
		if !slices.Equal(fits, want.Fits) {
			t.Errorf("%s fits %v, want %v", s.Kind, fits, want.Fits)
		}
		for text, names := range want.Public {
			var slots int
			if _, err := fmt.Sscan(text, &slots); err != nil {
				t.Fatal(err)
			}
			got, count := s.Public(slots), s.PublicCount(slots)
			if !slices.Equal(got, names) || count != len(names) {
				t.Errorf("%s, %d slots: %v, want %v", s.Kind, slots, got, names)
			}
		}
	}
}

func TestUnknownKindsAreErrors(t *testing.T) {
	for _, number := range []uint64{0, uint64(len(All())) + 1, 255, 1 << 63} {
		if s, err := ByNumber(number); err == nil {
			t.Errorf("number %d is %q", number, s.Kind)
		}
	}
	for _, name := range []Kind{"", "nothing", "Epoch", "q4_0"} {
		if _, err := ByName(name); err == nil {
			t.Errorf("%q is known", name)
		}
	}
}

func TestNegativeNumbersFitNothing(t *testing.T) {
	for i := range statements {
		for _, shape := range [][2]int{{-1, 3}, {1, -1}, {16, -16}, {1, 3 - RankUnit}} {
			if statements[i].Check(shape[0], shape[1]) == nil {
				t.Errorf("%s fits slots %d, depth %d", statements[i].Kind, shape[0], shape[1])
			}
		}
	}
}

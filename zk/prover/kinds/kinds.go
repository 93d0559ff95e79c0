// SPDX-License-Identifier: Apache-2.0

// Package kinds is the closed table of statements: their numbers, the shapes of their keys and
// their public inputs.
//
// table.go is generated from zk/statements.json, as are the tables in Python and Solidity. A kind
// that is not in the table is an error. The package imports no other package of this module.
//
// Source: docs/formats/statements.md, "Kinds"; docs/formats/proofs.md, "Verifying key".
package kinds

import (
	"fmt"
	"slices"
	"strings"
)

// Kind names a statement.
type Kind string

// Words names a group of public inputs whose number follows from the slots.
type Words string

const (
	// IndexWords hold the numbers of the blocks, 32 bits each.
	IndexWords Words = "index"
	// CodeWords hold the bytes of the blocks in the deployed file.
	CodeWords Words = "code"
)

// Statement is one line of the table.
type Statement struct {
	Kind        Kind
	Number      uint64   // word 1 of a key
	Fixed       []string // names of the public inputs before the words
	Words       []Words
	Commitments []string
	Slots       Rule // of word 2
	Depth       Rule // of word 3, or of the levels in it if the kind is ranked
	HoldsSlots  bool // the tree must have room for a whole chunk: 16^depth >= slots
	Ranked      bool // word 3 is levels + RankUnit * rank
	BlockBytes  int  // of a block in the deployed file; 0 if no file is read
}

// Rule says which values a number may have: those of the list if there is one, else First to Last.
type Rule struct {
	List        []int
	First, Last int
}

func oneOf(values ...int) Rule { return Rule{List: values} }

func between(first, last int) Rule { return Rule{First: first, Last: last} }

// Allows says whether n follows the rule.
func (r Rule) Allows(n int) bool {
	if r.List != nil {
		return slices.Contains(r.List, n)
	}
	return r.First <= n && n <= r.Last
}

// String is the rule for people: "1..64" or "16, 256".
func (r Rule) String() string {
	if r.List == nil {
		return fmt.Sprintf("%d..%d", r.First, r.Last)
	}
	texts := make([]string, len(r.List))
	for i, n := range r.List {
		texts[i] = fmt.Sprint(n)
	}
	return strings.Join(texts, ", ")
}

// All lists the kinds in the order of their numbers.
func All() []Kind {
	out := make([]Kind, len(statements))
	for i := range statements {
		out[i] = statements[i].Kind
	}
	return out
}

// ByName is the statement of a kind; an unknown kind, which may come from a caller, is an error.
func ByName(kind Kind) (*Statement, error) {
	for i := range statements {
		if statements[i].Kind == kind {
			return &statements[i], nil
		}
	}
	return nil, fmt.Errorf("kind %q, want one of %v", kind, All())
}

// ByNumber is the statement with this number; an unknown number, which may come from a key, is an
// error.
func ByNumber(number uint64) (*Statement, error) {
	if number < 1 || number > uint64(len(statements)) {
		return nil, fmt.Errorf("kind %d, want 1..%d", number, len(statements))
	}
	return &statements[number-1], nil
}

// Check refuses slots and depths that no key of this kind can have.
func (s *Statement) Check(slots, depth int) error {
	if !s.Slots.Allows(slots) {
		return fmt.Errorf("%s: slots %d, want %v", s.Kind, slots, s.Slots)
	}
	levels := depth
	if s.Ranked {
		levels = Levels(depth)
		if !slices.Contains(Ranks[:], Rank(depth)) {
			return fmt.Errorf("%s: depth %d, want levels + %d * rank of %v",
				s.Kind, depth, RankUnit, Ranks)
		}
	}
	if !s.Depth.Allows(levels) {
		return fmt.Errorf("%s: levels %d, want %v", s.Kind, levels, s.Depth)
	}
	if s.HoldsSlots && capacity(levels) < slots {
		return fmt.Errorf("%s: a tree of %d levels has no room for %d slots", s.Kind, levels, slots)
	}
	return nil
}

// Levels is the number of levels in the depth word of a ranked kind.
func Levels(depth int) int { return depth % RankUnit }

// Rank is the rank in the depth word of a ranked kind.
func Rank(depth int) int { return depth / RankUnit }

// capacity is the number of leaves of a tree with this number of levels.
func capacity(levels int) int {
	leaves := 1
	for range levels {
		leaves *= Arity
	}
	return leaves
}

// PublicCount is the number of public inputs of a key with these slots.
func (s *Statement) PublicCount(slots int) int {
	count := len(s.Fixed)
	for _, words := range s.Words {
		count += s.wordCount(words, slots)
	}
	return count
}

// Public names the public inputs of a key with these slots, in order.
func (s *Statement) Public(slots int) []string {
	names := slices.Clone(s.Fixed)
	for _, words := range s.Words {
		for i := range s.wordCount(words, slots) {
			names = append(names, fmt.Sprintf("%s_%d", words, i))
		}
	}
	return names
}

func (s *Statement) wordCount(words Words, slots int) int {
	if words == CodeWords {
		return CodeCount(slots, s.BlockBytes)
	}
	return IndexCount(slots)
}

// IndexCount is how many public inputs hold the numbers of this many blocks.
func IndexCount(blocks int) int { return (blocks + IndexesPerWord - 1) / IndexesPerWord }

// CodeCount is how many public inputs hold the bytes of this many blocks of a deployed file.
func CodeCount(blocks, blockBytes int) int {
	return (blocks*blockBytes + BytesPerWord - 1) / BytesPerWord
}

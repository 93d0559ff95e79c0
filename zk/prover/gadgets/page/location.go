// SPDX-License-Identifier: Apache-2.0

// Package page opens blocks of weight trees of 16-bit values inside a circuit.
//
// Shown: in the tree whose root [NewTree] was given, the given values are the block with the
// returned number, or the group of the returned block column. Not shown: that the number is below
// the tree's number of blocks, or that parts that were not opened have the form of the format.
//
// Inputs. Callers guarantee 0 <= value < 2^16 for every value. Slots, digits and the values that
// share an element with opened ones are constrained here. Page elements and nodes may be any
// element, since the hash fixes them. Each packs an integer below 2^240, so it unpacks in one way
// only.
//
// Constraints (snapshot-tested): 610 for the top of each tree, whose sixteen nodes all openings of
// the tree share; 7 + 4L for a location with L levels above the pages; 819 for the page of a block
// of 32 values (617 if all blocks have at most 30 values that may be other than zero, 589 if 15),
// 625 for each level below the top and 16 for the top.
//
// Source: docs/formats/statements.md, "Weight trees"; the hash is that of package poseidon.
package page

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/tree"
)

const (
	// Blocks is the number of blocks of a page and Values that of the values of a block.
	Blocks = 7
	Values = 32

	valueBits = 16
	packed    = 15 // values in one element
	digitBits = 4  // tree.Arity = 2^4
)

// Position is the witness of a block number: the slot in the page, one-hot (the seventh flag is 1
// minus the others), and the base-16 digits of the page number in bits, lowest first.
type Position struct {
	Slot   [Blocks - 1]frontend.Variable
	Digits [][digitBits]frontend.Variable
}

// NewPosition is a position in trees with these levels above the pages.
func NewPosition(levels int) Position {
	return Position{Digits: make([][digitBits]frontend.Variable, levels)}
}

// Set assigns a block number.
func (p *Position) Set(index int) {
	for i := range p.Slot {
		p.Slot[i] = integer.OneIf(index%Blocks == i)
	}
	setDigits(p.Digits, index/Blocks)
}

// Location is a constrained position; several trees of the same depth can be opened at it.
type Location struct {
	// Index is the block number, below 7 * 16^levels.
	Index  frontend.Variable
	slot   [Blocks]frontend.Variable
	digits [][digitBits]frontend.Variable
}

// Constrain makes the slot one-hot and the digits' bits boolean, by 7 + 4 * levels constraints.
func (p *Position) Constrain(api frontend.API) *Location {
	at := &Location{digits: p.Digits}
	var last, slot frontend.Variable = 1, 0
	for i, s := range p.Slot {
		api.AssertIsBoolean(s)
		at.slot[i] = s
		last = api.Sub(last, s)
		slot = api.Add(slot, api.Mul(s, i))
	}
	api.AssertIsBoolean(last)
	at.slot[Blocks-1] = last
	slot = api.Add(slot, api.Mul(last, Blocks-1))
	at.Index = api.Add(slot, api.Mul(digitsNumber(api, p.Digits), Blocks))
	return at
}

// choose returns the entry of the location's slot.
func (at *Location) choose(api frontend.API, entries *[Blocks]frontend.Variable) frontend.Variable {
	chosen := entries[Blocks-1]
	for i, entry := range entries[:Blocks-1] {
		chosen = api.Add(chosen, api.Mul(at.slot[i], api.Sub(entry, entries[Blocks-1])))
	}
	return chosen
}

// digitsNumber makes the bits boolean and returns the number whose base-16 digits they are.
func digitsNumber(api frontend.API, digits [][digitBits]frontend.Variable) frontend.Variable {
	var number frontend.Variable = 0
	weight := 1
	for l := range digits {
		number = api.Add(number, api.Mul(integer.FromBits(api, digits[l][:]), weight))
		weight *= tree.Arity
	}
	return number
}

func setDigits(digits [][digitBits]frontend.Variable, number int) {
	for l := range digits {
		integer.SetBits(digits[l][:], number>>(digitBits*l))
	}
}

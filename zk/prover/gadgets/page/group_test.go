// SPDX-License-Identifier: Apache-2.0

package page

import (
	"testing"

	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// groupCircuit opens one block column of an adapter's A.
type groupCircuit struct {
	Root, Column frontend.Variable `gnark:",public"`
	Top          Children
	At           Column
	Path         []Children
	Bits         [][Values][valueBits]frontend.Variable
}

func (c *groupCircuit) Define(api frontend.API) error {
	hash, err := poseidon.NewGadget(api, tree.Arity)
	if err != nil {
		return err
	}
	values := make([][Values]frontend.Variable, len(c.Bits))
	for k := range values {
		for v := range values[k] {
			values[k][v] = integer.FromBits(api, c.Bits[k][v][:])
		}
	}
	api.AssertIsEqual(NewTree(api, hash, c.Root, &c.Top).Group(&c.At, c.Path, values), c.Column)
	return nil
}

func newGroupCircuit(rank, levels int) *groupCircuit {
	return &groupCircuit{
		At: NewColumn(rank, levels), Path: make([]Children, levels-1),
		Bits: make([][Values][valueBits]frontend.Variable, rank),
	}
}

// adapterPages lays out the blocks (k, j) of an A.
func adapterPages(columns [][][Values]uint16) map[int][][Values]uint16 {
	pages := map[int][][Values]uint16{}
	for j, blocks := range columns {
		for k := 0; k < len(blocks); k += Blocks {
			pages[j*GroupPages(len(blocks))+k/Blocks] = blocks[k:min(k+Blocks, len(blocks))]
		}
	}
	return pages
}

func (g *grove) group(column int, blocks [][Values]uint16) *groupCircuit {
	c := newGroupCircuit(len(blocks), g.built.Depth())
	path := g.path(column * GroupPages(len(blocks)))
	c.Root, c.Column = g.built.Root(), column
	c.At.Set(column)
	SetChildren(&c.Top, &path[len(path)-1])
	SetPath(c.Path, path)
	for k := range blocks {
		for v, value := range blocks[k] {
			integer.SetBits(c.Bits[k][v][:], int(value))
		}
	}
	return c
}

func TestEveryGroupOpens(t *testing.T) {
	for rank, pages := range map[int]int{8: 2, 16: 4, 32: 8, 64: 16} {
		if testing.Short() && (rank == 16 || rank == 32) {
			continue
		}
		if GroupPages(rank) != pages {
			t.Errorf("rank %d: groups of %d pages, want %d", rank, GroupPages(rank), pages)
		}
		for levels := 1; levels <= 2; levels++ {
			columns := make([][][Values]uint16, tree.Capacity(levels)/pages)
			for j := range columns {
				columns[j] = drawnBlocks(rank, Values)
			}
			g := grow(t, adapterPages(columns), levels)
			for _, j := range []int{0, len(columns) / 2, len(columns) - 1} {
				if err := solves(newGroupCircuit(rank, levels),
					g.group(j, columns[j])); err != nil {
					t.Errorf("rank %d, levels %d, column %d: %v", rank, levels, j, err)
				}
			}
			if rank <= 16 { // larger ranks only have more of the same variables
				requireBound(t, newGroupCircuit(rank, levels),
					g.group(len(columns)/2, columns[len(columns)/2]), 6)
			}
		}
	}
}

// A column of another adapter, whose path ends at this one's top or root: if nothing tied the path
// to the top, or the top to the root, any values would be shown to be this adapter's.
func TestForeignGroups(t *testing.T) {
	for levels := 1; levels <= 2; levels++ {
		own, foreign := [][][Values]uint16{drawnBlocks(8, Values)},
			[][][Values]uint16{drawnBlocks(8, Values)}
		g, other := grow(t, adapterPages(own), levels), grow(t, adapterPages(foreign), levels)
		honest := g.group(0, own[0])
		for name, top := range map[string]Children{"this top": honest.Top,
			"its own top": other.group(0, foreign[0]).Top} {
			c := other.group(0, foreign[0])
			c.Root, c.Top = honest.Root, top
			if solves(newGroupCircuit(8, levels), c) == nil {
				t.Errorf("levels %d, below %s: the circuit is satisfied", levels, name)
			}
		}
	}
}

// A page that a group does not use, and a block beyond the rank, must be empty, so that nothing can
// be hidden there.
func TestFillingIsEmpty(t *testing.T) {
	for name, hide := range map[string]func(map[int][][Values]uint16){
		"a page beyond the group's": func(pages map[int][][Values]uint16) {
			pages[7] = drawnBlocks(1, Values)
		},
		"a block beyond the rank": func(pages map[int][][Values]uint16) {
			pages[6] = append(pages[6], drawn(Values))
		},
		"nothing, which must be shown": func(map[int][][Values]uint16) {},
	} {
		columns := [][][Values]uint16{drawnBlocks(16, Values), drawnBlocks(16, Values)}
		pages := adapterPages(columns)
		hide(pages)
		err := solves(newGroupCircuit(16, 1), grow(t, pages, 1).group(1, columns[1]))
		if (err == nil) != (len(pages[7])+len(pages[6]) == 2) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package blocks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/gnark"
	"provenance/zkprover/internal/wires"
	"provenance/zkprover/statement"
	"provenance/zkprover/weights"
)

const one = 1 << 16 // scale

// model is one adapted tensor as bit patterns.
type model struct {
	rows, columns, rank int
	base, a, b, merged  []uint16
	scale               uint64
	depth               int
}

// pattern draws a number of about the given size.
func pattern(size int) uint16 {
	return uint16(rand.IntN(2)<<15 | (127+size-rand.IntN(4))<<7 | rand.IntN(128))
}

func patterns(count, size int) []uint16 {
	out := make([]uint16, count)
	for i := range out {
		out[i] = pattern(size)
	}
	return out
}

// drawModel is an honestly merged tensor, with a row of zeros and some cancellation.
func drawModel(rows, columns, rank int) *model {
	m := &model{rows: rows, columns: columns, rank: rank, scale: 3 * one / 2, depth: 1}
	m.base, m.a, m.b = patterns(rows*columns, -3), patterns(rank*columns,
		-2), patterns(rows*rank, -3)
	clear(m.b[:rank])
	m.base[0], m.base[1] = 0, 1<<15
	m.merge()
	return m
}

func (m *model) merge() {
	m.merged = make([]uint16, len(m.base))
	for at := range m.base {
		i, j := at/m.columns, at%m.columns
		column := make([]uint16, m.rank)
		for k := range column {
			column[k] = m.a[k*m.columns+j]
		}
		m.merged[at] = statement.MergedValue(m.base[at], m.scale,
			m.b[i*m.rank:(i+1)*m.rank], column)
	}
}

func tensor(
	t *testing.T, name string, layout weights.Layout, rows, columns, depth int, values []uint16,
) Tensor {
	t.Helper()
	grid, err := weights.NewGrid(weights.BF16, layout, rows, columns, 0)
	if err != nil {
		t.Fatal(err)
	}
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint16(data, v)
	}
	built, err := weights.New(grid, depth, bytes.NewReader(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	return Tensor{Name: name, Tree: built}
}

func (m *model) merger(t *testing.T) *Merger {
	t.Helper()
	return &Merger{
		Base:   tensor(t, "base q", weights.Rows, m.rows, m.columns, m.depth, m.base),
		A:      tensor(t, "adapter q.A", weights.LoraA, m.rank, m.columns, m.depth, m.a),
		B:      tensor(t, "adapter q.B", weights.LoraB, m.rows, m.rank, m.depth, m.b),
		Merged: tensor(t, "merged q", weights.Rows, m.rows, m.columns, m.depth, m.merged),
		Scale:  m.scale,
	}
}

// witness assigns a circuit of one block although the merge may be false.
func (m *Merger) witness(t *testing.T, index int) *circuits.Merge {
	t.Helper()
	c, err := m.assignment(smallMerge, []int{index})
	var failure *fault.Error
	if err != nil && (!errors.As(err, &failure) || failure.Code != fault.Unproven) {
		t.Fatal(err)
	}
	return c
}

var smallMerge = fixture.MergeShape

func TestMergesOfAllRanks(t *testing.T) {
	for _, c := range []struct{ rows, columns, rank, blocks int }{
		{20, 70, 8, 2}, {8, 32, 64, 1}, {20, 64, 4, 1}, {12, 33, 16, 1}, {9, 40, 20, 1},
	} {
		if testing.Short() && c.rank != 8 && c.rank != 64 {
			continue
		}
		m := drawModel(c.rows, c.columns, c.rank)
		merger := m.merger(t)
		for _, indexes := range [][]int{{0, 1}, {merger.Base.Blocks() - 1, 2}} {
			shape := circuits.MergeShape(c.blocks, 1, merger.A.Grid().Rank)
			assignment, err := merger.assignment(shape, indexes[:c.blocks])
			if err != nil {
				t.Fatal(err)
			}
			if err := wires.Solve(t, shape, assignment); err != nil {
				t.Errorf("%v, blocks %v: %v", c, indexes[:c.blocks], err)
			}
		}
	}
}

// No wire can be changed alone: not with inexact results, not at ties, not for zeros.
func TestMergeWiresAreBound(t *testing.T) {
	m := drawModel(8, 64, 8)
	for v, sum := range []struct{ base, term uint16 }{
		{0x3f80, 0x3b80}, {0x3f81, 0x3b80}, {0x3f80, 0xbb00}, {0x3f80, 0xbf80}, {0x3f80, 0},
		{0xbf81, 0x3b80}, {0x3f81, 0xbb80},
	} { // 1 + half a unit, odd + half, 1 - a quarter, 1 - 1, 1 + 0, ..
		m.base[3*64+32+v], m.a[32+v] = sum.base, sum.term
	}
	for k := range 8 {
		m.b[3*8+k] = 0
	}
	m.b[3*8], m.scale = 0x3f80, one
	m.merge()
	wide, deep := drawModel(20, 96, 64), drawModel(9, 40, 20)
	wide.depth, deep.depth = 2, 3
	for _, c := range []struct {
		model *model
		shape circuits.Shape
		index int
	}{
		{m, smallMerge, 7}, {m, smallMerge, 10}, {wide, circuits.MergeShape(1, 2, 64), 35},
		{deep, circuits.MergeShape(1, 3, 32), 13},
	} {
		if testing.Short() && c.model != m {
			continue
		}
		assignment, err := c.model.merger(t).assignment(c.shape, []int{c.index})
		if err != nil {
			t.Fatal(err)
		}
		if free := wires.Free(t, c.shape, assignment); len(free) != 0 {
			t.Errorf("%v, block %d: wires %v can be changed alone", c.shape, c.index, free)
		}
	}
}

func TestMergePublicInputsAreBound(t *testing.T) {
	merger := drawModel(8, 64, 8).merger(t)
	for i := range smallMerge.Public() {
		assignment, err := merger.assignment(smallMerge, []int{7})
		if err != nil {
			t.Fatal(err)
		}
		public := merger.public([]int{7})
		step := fr.NewElement(one) // a scale off by 2^-16 may give the same rounded values
		public[i].Add(&public[i], &step)
		setMergePublic(assignment, public)
		if err := wires.Solve(t, smallMerge, assignment); err == nil {
			t.Errorf("public input %d is not bound", i)
		}
	}
}

func TestMergeProofs(t *testing.T) {
	key := fixture.Key(t, smallMerge)
	vk, err := gnark.Load(fixture.KeyDir(t, smallMerge))
	if err != nil {
		t.Fatal(err)
	}
	merger := drawModel(8, 64, 8).merger(t)
	p, err := merger.Prove(key, []int{attacked})
	if err != nil {
		t.Fatal(err)
	}
	if err := gnark.Verify(vk, p); err != nil {
		t.Errorf("gnark refuses: %v", err)
	}
	if !slices.Equal(p.Public, merger.public([]int{attacked})) {
		t.Error("the proof has other public inputs")
	}
}

func TestMergersThatDoNotFit(t *testing.T) {
	key, m := fixture.Key(t, smallMerge), drawModel(8, 64, 8)
	wide, deep := drawModel(8, 32, 8).merger(t), *m
	deep.depth = 2
	for name, c := range map[string]struct {
		change  func(m *Merger)
		indexes []int
		code    fault.Code
	}{
		"no index":             {func(*Merger) {}, nil, fault.BadRequest},
		"two indexes":          {func(*Merger) {}, []int{1, 2}, fault.BadRequest},
		"an index beyond":      {func(*Merger) {}, []int{16}, fault.BadRequest},
		"a negative index":     {func(*Merger) {}, []int{-1}, fault.BadRequest},
		"a scale of 33 bits":   {func(m *Merger) { m.Scale = 1 << 32 }, []int{0}, fault.BadRequest},
		"a base of other size": {func(m *Merger) { m.Base = wide.Base }, []int{0}, fault.Mismatch},
		"a B for an A":         {func(m *Merger) { m.A = m.B }, []int{0}, fault.Mismatch},
		"a deeper tree": {func(m *Merger) {
			m.Merged = deep.merger(t).Merged
		}, []int{0}, fault.Mismatch},
		"deeper trees": {func(m *Merger) {
			*m = *deep.merger(t)
		}, []int{0}, fault.Mismatch},
		"another rank": {func(m *Merger) {
			*m = *drawModel(8, 64, 16).merger(t)
		}, []int{0}, fault.Mismatch},
	} {
		other := *m.merger(t)
		c.change(&other)
		var failure *fault.Error
		if _, err := other.Prove(key, c.indexes); !errors.As(err, &failure) ||
			failure.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/page"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/keys"
	"provenance/zkprover/statement"
	"provenance/zkprover/verify"
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
	m.base, m.a, m.b = patterns(rows*columns, -3), patterns(rank*columns, -2), patterns(rows*rank, -3)
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
		m.merged[at] = statement.MergedValue(m.base[at], m.scale, m.b[i*m.rank:(i+1)*m.rank], column)
	}
}

func tensor(t *testing.T, name string, layout weights.Layout, rows, columns, depth int, values []uint16) Tensor {
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
	for _, c := range []struct{ rows, columns, rank, blocks int }{{20, 70, 8, 2}, {20, 64, 4, 1}, {12, 33, 16, 1}, {9, 40, 20, 1}, {8, 32, 64, 1}} {
		m := drawModel(c.rows, c.columns, c.rank)
		merger := m.merger(t)
		for _, indexes := range [][]int{{0, 1}, {merger.Base.Blocks() - 1, 2}} {
			shape := circuits.MergeShape(c.blocks, 1, merger.A.Grid().Rank)
			assignment, err := merger.assignment(shape, indexes[:c.blocks])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := solve(t, shape, assignment); err != nil {
				t.Errorf("%v, blocks %v: %v", c, indexes[:c.blocks], err)
			}
		}
	}
}

// No wire can be changed alone: not with inexact results, not at ties, not for zeros.
func TestMergeWiresAreBound(t *testing.T) {
	m := drawModel(8, 64, 8)
	for v, sum := range []struct{ base, term uint16 }{
		{0x3f80, 0x3b80}, {0x3f81, 0x3b80}, {0x3f80, 0xbb00}, {0x3f80, 0xbf80}, {0x3f80, 0}, {0xbf81, 0x3b80}, {0x3f81, 0xbb80},
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
		{m, smallMerge, 7}, {m, smallMerge, 10}, {wide, circuits.MergeShape(1, 2, 64), 35}, {deep, circuits.MergeShape(1, 3, 32), 13},
	} {
		assignment, err := c.model.merger(t).assignment(c.shape, []int{c.index})
		if err != nil {
			t.Fatal(err)
		}
		s, err := solve(t, c.shape, assignment)
		if err != nil {
			t.Fatal(err)
		}
		if free := s.free(); len(free) != 0 {
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
		if _, err := solve(t, smallMerge, assignment); err == nil {
			t.Errorf("public input %d is not bound", i)
		}
	}
}

// mergeAttack changes an honest model or the witness made from it.
type mergeAttack struct {
	name    string
	model   func(m *model)
	merger  func(t *testing.T, m *model, merger *Merger)
	witness func(t *testing.T, m *Merger, c *circuits.Merge)
}

const attacked, attackedCell = 7, 3*64 + 32 // block 7 of 8 x 64 values begins in row 3

var mergeAttacks = []mergeAttack{
	{name: "one unit up", model: func(m *model) { m.merged[attackedCell+5]++ }},
	{name: "one unit down", model: func(m *model) { m.merged[attackedCell+5]-- }},
	{name: "the other sign", model: func(m *model) { m.merged[attackedCell+5] ^= 1 << 15 }},
	{name: "a value of the unmerged base", model: func(m *model) { copy(m.merged[attackedCell:attackedCell+32], m.base[attackedCell:]) }},
	{name: "a tie rounded to odd", model: func(m *model) {
		m.tie(0x3f80, 0x3b80)
		m.merged[attackedCell] = 0x3f81
	}},
	{name: "a tie rounded to odd, downwards", model: func(m *model) {
		m.tie(0x3f82, 0xbb80)
		m.merged[attackedCell] = 0x3f81
	}},
	{name: "a tie below a power of two rounded to odd", model: func(m *model) {
		m.tie(0x3f80, 0xbb00)
		m.merged[attackedCell] = 0x3f7f
	}},
	{name: "a power of two for a number nearer to its lower neighbour", model: func(m *model) {
		m.tie(0x3f80, 0xbb10)
		m.merged[attackedCell] = 0x3f80
	}},
	{name: "minus zero", model: func(m *model) {
		m.tie(0x3f80, 0xbf80)
		m.merged[attackedCell] = 1 << 15
	}},
	{name: "zero for a number that is not", model: func(m *model) { m.merged[attackedCell] = 0 }},
	{name: "an edit of low rank", merger: func(t *testing.T, m *model, merger *Merger) {
		m.b[3*8+2] ^= 1 << 6
		merger.B = m.merger(t).B
	}},
	{name: "an edit of A", merger: func(t *testing.T, m *model, merger *Merger) {
		m.a[2*64+40] ^= 1 << 6
		merger.A = m.merger(t).A
	}},
	{name: "base and merged swapped", merger: func(_ *testing.T, _ *model, merger *Merger) {
		merger.Base.Tree, merger.Merged.Tree = merger.Merged.Tree, merger.Base.Tree
	}},
	{name: "a tensor of equal shape", merger: func(t *testing.T, _ *model, merger *Merger) { merger.Base = drawModel(8, 64, 8).merger(t).Base }},
	{name: "scale 0", merger: func(_ *testing.T, _ *model, merger *Merger) { merger.Scale = 0 }},
	{name: "another scale", merger: func(_ *testing.T, _ *model, merger *Merger) { merger.Scale += one / 2 }},
	{name: "scale of 33 bits", merger: func(_ *testing.T, _ *model, merger *Merger) { merger.Scale += 1 << 32 }},
	{name: "another model's root", witness: func(t *testing.T, _ *Merger, c *circuits.Merge) {
		c.Merged = drawModel(8, 64, 8).merger(t).Merged.Root()
	}},
	{name: "the number of another block", witness: func(_ *testing.T, _ *Merger, c *circuits.Merge) {
		c.Indexes[0] = page.PackIndexes([]int{attacked - 2})[0]
	}},
	{name: "A of another column", witness: func(t *testing.T, m *Merger, c *circuits.Merge) {
		other := m.witness(t, attacked-1).Blocks[0]
		b := &c.Blocks[0]
		b.Column, b.ColumnPath, b.ColumnValues = other.Column, other.ColumnPath, other.ColumnValues
	}},
	{name: "B of another row", witness: func(t *testing.T, m *Merger, c *circuits.Merge) {
		other := m.witness(t, attacked+2).Blocks[0]
		b := &c.Blocks[0]
		b.Rows, b.RowOpenings, b.RowValues = other.Rows, other.RowOpenings, other.RowValues
	}},
	{name: "twice the columns, so that block 7 lies in row 1 and column 3", witness: func(_ *testing.T, _ *Merger, c *circuits.Merge) {
		c.Columns = 4
	}},
	{name: "a value of A that flags zero", witness: func(_ *testing.T, _ *Merger, c *circuits.Merge) {
		c.Blocks[0].ColumnValues[0][0].Zero = 1
	}},
}

// tie makes the first value of the attacked block base + term.
func (m *model) tie(base, term uint16) {
	m.scale = one
	clear(m.b[3*8 : 4*8])
	m.b[3*8] = 0x3f80
	m.base[attackedCell], m.a[32] = base, term
	m.merge()
}

func TestMergeAttacks(t *testing.T) {
	for _, a := range mergeAttacks {
		m := drawModel(8, 64, 8)
		if a.model != nil {
			a.model(m)
		}
		merger := m.merger(t)
		if a.merger != nil {
			a.merger(t, m, merger)
		}
		assignment := merger.witness(t, attacked)
		if a.witness != nil {
			a.witness(t, merger, assignment)
		} else {
			var failure *fault.Error
			_, err := merger.assignment(smallMerge, []int{attacked})
			if !errors.As(err, &failure) || failure.Code != fault.Unproven || !strings.Contains(failure.What, "merged q: block 7, column ") {
				t.Errorf("%s: %v", a.name, err)
			}
		}
		if _, err := solve(t, smallMerge, assignment); err == nil {
			t.Errorf("%s: the circuit is satisfied", a.name)
		}
	}
}

// With rank 64 a row of B is two blocks. Two blocks of different rows would fit another column, were the first number odd.
func TestHalvesOfTwoRows(t *testing.T) {
	const width = page.Values
	m := drawModel(8, 2*width, 64)
	m.depth = 2                          // two groups of sixteen pages
	halves := m.b[64+width : 2*64+width] // the second half of row 1 and the first of row 2
	for v := range width {
		column := make([]uint16, m.rank)
		for k := range column {
			column[k] = m.a[k*m.columns+v]
		}
		m.merged[3*width+v] = statement.MergedValue(m.base[3*width+v], m.scale, halves, column)
	}
	merger, shape := m.merger(t), circuits.MergeShape(1, 2, 64)
	c, err := merger.assignment(shape, []int{3})
	other, otherErr := merger.assignment(shape, []int{4})
	if err == nil || otherErr != nil {
		t.Fatalf("block 3: %v, block 4: %v", err, otherErr)
	}
	b, next := &c.Blocks[0], &other.Blocks[0]
	b.Column, b.ColumnPath, b.ColumnValues = next.Column, next.ColumnPath, next.ColumnValues
	b.Rows[0], b.RowOpenings[0], b.Rows[1], b.RowOpenings[1] = b.Rows[1], b.RowOpenings[1], next.Rows[0], next.RowOpenings[0]
	b.RowValues = append(slices.Clone(b.RowValues[width:]), next.RowValues[:width]...)
	if _, err := solve(t, shape, c); err == nil {
		t.Error("the circuit is satisfied")
	}
}

// Numbers outside the window have no witness, whatever bits a prover chooses.
func TestNumbersOutsideTheWindow(t *testing.T) {
	for name, change := range map[string]func(m *model){
		"NaN":                 func(m *model) { m.base[attackedCell] = 0x7fc0 },
		"infinity":            func(m *model) { m.merged[attackedCell] = 0x7f80 },
		"2^8":                 func(m *model) { m.base[attackedCell] = 0x4380 },
		"below 2^-100":        func(m *model) { m.base[attackedCell] = 0x0d7f },
		"subnormal":           func(m *model) { m.merged[attackedCell] = 1 },
		"2^4 in A":            func(m *model) { m.a[32] = 0x4180 },
		"below 2^-40 in B":    func(m *model) { m.b[3*8+1] = 0x2b7f },
		"minus 2^4 in B":      func(m *model) { m.b[3*8+1] = 0xc180 },
		"NaN in A, last row":  func(m *model) { m.a[7*64+63] = 0xffff },
		"subnormal in A":      func(m *model) { m.a[63] = 0x8001 },
		"the largest finite":  func(m *model) { m.base[attackedCell] = 0x7f7f },
		"the largest in base": func(m *model) { m.base[attackedCell] = 0x437f; m.merge() },
	} {
		m := drawModel(8, 64, 8)
		change(m)
		_, err := m.merger(t).assignment(smallMerge, []int{attacked})
		var failure *fault.Error
		refused := errors.As(err, &failure) && failure.Code == fault.BadFile && strings.Contains(failure.What, "value [")
		if refused != (name != "the largest in base") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMergeProofs(t *testing.T) {
	shape := smallMerge
	key := fixture.Key(t, shape)
	gnark, err := keys.LoadGnark(fixture.KeyDir(t, shape))
	if err != nil {
		t.Fatal(err)
	}
	m := drawModel(8, 64, 8)
	merger := m.merger(t)
	p, err := merger.Prove(key, []int{attacked})
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.WithGnark(gnark, p); err != nil {
		t.Errorf("gnark refuses: %v", err)
	}
	if !slices.Equal(p.Public, merger.public([]int{attacked})) {
		t.Error("the proof has other public inputs")
	}
	wide := drawModel(8, 32, 8).merger(t)
	deep := *m
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
		"a deeper tree":        {func(m *Merger) { m.Merged = deep.merger(t).Merged }, []int{0}, fault.Mismatch},
		"deeper trees":         {func(m *Merger) { *m = *deep.merger(t) }, []int{0}, fault.Mismatch},
		"another rank":         {func(m *Merger) { *m = *drawModel(8, 64, 16).merger(t) }, []int{0}, fault.Mismatch},
	} {
		other := *merger
		c.change(&other)
		var failure *fault.Error
		if _, err := other.Prove(key, c.indexes); !errors.As(err, &failure) || failure.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

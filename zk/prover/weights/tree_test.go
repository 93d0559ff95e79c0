// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// tensor is random patterns of a grid, as integers and as bytes.
func tensor(g Grid, seed uint64) (values []uint32, data []byte) {
	random := rand.New(rand.NewPCG(seed, 7))
	for range g.Rows * g.Columns {
		v := random.Uint32()
		if g.DType.Bits() == 16 {
			v &= 0xffff
			data = binary.LittleEndian.AppendUint16(data, uint16(v))
		} else {
			data = binary.LittleEndian.AppendUint32(data, v)
		}
		values = append(values, v)
	}
	return values, data
}

func mustGrid(t testing.TB, dtype DType, layout Layout, rows, columns int) Grid {
	t.Helper()
	g, err := NewGrid(dtype, layout, rows, columns, 0)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func mustTree(t testing.TB, g Grid, depth int, data []byte) *Tree {
	t.Helper()
	built, err := New(g, depth, bytes.NewReader(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

func packWords(width uint, values []uint32) fr.Element {
	sum := new(big.Int)
	for i, v := range values {
		sum.Add(sum, new(big.Int).Lsh(big.NewInt(int64(v)), width*uint(i)))
	}
	var e fr.Element
	e.SetBigInt(sum)
	return e
}

// wordedPage is the page exactly as the format words it.
func wordedPage(bits int, blocks [][]uint32) Page {
	var e Page
	var rest []uint32
	for j, b := range blocks {
		if bits == 16 {
			e[2*j], e[2*j+1] = packWords(16, b[:15]), packWords(16, b[15:30])
			rest = append(rest, b[30:]...)
			continue
		}
		for q := range 4 {
			e[4*j+q] = packWords(32, b[7*q:7*q+7])
		}
		rest = append(rest, b[28:]...)
	}
	if bits == 16 {
		e[14] = packWords(16, rest)
		return e
	}
	rest = append(rest, make([]uint32, 12-len(rest))...)
	e[12], e[13] = packWords(32, rest[:7]), packWords(32, rest[7:])
	return e
}

// wordedSlots is the list of slots exactly as the format words it; nil is an empty slot.
func wordedSlots(g Grid, values []uint32) [][][]uint32 {
	at := func(i, j int) []uint32 {
		block := make([]uint32, 32)
		for k := range block {
			if i < g.Rows && 32*j+k < g.Columns {
				block[k] = values[i*g.Columns+32*j+k]
			}
		}
		return block
	}
	inPages := func(blocks [][]uint32, per int) (pages [][][]uint32) {
		for from := 0; from < len(blocks); from += per {
			pages = append(pages, blocks[from:min(from+per, len(blocks))])
		}
		return pages
	}
	columns := (g.Columns + 31) / 32
	if g.Layout != LoraA {
		var blocks [][]uint32
		for i := range g.Rows {
			for j := range columns {
				blocks = append(blocks, at(i, j))
			}
		}
		return inPages(blocks, map[int]int{16: 7, 32: 3}[g.DType.Bits()])
	}
	var slots [][][]uint32
	size := map[int]int{8: 2, 16: 4, 32: 8, 64: 16}[g.Rank]
	for j := range columns {
		var blocks [][]uint32
		for k := range g.Rank {
			blocks = append(blocks, at(k, j))
		}
		group := inPages(blocks, 7)
		slots = append(slots, append(group, make([][][]uint32, size-len(group))...)...)
	}
	return slots
}

var grids = []struct {
	dtype         DType
	layout        Layout
	rows, columns int
}{
	{BF16, Rows, 1, 1}, {BF16, Rows, 1, 32}, {BF16, Rows, 1, 33}, {F16, Rows, 1, 7 * 32},
	{BF16, Rows, 3, 7 * 32 * 16},
	{BF16, Rows, 9, 1000}, {BF16, Rows, 300, 70}, {F32, Rows, 1, 5}, {F32, Rows, 7, 100},
	{F32, Rows, 50, 96},
	{BF16, LoraA, 1, 31}, {BF16, LoraA, 8, 64}, {F16, LoraA, 9, 300}, {BF16, LoraA, 32, 100},
	{BF16, LoraA, 33, 576},
	{BF16, LoraB, 40, 8}, {BF16, LoraB, 40, 5}, {F16, LoraB, 77, 32}, {BF16, LoraB, 50, 33},
	{BF16, LoraB, 50, 64},
}

// The tree is the one over the worded pages, and every opening leads from its page to the root.
func TestTreeIsTheWordedOne(t *testing.T) {
	for n, c := range grids {
		g := mustGrid(t, c.dtype, c.layout, c.rows, c.columns)
		values, data := tensor(g, uint64(n))
		slots := wordedSlots(g, values)
		for _, depth := range []int{0, g.Depth() + 1} {
			built := mustTree(t, g, depth, data)
			var leaves []fr.Element
			for _, blocks := range slots {
				var leaf fr.Element
				if blocks != nil {
					page := wordedPage(g.DType.Bits(), blocks)
					leaf = poseidon.Hash16(&page)
				}
				leaves = append(leaves, leaf)
			}
			want, err := tree.New(leaves, built.Depth())
			if err != nil {
				t.Fatal(err)
			}
			got, root := built.Root(), want.Root()
			if !got.Equal(&root) {
				t.Errorf("%v, depth %d: another root", g, built.Depth())
			}
		}
		checkOpenings(t, mustTree(t, g, 0, data), slots)
	}
}

func checkOpenings(t *testing.T, built *Tree, slots [][][]uint32) {
	t.Helper()
	g := built.Grid()
	for block := 0; block < built.Blocks(); block += 1 + built.Blocks()/9 {
		slot, _ := g.Place(block)
		opening, err := built.Open(block)
		if err != nil {
			t.Fatal(err)
		}
		if opening.Page != wordedPage(g.DType.Bits(), slots[slot]) {
			t.Fatalf("%v: block %d opens another page", g, block)
		}
		if !leads(built, opening.Page, opening.Path, slot) {
			t.Fatalf("%v: block %d does not lead to the root", g, block)
		}
	}
	if g.Layout != LoraA {
		return
	}
	_, all := g.GroupPages()
	for j := range g.BlocksPerRow() {
		group, err := built.OpenGroup(j)
		if err != nil {
			t.Fatal(err)
		}
		for i, page := range group.Pages {
			if page != wordedPage(16, slots[j*all+i]) || !leads(built, page, group.Path, j*all+i) {
				t.Fatalf("%v: page %d of group %d is not the tree's", g, i, j)
			}
		}
	}
}

func leads(built *Tree, page Page, path []Page, slot int) bool {
	node := poseidon.Hash16(&page)
	for l := range path {
		if !path[l][slot%tree.Arity].Equal(&node) {
			return false
		}
		node, slot = poseidon.Hash16(&path[l]), slot/tree.Arity
	}
	root := built.Root()
	return len(path) == built.Depth() && node.Equal(&root)
}

// A file that changes or shrinks after the tree was built opens nothing.
func TestChangedFileIsRefused(t *testing.T) {
	g := mustGrid(t, BF16, Rows, 10, 100)
	_, data := tensor(g, 1)
	built := mustTree(t, g, 0, data)
	data[7] ^= 1
	var failure *fault.Error
	if _, err := built.Open(0); !errors.As(err, &failure) || failure.Code != fault.BadFile {
		t.Errorf("a changed value: %v", err)
	}
	if _, err := New(g, 0, bytes.NewReader(data[:len(data)-1]), nil); !errors.As(err, &failure) ||
		failure.Code != fault.BadFile {
		t.Errorf("a short file: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		dtype               DType
		layout              Layout
		rows, columns, rank int
	}{
		{BF16, Rows, 0, 5, 0}, {BF16, Rows, 5, 0, 0}, {BF16, Rows, 5, 5, 8},
		{BF16, LoraA, 65, 5, 0}, {BF16, LoraB, 5, 65, 0},
		{F32, LoraA, 8, 5, 0}, {BF16, LoraA, 8, 5, 16}, {BF16, LoraB, 5, 9, 8},
	} {
		if _, err := NewGrid(c.dtype, c.layout, c.rows, c.columns, c.rank); err == nil {
			t.Errorf("%v was accepted", c)
		}
	}
	g := mustGrid(t, BF16, Rows, 300, 70)
	_, data := tensor(g, 1)
	for _, depth := range []int{-1, 1, MaxDepth + 1} {
		if _, err := New(g, depth, bytes.NewReader(data), nil); err == nil {
			t.Errorf("depth %d was accepted", depth)
		}
	}
	built := mustTree(t, g, 0, data)
	for _, block := range []int{-1, built.Blocks()} {
		if _, err := built.Open(block); err == nil {
			t.Errorf("block %d was opened", block)
		}
	}
	if _, err := built.OpenGroup(0); err == nil {
		t.Error("a group of a tensor of layout rows was opened")
	}
}

// About 8 MB of bf16.
func BenchmarkTree(b *testing.B) {
	g := mustGrid(b, BF16, Rows, 1000, 4096)
	_, data := tensor(g, 1)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		mustTree(b, g, 0, data)
	}
}

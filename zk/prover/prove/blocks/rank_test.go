// SPDX-License-Identifier: Apache-2.0

package blocks

import (
	"bytes"
	"testing"

	"provenance/zkprover/circuits"
	"provenance/zkprover/internal/wires"
)

// One shape of each class: half-rows in one and in two pages, and every depth of the last page.
func TestMergeHasFullRank(t *testing.T) {
	if testing.Short() {
		t.Skip("TestPlacesFollowFromTheTrees requires more of two of these shapes")
	}
	wide, deep := drawModel(20, 96, 64), drawModel(9, 40, 20)
	wide.depth, deep.depth = 2, 3
	for _, c := range []struct {
		model   *model
		shape   circuits.Shape
		indexes []int
	}{
		{drawModel(8, 64, 8), smallMerge, []int{7}}, {drawModel(8, 64, 8), smallMerge, []int{0}},
		{wide, circuits.MergeShape(1, 2, 64), []int{35}},
		{deep, circuits.MergeShape(1, 3, 32), []int{13}},
	} {
		assignment, err := c.model.merger(t).assignment(c.shape, c.indexes)
		if err != nil {
			t.Fatal(err)
		}
		wires.RequireRank(t, c.shape, assignment)
	}
}

// The block's number, and how many blocks a row has, follow from the trees: no other number can be
// claimed for the same content.
func TestPlacesFollowFromTheTrees(t *testing.T) {
	wide := drawModel(20, 96, 64)
	wide.depth = 2
	for _, c := range []struct {
		model *model
		shape circuits.Shape
		index int
	}{{drawModel(8, 64, 8), smallMerge, 7}, {wide, circuits.MergeShape(1, 2, 64), 35}} {
		assignment, err := c.model.merger(t).assignment(c.shape, []int{c.index})
		if err != nil {
			t.Fatal(err)
		}
		wires.RequireFollowing(t, c.shape, assignment, []int{5, 6}) // columns and the index word
	}
}

// Index words and code words follow from the tree's root.
func TestQuantizedWordsFollowFromTheTree(t *testing.T) {
	scene := newQuantizedScene(t)
	q8, err := scene.assignQ8_0(t, middle, scene.q8)
	if err != nil {
		t.Fatal(err)
	}
	wires.RequireFollowing(t, q8_0Shape, q8, []int{1, 2, 3})
	rows, err := scene.assignInt8(t, middle, scene.int8)
	if err != nil {
		t.Fatal(err)
	}
	wires.RequireFollowing(t, int8Shape, rows, []int{1, 2, 3})
}

func TestQuantizedHasFullRank(t *testing.T) {
	scene := newQuantizedScene(t)
	q8, err := scene.assignQ8_0(t, middle, scene.q8)
	if err != nil {
		t.Fatal(err)
	}
	wires.RequireRank(t, q8_0Shape, q8)
	rows, err := scene.assignInt8(t, middle, scene.int8)
	if err != nil {
		t.Fatal(err)
	}
	wires.RequireRank(t, int8Shape, rows)
}

// Two blocks in one proof, one of them drawn twice. What blocks share must not tie or free them.
func TestTwoBlocksHaveFullRank(t *testing.T) {
	scene, cases := newQuantizedScene(t), quantizedCases(t)
	q8Shape, rowShape := q8_0Shape, int8Shape
	q8Shape.Slots, rowShape.Slots = 2, 2
	for _, other := range []struct {
		index  int
		values []uint16
		q8     []byte
	}{{middle, cases[3].Values, scene.q8}, {0, cases[4].Values, cases[4].deployed(t)}} {
		indexes := []int{middle, other.index}
		q8 := circuits.NewQ8_0(2, scene.built.Depth())
		deployed := append(bytes.Clone(scene.q8), other.q8...)
		_, err := assignQ8_0(q8, scene.built, indexes, biasCodes(deployed, circuits.Q8_0Bytes))
		if err != nil {
			t.Fatal(err)
		}
		wires.RequireRank(t, q8Shape, q8)
		wires.RequireFollowing(t, q8Shape, q8, []int{1, 2, 3, 4})
		rows := circuits.NewInt8(2, scene.built.Depth())
		deployed = append(bytes.Clone(scene.int8), rowQuantized(other.values)...)
		_, err = assignInt8(rows, scene.built, indexes, biasCodes(deployed, circuits.Int8Bytes))
		if err != nil {
			t.Fatal(err)
		}
		wires.RequireRank(t, rowShape, rows)
		wires.RequireFollowing(t, rowShape, rows, []int{1, 2, 3, 4})
	}
}

// Blocks of zeros, of one sign, at ties and at the ends of the ranges, where factors may vanish.
func TestSpecialBlocksHaveFullRank(t *testing.T) {
	for n, c := range quantizedCases(t) {
		if testing.Short() && n%16 != 0 {
			continue
		}
		scene := &quantizedScene{built: weightTree(t, c.Values)}
		assignment, err := scene.assignQ8_0(t, 0, c.deployed(t))
		if err != nil {
			continue // not every block of the vectors can be quantized
		}
		t.Run(c.Name, func(t *testing.T) { wires.RequireRank(t, q8_0Shape, assignment) })
	}
	zero := &quantizedScene{built: weightTree(t, make([]uint16, 32))}
	assignment, err := zero.assignInt8(t, 0, make([]byte, 36))
	if err != nil {
		t.Fatal(err)
	}
	wires.RequireRank(t, int8Shape, assignment)
}

// SPDX-License-Identifier: Apache-2.0

package merkle

import (
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/test"

	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// edgeCircuit states that a node lies at an index below a root.
type edgeCircuit struct {
	Root, Node, Index, Last frontend.Variable `gnark:",public"`
	Path                    EdgePath
}

func (c *edgeCircuit) Define(api frontend.API) error {
	hash, err := poseidon.NewGadget(api, tree.Arity)
	if err != nil {
		return err
	}
	edge := Edge{Node: c.Node, Last: c.Last, Empty: make([]fr.Element, len(c.Path))}
	end, index := c.Path.Climb(api, hash, edge)
	api.AssertIsEqual(end, c.Root)
	api.AssertIsEqual(index, c.Index)
	return nil
}

// leavesEdge is a node of the leaves 5, 0, 7, 0, .., 0, whose digit is made of these flags.
func leavesEdge(node, last int, flags map[int]int) *edgeCircuit {
	leaves := [tree.Arity]fr.Element{fr.NewElement(5), {}, fr.NewElement(7)}
	c := &edgeCircuit{Root: poseidon.Hash16(&leaves), Node: node, Last: last, Index: 0,
		Path: make(EdgePath, 1)}
	index := 0
	for i := range leaves {
		c.Path[0].Children[i], c.Path[0].Digit[i] = leaves[i], flags[i]
		index += i * flags[i]
	}
	c.Index = index
	if index < 0 {
		c.Index = *new(fr.Element).SetInt64(int64(index))
	}
	return c
}

// What a prover could show of a leaf's place if the digit were not one-hot: empty slots are 0, so
// that a flag there changes the place and not the leaf.
func TestDigitsOfAnEdge(t *testing.T) {
	for name, c := range map[string]struct {
		node, last int
		flags      map[int]int
		want       bool
	}{
		"the leaf 5 at 0":                    {5, 0, map[int]int{0: 1}, true},
		"the leaf 7 at 2":                    {7, 0, map[int]int{2: 1}, true},
		"the leaf 7 at 2, the last":          {7, 1, map[int]int{2: 1}, true},
		"the leaf 5 at 0, the last":          {5, 1, map[int]int{0: 1}, false},
		"the leaf 5 at 3, by a second flag":  {5, 0, map[int]int{0: 1, 3: 1}, false},
		"the leaf 12 at 2, which is no leaf": {12, 0, map[int]int{0: 1, 2: 1}, false},
		"an empty slot at 0, by no flag":     {0, 0, nil, false},
		"the leaf 10 at 0, twice 5":          {10, 0, map[int]int{0: 2}, false},
		"the leaf 5 at -3, by 1, 1 and -1":   {5, 0, map[int]int{0: 1, 1: 1, 4: -1}, false},
		"the last slot at 13, by 2 and -1":   {0, 1, map[int]int{14: 2, 15: -1}, false},
	} {
		err := test.IsSolved(&edgeCircuit{Path: make(EdgePath, 1)},
			leavesEdge(c.node, c.last, c.flags), ecc.BN254.ScalarField())
		if (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"errors"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/keys"
	"provenance/zkprover/statement"
	"provenance/zkprover/tree"
	"provenance/zkprover/verify"
)

// attack is one dishonest assignment of the small tree circuit (16 leaves a chunk, depth 3, 40 leaves).
type attack struct {
	name   string
	k      int
	change func(c *circuits.Tree, built *tree.Tree, challenge *statement.Challenge)
}

// selectUsed gives the first n selectors 1 and recomputes used, t and z as the circuit would.
func selectUsed(c *circuits.Tree, built *tree.Tree, challenge *statement.Challenge, k, n int) {
	leaves := make([]fr.Element, n)
	for i := range c.Selectors {
		c.Selectors[i] = boolean(i < n)
		if i < n {
			leaves[i] = built.Node(0, 16*k+i)
		}
	}
	c.Used = n
	c.Product = challenge.ProductFrom(leaves, uint64(16*k))
	c.Zeros = challenge.ProductOfPositions(uint64(16*k), n)
}

var treeAttacks = []attack{
	{"a used leaf left out at the end", 1, func(c *circuits.Tree, b *tree.Tree, ch *statement.Challenge) {
		selectUsed(c, b, ch, 1, 15)
	}},
	{"selectors with a gap", 2, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) {
		c.Selectors[3], c.Selectors[8] = 0, 1
	}},
	{"selectors that are not boolean", 2, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) {
		c.Selectors[0], c.Selectors[1] = 2, 0
	}},
	{"a selector above 1 from the start", 1, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) {
		for i := range c.Selectors {
			c.Selectors[i] = 2
		}
		c.Used = 32
	}},
	{"used that is not the number of selected leaves", 2, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) { c.Used = 9 }},
	{"a leaf beyond count", 2, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) {
		c.Candidates[8], c.Selectors[8], c.Used = fixture.Scalar(), 1, 9
	}},
	{"a changed leaf", 1, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) { c.Candidates[0] = fixture.Scalar() }},
	{"two leaves swapped", 1, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) {
		c.Candidates[0], c.Candidates[1] = c.Candidates[1], c.Candidates[0]
	}},
	{"another chunk number", 1, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) { c.Chunk = 2 }},
	{"a chunk number beyond the tree", 1, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) { c.Chunk = 257 }},
	{"digits of another chunk", 1, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) {
		c.Path[0].Digit[1], c.Path[0].Digit[2], c.Chunk = 0, 1, 2
	}},
	{"a digit made of two", 1, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) {
		c.Path[1].Digit[0], c.Path[1].Digit[1], c.Path[1].Digit[2] = 2, -2, 1
	}},
	{"no digit", 1, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) {
		c.Path[0].Digit[1], c.Chunk = 0, 0
	}},
	{"last with leaves to the right", 1, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) { c.Last = 1 }},
	{"last that is not boolean", 1, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) { c.Last = 2 }},
	{"another root", 1, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) { c.Root = fixture.Scalar() }},
	{"another t", 1, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) { c.Product = fixture.Scalar() }},
	{"another z", 1, func(c *circuits.Tree, _ *tree.Tree, _ *statement.Challenge) { c.Zeros = fixture.Scalar() }},
	{"t without delta", 1, func(c *circuits.Tree, b *tree.Tree, ch *statement.Challenge) {
		none := statement.Challenge{Gamma: ch.Gamma}
		selectUsed(c, b, &none, 1, 16)
	}},
	{"positions of chunk 0", 1, func(c *circuits.Tree, b *tree.Tree, ch *statement.Challenge) {
		leaves := make([]fr.Element, 16)
		for i := range leaves {
			leaves[i] = b.Node(0, 16+i)
		}
		c.Product, c.Zeros = ch.ProductFrom(leaves, 0), ch.ProductOfPositions(0, 16)
	}},
}

func TestTreeAttacks(t *testing.T) {
	built := smallTree(t, 40)
	for _, a := range treeAttacks {
		challenge := fixture.Challenge()
		assignment := treeAssignment(built, a.k, 16, treePublic(built, a.k, 16, challenge))
		if _, err := solve(t, smallTreeShape, assignment); err != nil {
			t.Fatalf("honest assignment: %v", err)
		}
		a.change(assignment, built, &challenge)
		if _, err := solve(t, smallTreeShape, assignment); err == nil {
			t.Errorf("%s: the circuit is satisfied", a.name)
		}
	}
}

// Candidates beyond the used prefix may hold anything: they do not become leaves.
func TestUnusedCandidatesAreWithoutEffect(t *testing.T) {
	built := smallTree(t, 40)
	assignment := treeAssignment(built, 2, 16, treePublic(built, 2, 16, fixture.Challenge()))
	for i := 8; i < 16; i++ {
		assignment.Candidates[i] = fixture.Scalar()
	}
	if _, err := solve(t, smallTreeShape, assignment); err != nil {
		t.Errorf("the circuit is not satisfied: %v", err)
	}
}

// Without `last`, chunks to the right may be there: only the last non-empty chunk's proof fixes the count.
func TestLastShowsTheCount(t *testing.T) {
	built := smallTree(t, 40)
	for k, last := range map[int]bool{0: false, 1: false, 2: true} {
		public := treePublic(built, k, 16, fixture.Challenge())
		if public[3].IsOne() != last {
			t.Errorf("chunk %d: last = %v", k, public[3].IsOne())
		}
		assignment := treeAssignment(built, k, 16, public)
		assignment.Last = 1
		if _, err := solve(t, smallTreeShape, assignment); (err == nil) != last {
			t.Errorf("chunk %d with last = 1: %v", k, err)
		}
	}
	full := smallTree(t, 4096) // no sibling to the right at all
	if _, err := solve(t, smallTreeShape, treeAssignment(full, 255, 16, treePublic(full, 255, 16, fixture.Challenge()))); err != nil {
		t.Errorf("the last chunk of a full tree: %v", err)
	}
}

func TestTreeProofs(t *testing.T) {
	key := fixture.Key(t, fixture.TreeShape)
	gnark, err := keys.LoadGnark(fixture.KeyDir(t, fixture.TreeShape))
	if err != nil {
		t.Fatal(err)
	}
	built, err := tree.New(fixture.Leaves(t, 300), tree.MinDepth)
	if err != nil {
		t.Fatal(err)
	}
	challenge := fixture.Challenge()
	for k := range 2 {
		p, err := Tree(key, built, k, challenge)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify.WithGnark(gnark, p); err != nil {
			t.Errorf("gnark refuses chunk %d: %v", k, err)
		}
	}
	var failure *fault.Error
	for _, k := range []int{-1, 2} {
		if _, err := Tree(key, built, k, challenge); !errors.As(err, &failure) || failure.Code != fault.BadRequest {
			t.Errorf("chunk %d: %v", k, err)
		}
	}
	deep, err := tree.New(fixture.Leaves(t, 3), tree.MaxDepth)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Tree(key, deep, 0, challenge); !errors.As(err, &failure) || failure.Code != fault.Mismatch {
		t.Errorf("a tree of another depth: %v", err)
	}
}

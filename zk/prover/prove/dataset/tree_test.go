// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"errors"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/gnark"
	"provenance/zkprover/internal/wires"
	"provenance/zkprover/kinds"
	"provenance/zkprover/statement"
	"provenance/zkprover/tree"
)

// treeAttack is one dishonest assignment of the small tree circuit (16 leaves a chunk, depth 3, 40
// leaves). Unless it states false products itself, used, t and z are computed anew from what it
// changed, so that nothing but the attacked constraint is in its way.
type treeAttack struct {
	name   string
	k      int
	keep   bool // used, t and z stay
	change func(c *circuits.Tree)
}

// restate computes used, t and z from selectors, candidates and chunk number as the circuit does.
func restate(c *circuits.Tree, challenge *statement.Challenge) {
	used, product, zeros, one := fr.Element{}, fr.One(), fr.One(), fr.One()
	start := wires.Value(c.Chunk)
	sixteen := fr.NewElement(16)
	start.Mul(&start, &sixteen)
	for i := range c.Selectors {
		selector, candidate := wires.Value(c.Selectors[i]), wires.Value(c.Candidates[i])
		position := fr.NewElement(uint64(i))
		position.Add(&position, &start)
		var f fr.Element
		f.Mul(&challenge.Delta, &position).Add(&f, &challenge.Gamma).Sub(&f, &one)
		used.Add(&used, &selector)
		for _, p := range []struct {
			product *fr.Element
			value   fr.Element
		}{{&product, candidate}, {&zeros, fr.Element{}}} {
			p.value.Add(&p.value, &f).Mul(&p.value, &selector).Add(&p.value, &one)
			p.product.Mul(p.product, &p.value)
		}
	}
	c.Used, c.Product, c.Zeros = used, product, zeros
}

var treeAttacks = []treeAttack{
	{"a used leaf left out at the end", 1, false, func(c *circuits.Tree) { c.Selectors[15] = 0 }},
	{"an empty slot skipped and another used", 2, false, func(c *circuits.Tree) {
		c.Selectors[9] = 1
	}},
	{"selectors below zero over empty slots", 2, false, func(c *circuits.Tree) {
		for i := 9; i < 16; i++ {
			c.Selectors[i] = -1
		}
	}},
	{"a selector of 2 with half a leaf", 2, false, func(c *circuits.Tree) {
		c.Selectors[0] = 2
		c.Candidates[0] = halved(c.Candidates[0])
	}},
	{"all selectors 2 with half leaves", 1, false, func(c *circuits.Tree) {
		for i := range c.Selectors {
			c.Selectors[i], c.Candidates[i] = 2, halved(c.Candidates[i])
		}
	}},
	{"used that is not the number of selected leaves", 2, true, func(c *circuits.Tree) {
		c.Used = 9
	}},
	{"a leaf beyond count", 2, false, func(c *circuits.Tree) {
		c.Candidates[8], c.Selectors[8] = fixture.Scalar(), 1
	}},
	{"a changed leaf", 1, false, func(c *circuits.Tree) { c.Candidates[0] = fixture.Scalar() }},
	{"two leaves swapped", 1, false, func(c *circuits.Tree) {
		c.Candidates[0], c.Candidates[1] = c.Candidates[1], c.Candidates[0]
	}},
	{"another chunk number", 1, false, func(c *circuits.Tree) { c.Chunk = 2 }},
	{"a chunk number beyond the tree", 1, false, func(c *circuits.Tree) { c.Chunk = 257 }},
	{"digits of another chunk", 1, false, func(c *circuits.Tree) {
		c.Path[0].Digit[1], c.Path[0].Digit[2], c.Chunk = 0, 1, 2
	}},
	{"a digit made of two", 1, false, func(c *circuits.Tree) {
		c.Path[1].Digit[0], c.Path[1].Digit[1], c.Path[1].Digit[2] = 2, -2, 1
	}},
	{"no digit", 1, false, func(c *circuits.Tree) { c.Path[0].Digit[1], c.Chunk = 0, 0 }},
	{"a changed sibling", 1, false, func(c *circuits.Tree) {
		c.Path[0].Children[9] = fixture.Scalar()
	}},
	{"last with leaves to the right", 1, false, func(c *circuits.Tree) { c.Last = 1 }},
	{"last that is not boolean", 2, false, func(c *circuits.Tree) { c.Last = 2 }},
	{"another root", 1, false, func(c *circuits.Tree) { c.Root = fixture.Scalar() }},
	{"another t", 1, true, func(c *circuits.Tree) { c.Product = fixture.Scalar() }},
	{"another z", 1, true, func(c *circuits.Tree) { c.Zeros = fixture.Scalar() }},
	{"t and z of chunk 0's positions", 1, true, func(c *circuits.Tree) {
		challenge := statement.Challenge{Gamma: wires.Value(c.Gamma), Delta: wires.Value(c.Delta)}
		c.Chunk = 0
		restate(c, &challenge)
		c.Chunk = 1
	}},
}

func halved(v frontend.Variable) fr.Element {
	e := wires.Value(v)
	e.Halve()
	return e
}

func TestTreeAttacks(t *testing.T) {
	built := smallTree(t, 40)
	for _, a := range treeAttacks {
		challenge := fixture.Challenge()
		assignment := treeAssignment(built, a.k, 16, treePublic(built, a.k, 16, challenge))
		restate(assignment, &challenge)
		if err := wires.Solve(t, smallTreeShape, assignment); err != nil {
			t.Fatalf("honest assignment: %v", err)
		}
		a.change(assignment)
		if !a.keep {
			restate(assignment, &challenge)
		}
		if err := wires.Solve(t, smallTreeShape, assignment); err == nil {
			t.Errorf("%s: the circuit is satisfied", a.name)
		}
	}
}

// In a tree with two equal chunks the sum of two multiples of their positions could be any chunk
// number.
func TestDigitOfTwoEqualChunks(t *testing.T) {
	leaves := fixture.Leaves(t, 48)
	copy(leaves[16:32], leaves[:16])
	built, err := tree.New(leaves, 3)
	if err != nil {
		t.Fatal(err)
	}
	challenge := fixture.Challenge()
	assignment := treeAssignment(built, 0, 16, treePublic(built, 0, 16, challenge))
	assignment.Path[0].Digit[0], assignment.Path[0].Digit[1] = -4, 5
	assignment.Chunk = 5
	restate(assignment, &challenge)
	if err := wires.Solve(t, smallTreeShape, assignment); err == nil {
		t.Error("chunk 0 was shown as chunk 5")
	}
}

// Candidates beyond the used prefix may hold anything: they do not become leaves.
func TestUnusedCandidatesAreWithoutEffect(t *testing.T) {
	built := smallTree(t, 40)
	assignment := treeAssignment(built, 2, 16, treePublic(built, 2, 16, fixture.Challenge()))
	for i := 8; i < 16; i++ {
		assignment.Candidates[i] = fixture.Scalar()
	}
	if err := wires.Solve(t, smallTreeShape, assignment); err != nil {
		t.Errorf("the circuit is not satisfied: %v", err)
	}
}

// Without `last`, chunks to the right may be there: only the last non-empty chunk's proof fixes the
// count.
func TestLastShowsTheCount(t *testing.T) {
	built := smallTree(t, 40)
	for k, last := range map[int]bool{0: false, 1: false, 2: true} {
		public := treePublic(built, k, 16, fixture.Challenge())
		if public[3].IsOne() != last {
			t.Errorf("chunk %d: last = %v", k, public[3].IsOne())
		}
		assignment := treeAssignment(built, k, 16, public)
		assignment.Last = 1
		if err := wires.Solve(t, smallTreeShape, assignment); (err == nil) != last {
			t.Errorf("chunk %d with last = 1: %v", k, err)
		}
	}
	full := smallTree(t, 4096) // no sibling to the right at all
	if err := wires.Solve(t, smallTreeShape, treeAssignment(full, 255, 16,
		treePublic(full, 255, 16, fixture.Challenge()))); err != nil {
		t.Errorf("the last chunk of a full tree: %v", err)
	}
}

func TestTreeProofs(t *testing.T) {
	key := fixture.Key(t, fixture.TreeShape)
	vk, err := gnark.Load(fixture.KeyDir(t, fixture.TreeShape))
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
		if err := gnark.Verify(vk, p); err != nil {
			t.Errorf("gnark refuses chunk %d: %v", k, err)
		}
	}
	var failure *fault.Error
	for _, k := range []int{-1, 2} {
		if _, err := Tree(key, built, k, challenge); !errors.As(err, &failure) ||
			failure.Code != fault.BadRequest {
			t.Errorf("chunk %d: %v", k, err)
		}
	}
	deep, err := tree.New(fixture.Leaves(t, 3), tree.MaxDepth)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Tree(key, deep, 0, challenge); !errors.As(err, &failure) ||
		failure.Code != fault.Mismatch {
		t.Errorf("a tree of another depth: %v", err)
	}
}

func smallTree(t *testing.T, count int) *tree.Tree {
	t.Helper()
	built, err := tree.New(fixture.Leaves(t, count), 3)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

var smallTreeShape = circuits.Shape{Kind: kinds.Tree, Slots: 16, Depth: 3}

// Candidates outside the used prefix have no effect; everything else is bound.
func TestTreeWiresAreBound(t *testing.T) {
	for _, c := range []struct{ count, k, unused int }{{40, 1, 0}, {40, 2, 8}, {256, 15, 0}} {
		built := smallTree(t, c.count)
		public := treePublic(built, c.k, 16, fixture.Challenge())
		free := wires.Free(t, smallTreeShape, treeAssignment(built, c.k, 16, public))
		firstCandidate := 1 + circuits.TreePublic
		for i := 16 - c.unused; i < 16; i++ {
			if !free[firstCandidate+i] {
				t.Errorf("candidate %d was expected to be free", i)
			}
			delete(free, firstCandidate+i)
		}
		if len(free) != 0 {
			t.Errorf("count %d, chunk %d: wires %v can be changed alone", c.count, c.k, free)
		}
	}
}

// Every public input of a valid assignment is bound: any other value has no witness with the same
// secrets.
func TestTreePublicInputsAreBound(t *testing.T) {
	built := smallTree(t, 40)
	for i := range circuits.TreePublic {
		public := treePublic(built, 2, 16, fixture.Challenge())
		assignment := treeAssignment(built, 2, 16, public)
		shifted := public[i]
		shifted.Add(&shifted, new(fr.Element).SetOne())
		*treeInputs(assignment)[i] = shifted
		if wires.Satisfied(t, smallTreeShape, assignment) {
			t.Errorf("public input %d is not bound", i)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
	"github.com/consensys/gnark/test"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// reference packs blocks with integers, as the format's table says, in another way than the gadget
// does.
func reference(blocks [][Values]uint16) (elements [tree.Arity]fr.Element) {
	add := func(element, at int, value uint16) {
		var placed fr.Element
		placed.SetBigInt(integer.PowerOfTwo(16 * at))
		scaled := fr.NewElement(uint64(value))
		elements[element].Add(&elements[element], placed.Mul(&placed, &scaled))
	}
	for j, block := range blocks {
		for v, value := range block {
			switch {
			case v < 15:
				add(2*j, v, value)
			case v < 30:
				add(2*j+1, v-15, value)
			default:
				add(14, 2*j+v-30, value)
			}
		}
	}
	return elements
}

// grove is a tree of pages for tests: slots that are not in pages are empty.
type grove struct {
	pages map[int][tree.Arity]fr.Element
	built *tree.Tree
}

func grow(t *testing.T, pages map[int][][Values]uint16, levels int) *grove {
	t.Helper()
	g := &grove{pages: map[int][tree.Arity]fr.Element{}}
	slots := make([]fr.Element, tree.Capacity(levels))
	for i := range slots {
		blocks, filled := pages[i]
		elements := reference(blocks)
		g.pages[i] = elements
		if filled {
			slots[i] = poseidon.Hash16(&elements)
		}
	}
	var err error
	if g.built, err = tree.New(slots, levels); err != nil {
		t.Fatal(err)
	}
	return g
}

// path is the children of the ancestors of slot, the root's last.
func (g *grove) path(slot int) [][tree.Arity]fr.Element {
	var path [][tree.Arity]fr.Element
	for level := 1; level <= g.built.Depth(); level++ {
		slot /= tree.Arity
		path = append(path, g.built.Children(level, slot))
	}
	return path
}

func drawn(width int) (block [Values]uint16) {
	for i := range width {
		block[i] = uint16(rand.Uint32())
	}
	return block
}

func drawnBlocks(count, width int) [][Values]uint16 {
	blocks := make([][Values]uint16, count)
	for i := range blocks {
		blocks[i] = drawn(width)
	}
	return blocks
}

// blockCircuit opens one block and states its number and values.
type blockCircuit struct {
	Root, Index frontend.Variable `gnark:",public"`
	Values      [Values]frontend.Variable
	Top         Children
	At          Position
	Opening     BlockPath
	Bits        [Values][valueBits]frontend.Variable
	width       int
}

func (c *blockCircuit) Define(api frontend.API) error {
	hash, err := poseidon.NewGadget(api, tree.Arity)
	if err != nil {
		return err
	}
	t := NewTree(api, hash, c.Root, &c.Top)
	at := c.At.Constrain(api)
	AssertIndexes(api, []frontend.Variable{c.Index}, []frontend.Variable{at.Index})
	t.Block(at, &c.Opening, c.Values[:c.width])
	for i := range c.Values {
		api.AssertIsEqual(c.Values[i], api.FromBinary(c.Bits[i][:]...))
	}
	return nil
}

func newBlockCircuit(width, levels int) *blockCircuit {
	return &blockCircuit{
		At: NewPosition(levels), Opening: NewBlockPath(width, levels), width: width}
}

// block assigns the block of a number.
func (g *grove) block(t *testing.T, index, width int) *blockCircuit {
	t.Helper()
	c := newBlockCircuit(width, g.built.Depth())
	elements := g.pages[index/Blocks]
	blocks, err := Unpack(&elements)
	if err != nil {
		t.Fatal(err)
	}
	path := g.path(index / Blocks)
	if err := c.Opening.Set(&elements, index%Blocks, path); err != nil {
		t.Fatal(err)
	}
	root := g.built.Root()
	c.Root, c.Index = root, PackIndexes([]int{index})[0]
	SetChildren(&c.Top, &path[len(path)-1])
	c.At.Set(index)
	for i, value := range blocks[index%Blocks] {
		c.Values[i] = value
		integer.SetBits(c.Bits[i][:], int(value))
	}
	return c
}

func solves(circuit, assignment frontend.Circuit) error {
	return test.IsSolved(circuit, assignment, ecc.BN254.ScalarField())
}

// leaves are pointers to all variables of an assignment with their names.
func leaves(name string, v reflect.Value, into map[string]*frontend.Variable) {
	switch v.Kind() {
	case reflect.Pointer:
		leaves(name, v.Elem(), into)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				leaves(name+"."+v.Type().Field(i).Name, v.Field(i), into)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			leaves(fmt.Sprintf("%s[%d]", name, i), v.Index(i), into)
		}
	case reflect.Interface:
		into[name] = v.Addr().Interface().(*frontend.Variable)
	}
}

func elementOf(v frontend.Variable) (e fr.Element) {
	if _, err := e.SetInterface(v); err != nil {
		panic(err)
	}
	return e
}

func shifted(v frontend.Variable, by int64) fr.Element {
	e, step := elementOf(v), fr.Element{}
	return *e.Add(&e, step.SetInt64(by))
}

// requireBound perturbs every variable of a sample alone.
func requireBound(t *testing.T, circuit, assignment frontend.Circuit, sample int) {
	t.Helper()
	if err := solves(circuit, assignment); err != nil {
		t.Fatalf("honest assignment: %v", err)
	}
	all := map[string]*frontend.Variable{}
	leaves("", reflect.ValueOf(assignment), all)
	for name, variable := range all { // in random order
		if sample--; sample < 0 {
			return
		}
		before := *variable
		*variable = shifted(before, 1)
		if solves(circuit, assignment) == nil {
			t.Errorf("%s can be changed alone", name)
		}
		*variable = before
	}
}

func TestEveryBlockOpens(t *testing.T) {
	for _, c := range []struct{ width, levels int }{{8, 1}, {16, 2}, {32, 1}, {32, 2}} {
		pages := map[int][][Values]uint16{}
		for i := range tree.Capacity(c.levels) {
			pages[i] = drawnBlocks(Blocks, c.width)
		}
		g := grow(t, pages, c.levels)
		for _, index := range []int{0, 5, 6, 7, 48, 7*tree.Capacity(c.levels) - 1} {
			if err := solves(newBlockCircuit(c.width, c.levels),
				g.block(t, index, c.width)); err != nil {
				t.Errorf("width %d, levels %d, block %d: %v", c.width, c.levels, index, err)
			}
		}
		requireBound(t, newBlockCircuit(c.width, c.levels), g.block(t, 9, c.width), 12)
	}
}

// flip changes one bit of one value, and the value.
func (c *blockCircuit) flip(value, bit int) {
	c.Bits[value][bit] = 1 - intOf(c.Bits[value][bit])
	c.Values[value] = intOf(c.Values[value]) ^ 1<<bit
}

func TestFalseOpenings(t *testing.T) {
	pages := map[int][][Values]uint16{}
	for i := range 256 {
		pages[i] = drawnBlocks(Blocks, Values)
	}
	pages[3] = pages[2]
	g := grow(t, pages, 2)
	const index = 3*Blocks + 4
	for name, change := range map[string]func(c *blockCircuit){
		"another number":  func(c *blockCircuit) { c.Index = index + 1 },
		"the slot before": func(c *blockCircuit) { c.At.Set(index - 1); c.Index = index - 1 },
		// The number of the block stays false.
		"an equal page's": func(c *blockCircuit) { c.At.Set(index - 7); c.Index = index },
		"a slot of two": func(c *blockCircuit) {
			c.At.Slot = [6]frontend.Variable{2, 0, 0, 0, -1, 0}
			c.Index = shifted(c.Index, -8)
		},
		"no slot": func(c *blockCircuit) { c.At.Slot[4] = 0 },
		"a digit of two": func(c *blockCircuit) {
			c.At.Digits[0] = [4]frontend.Variable{3, 0, 0, 0}
		},
		"another value":    func(c *blockCircuit) { c.flip(0, 0) },
		"another value 29": func(c *blockCircuit) { c.flip(29, 15) },
		"another value 31": func(c *blockCircuit) { c.flip(31, 3) },
		"values 30 and 31 of the block before": func(c *blockCircuit) {
			// e_14 stays, with the borders of its parts moved by one block
			blocks, _ := Unpack(ptr(g.pages[3]))
			for i := range 2 {
				c.Values[30+i] = blocks[3][30+i]
				integer.SetBits(c.Bits[30+i][:], int(blocks[3][30+i]))
			}
			integer.SetBits(c.Opening.Others[3][:], int(blocks[4][30])|int(blocks[4][31])<<16)
		},
		"another sibling": func(c *blockCircuit) { c.Opening.Path[0][9] = 1 },
		"another root":    func(c *blockCircuit) { c.Root = 1 },
	} {
		c := g.block(t, index, Values)
		change(c)
		if solves(newBlockCircuit(Values, 2), c) == nil {
			t.Errorf("%s: the circuit is satisfied", name)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func intOf(v frontend.Variable) int {
	e := elementOf(v)
	return int(e.Uint64())
}

// What the gadget adds to the test circuits' own constraints: bits, values and the number.
func TestConstraintCounts(t *testing.T) {
	const top, hash, level, bits = 610, 609, 625, Values * valueBits
	for name, c := range map[string]struct {
		circuit frontend.Circuit
		want    int
	}{
		"32 values, 1 level": {newBlockCircuit(32, 1), bits + Values + 1 + top + 11 + 819 + 16},
		"32 values, 3 levels": {newBlockCircuit(32, 3),
			bits + Values + 1 + top + 19 + 819 + 2*level + 16},
		"16 values, 3 levels": {newBlockCircuit(16, 3),
			bits + Values + 1 + top + 19 + 617 + 2*level + 16},
		"8 values, 3 levels": {newBlockCircuit(8, 3),
			bits + Values + 1 + top + 19 + 589 + 2*level + 16},
		"group of rank 8": {newGroupCircuit(8, 3),
			8*bits + 1 + top + 11 + 606 + 570 + 16 + hash + level + 16},
		"group of rank 64": {newGroupCircuit(64, 3),
			64*bits + 1 + top + 8 + 9*606 + 570 + 16 + hash + level + 16},
	} {
		system, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, c.circuit)
		if err != nil {
			t.Fatal(err)
		}
		if got := system.GetNbConstraints(); got != c.want {
			t.Errorf("%s: %d constraints, want %d", name, got, c.want)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	blocks := drawnBlocks(Blocks, Values)
	elements := reference(blocks)
	got, err := Unpack(&elements)
	if err != nil || !reflect.DeepEqual(got[:], blocks) {
		t.Errorf("a page: %v", err)
	}
	for i, bits := range map[int]int{0: 240, 13: 240, 14: 224, 15: 0} {
		broken := elements
		broken[i].SetBigInt(integer.PowerOfTwo(bits))
		if _, err := Unpack(&broken); err == nil {
			t.Errorf("element %d = 2^%d was unpacked", i, bits)
		}
	}
	o := NewBlockPath(8, 1)
	if err := o.Set(&elements, 0, make([][tree.Arity]fr.Element, 1)); err == nil {
		t.Error("a page of wide blocks was taken for one of rank 8")
	}
}

// SPDX-License-Identifier: Apache-2.0

package blocks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/gnark"
	"provenance/zkprover/internal/wires"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/weights"
)

var (
	q8_0Shape = circuits.Shape{Kind: kinds.Q8_0, Slots: 1, Depth: 1}
	int8Shape = circuits.Shape{Kind: kinds.Int8, Slots: 1, Depth: 1}
)

// No wire can be changed alone, and no public input at all.
func TestQuantizedWiresAreBound(t *testing.T) {
	scene := newQuantizedScene(t)
	q8, err := scene.assignQ8_0(t, middle, scene.q8)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := scene.assignInt8(t, middle, scene.int8)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		shape      circuits.Shape
		assignment frontend.Circuit
		public     *circuits.Quantized
	}{{q8_0Shape, q8, &q8.Quantized}, {int8Shape, rows, &rows.Quantized}} {
		if free := wires.Free(t, c.shape, c.assignment); len(free) != 0 {
			t.Errorf("%v: wires %v can be changed alone", c.shape, free)
		}
		inputs := []*frontend.Variable{&c.public.Root, &c.public.Indexes[0], &c.public.Codes[0],
			&c.public.Codes[1]}
		for i, input := range inputs {
			before := *input
			shifted := wires.Value(before)
			*input = *shifted.Add(&shifted, new(fr.Element).SetOne())
			if err := wires.Solve(t, c.shape, c.assignment); err == nil {
				t.Errorf("%v: public input %d is not bound", c.shape, i)
			}
			*input = before
		}
	}
}

// quantizedAttack changes the honest bytes or the assignment.
type quantizedAttack struct {
	name   string
	index  int
	bytes  func(deployed []byte)
	change func(c *circuits.Quantized, b *circuits.OpenedBlock)
}

var quantizedAttacks = []quantizedAttack{
	{"a code one up", middle, func(d []byte) { d[len(d)-1]++ }, nil},
	{"a code one down", middle, func(d []byte) { d[len(d)-32]-- }, nil},
	{"a code's sign", middle, func(d []byte) { d[largestCode(d)] = -d[largestCode(d)] }, nil},
	{"a code of -128", middle, func(d []byte) { d[len(d)-1] = 0x80 }, nil},
	{"the scale's last place", middle, func(d []byte) { d[len(d)-33] ^= 1 }, nil},
	{"the scale's sign", middle, func(d []byte) { d[len(d)-33] ^= 0x80 }, nil},
	{"another block's number", 0, func([]byte) {}, nil},
	{"the number of a block beside it", middle, func([]byte) {},
		func(c *circuits.Quantized, b *circuits.OpenedBlock) {
			c.Indexes[0] = middle + 1
		}},
	{"a number above the tree", middle, func([]byte) {},
		func(c *circuits.Quantized, b *circuits.OpenedBlock) {
			c.Indexes[0] = middle + 7*16
		}},
	{"another slot of the page", middle, func([]byte) {},
		func(c *circuits.Quantized, b *circuits.OpenedBlock) {
			b.At.Set(middle + 1)
			c.Indexes[0] = middle + 1
		}},
	{"another root", middle, func([]byte) {}, func(c *circuits.Quantized, b *circuits.OpenedBlock) {
		c.Root = fixture.Scalar()
	}},
	{"a value's bit", middle, func([]byte) {}, func(c *circuits.Quantized,
		b *circuits.OpenedBlock) {
		e := wires.Value(b.Bits[9][0])
		b.Bits[9][0] = 1 - e.Uint64()
	}},
	{"bytes beyond the last", middle, func([]byte) {},
		func(c *circuits.Quantized, b *circuits.OpenedBlock) {
			last := wires.Value(c.Codes[1])
			c.Codes[1] = *last.Add(&last, new(fr.Element).SetOne())
		}},
}

func largestCode(d []byte) int {
	at := len(d) - 32
	for i := at; i < len(d); i++ {
		if abs(d[i]) > abs(d[at]) {
			at = i
		}
	}
	return at
}

func abs(b byte) int { return max(int(int8(b)), -int(int8(b))) }

func TestQuantizedAttacks(t *testing.T) {
	scene := newQuantizedScene(t)
	for _, a := range quantizedAttacks {
		deployed := bytes.Clone(scene.q8)
		a.bytes(deployed)
		q8, q8Err := scene.assignQ8_0(t, a.index, deployed)
		deployed = bytes.Clone(scene.int8)
		a.bytes(deployed)
		rows, int8Err := scene.assignInt8(t, a.index, deployed)
		if a.change != nil {
			a.change(&q8.Quantized, &q8.Blocks[0].OpenedBlock)
			a.change(&rows.Quantized, &rows.Blocks[0].OpenedBlock)
		} else if q8Err == nil || int8Err == nil {
			t.Errorf("%s: the bytes were found right: %v, %v", a.name, q8Err, int8Err)
		}
		if wires.Solve(t, q8_0Shape, q8) == nil {
			t.Errorf("%s: the circuit q8_0 is satisfied", a.name)
		}
		if wires.Solve(t, int8Shape, rows) == nil {
			t.Errorf("%s: the circuit int8 is satisfied", a.name)
		}
	}
}

func TestQuantizedProofs(t *testing.T) {
	scene := newQuantizedScene(t)
	for _, c := range []struct {
		shape    circuits.Shape
		prove    func(*keys.Key, *weights.Tree, []int, []byte) (*proof.Proof, error)
		deployed []byte
	}{{q8_0Shape, Q8_0, scene.q8}, {int8Shape, Int8, scene.int8}} {
		key := fixture.Key(t, c.shape)
		vk, err := gnark.Load(fixture.KeyDir(t, c.shape))
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.prove(key, scene.built, []int{middle}, c.deployed)
		if err != nil {
			t.Fatal(err)
		}
		if err := gnark.Verify(vk, p); err != nil {
			t.Errorf("%v: gnark refuses: %v", c.shape, err)
		}
		changed := bytes.Clone(c.deployed)
		changed[len(changed)-1] ^= 64
		other := weightTree(t, quantizedCases(t)[6].Values, quantizedCases(t)[7].Values,
			quantizedCases(t)[8].Values)
		for what, r := range map[string]struct {
			built    *weights.Tree
			indexes  []int
			deployed []byte
			code     fault.Code
		}{
			"a changed code":            {scene.built, []int{middle}, changed, fault.Unproven},
			"a tensor of equal shape":   {other, []int{middle}, c.deployed, fault.Unproven},
			"another block":             {scene.built, []int{2}, c.deployed, fault.Unproven},
			"a block beyond the tensor": {scene.built, []int{3}, c.deployed, fault.BadRequest},
			"too few bytes": {scene.built, []int{middle}, c.deployed[1:],
				fault.BadFile},
			"too many blocks": {scene.built, []int{0, 1},
				append(c.deployed, c.deployed...), fault.Mismatch},
		} {
			var failure *fault.Error
			if _, err := c.prove(key, r.built, r.indexes, r.deployed); !errors.As(err, &failure) ||
				failure.Code != r.code {
				t.Errorf("%v, %s: %v", c.shape, what, err)
			}
		}
		_, err = c.prove(key, scene.built, []int{middle}, changed)
		if err == nil || !strings.Contains(err.Error(), "block 1, code 31") {
			t.Errorf("the error does not name the place: %v", err)
		}
	}
}

// The error tells whether the file may have been tampered with.
func TestQuantizedErrorsTellTwoCausesApart(t *testing.T) {
	scene := newQuantizedScene(t)
	key := fixture.Key(t, int8Shape)
	tiny := bytes.Clone(scene.int8)
	binary.LittleEndian.PutUint32(tiny, math.Float32bits(0x1p-10))
	changed := bytes.Clone(scene.int8)
	changed[len(changed)-1] ^= 64
	for hint, deployed := range map[string][]byte{"no proof can be made": tiny,
		"was not made from this tensor": changed} {
		var failure *fault.Error
		_, err := Int8(key, scene.built, []int{middle}, deployed)
		if !errors.As(err, &failure) || failure.Code != fault.Unproven ||
			!strings.Contains(failure.Hint, hint) {
			t.Errorf("%s: %v", hint, err)
		}
	}
}

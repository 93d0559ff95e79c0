// SPDX-License-Identifier: Apache-2.0

package blocks

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"testing"

	"provenance/zkprover/circuits"
	"provenance/zkprover/gadgets/page"
	"provenance/zkprover/gadgets/quantized"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/internal/wires"
	"provenance/zkprover/weights"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// weightTree is the tree of blocks of 32 bfloat16 patterns, one row each.
func weightTree(t testing.TB, blocks ...[]uint16) *weights.Tree {
	t.Helper()
	var data []byte
	for _, block := range blocks {
		for _, pattern := range block {
			data = binary.LittleEndian.AppendUint16(data, pattern)
		}
	}
	grid, err := weights.NewGrid(weights.BF16, weights.Rows, len(blocks), page.Values, 0)
	if err != nil {
		t.Fatal(err)
	}
	built, err := weights.New(grid, 0, bytes.NewReader(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// quantizedCase is an entry of the shared vectors, made by gguf-py.
type quantizedCase struct {
	Name   string   `json:"name"`
	Values []uint16 `json:"values"`
	Bytes  string   `json:"bytes"`
}

func quantizedCases(t testing.TB) (cases []quantizedCase) {
	t.Helper()
	var file struct {
		Cases []quantizedCase `json:"cases"`
	}
	fixture.Vectors(t, "q8_0.json", &file)
	if len(file.Cases) < 100 {
		t.Fatalf("%d cases", len(file.Cases))
	}
	return file.Cases
}

func (c *quantizedCase) deployed(t testing.TB) []byte {
	t.Helper()
	data, err := hex.DecodeString(c.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// absolute is a bfloat16's absolute value; exact in 64 bits.
func absolute(pattern uint16) float64 {
	return math.Abs(float64(math.Float32frombits(uint32(pattern) << 16)))
}

// rowQuantized is the float32 pattern of the largest value, then the codes of a row-wise
// quantization, as signed bytes.
func rowQuantized(block []uint16) []byte {
	largest := 0.0
	for _, pattern := range block {
		largest = max(largest, absolute(pattern))
	}
	out := binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(largest)))
	for _, pattern := range block {
		code := 0
		if largest > 0 {
			code = int(math.RoundToEven(127 * absolute(pattern) / largest))
		}
		if pattern>>15 == 1 {
			code = -code
		}
		out = append(out, byte(code))
	}
	return out
}

// quantizedScene is a tree of three blocks and the bytes of the middle one.
type quantizedScene struct {
	built    *weights.Tree
	q8, int8 []byte
}

const middle = 1

func newQuantizedScene(t testing.TB) *quantizedScene {
	t.Helper()
	cases := quantizedCases(t)
	block := cases[3]
	return &quantizedScene{
		built: weightTree(t, cases[4].Values, block.Values, cases[5].Values),
		q8:    block.deployed(t), int8: rowQuantized(block.Values),
	}
}

func (s *quantizedScene) assignQ8_0(
	t testing.TB, index int, deployed []byte,
) (*circuits.Q8_0, error) {
	t.Helper()
	c := circuits.NewQ8_0(1, s.built.Depth())
	_, err := assignQ8_0(c, s.built, []int{index}, biasCodes(deployed, circuits.Q8_0Bytes))
	return c, err
}

func (s *quantizedScene) assignInt8(
	t testing.TB, index int, deployed []byte,
) (*circuits.Int8, error) {
	t.Helper()
	c := circuits.NewInt8(1, s.built.Depth())
	_, err := assignInt8(c, s.built, []int{index}, biasCodes(deployed, circuits.Int8Bytes))
	return c, err
}

// The bytes that gguf-py makes of every block are accepted. With any byte changed by 1 they are
// not, except at a tie.
func TestBlocksOfGgufPy(t *testing.T) {
	cases := quantizedCases(t)
	for n, c := range cases {
		scene := &quantizedScene{built: weightTree(t, c.Values)}
		deployed := c.deployed(t)
		a, err := scene.assignQ8_0(t, 0, deployed)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if err := wires.Solve(t, q8_0Shape, a); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		at := n % len(deployed)
		for _, step := range []byte{1, 255} {
			changed := bytes.Clone(deployed)
			changed[at] += step
			a, err := scene.assignQ8_0(t, 0, changed)
			if tie := at >= 2 && isTie(c.Values, at-2, int8(changed[at]),
				int8(deployed[at])); (err == nil) != tie {
				t.Errorf("%s, byte %d: tie %v, %v", c.Name, at, tie, err)
			}
			if solved := wires.Solve(t, q8_0Shape, a) == nil; solved != (err == nil) {
				t.Errorf("%s, byte %d: the circuit is satisfied: %v, %v", c.Name, at, solved, err)
			}
		}
	}
}

// isTie says whether 127*x/maximum lies half way between two codes of the weight's sign.
func isTie(block []uint16, i int, codes ...int8) bool {
	largest, sum := 0.0, 0.0
	for _, pattern := range block {
		largest = max(largest, absolute(pattern))
	}
	for _, code := range codes {
		sum += math.Abs(float64(code))
	}
	return largest > 0 && 2*127*absolute(block[i]) == sum*largest
}

// ramp is a block whose values go up to a maximum.
func ramp(maximum uint16) []uint16 {
	block := make([]uint16, page.Values)
	for i := range block {
		block[i] = maximum - uint16(7*i)
	}
	return block
}

// Blocks that have no quantization, and false bytes for blocks of zeros.
func TestBlocksWithoutQuantization(t *testing.T) {
	zeros, one := make([]uint16, page.Values), make([]byte, circuits.Int8Bytes)
	one[20] = 1
	tiny := make([]uint16, page.Values)
	tiny[3] = 0x7f
	for name, c := range map[string]struct {
		block []uint16
		bytes []byte
	}{
		"a code of a block of zeros":  {zeros, one},
		"a scale of a block of zeros": {zeros, append([]byte{0, 0, 1, 0}, make([]byte, 32)...)},
		"an infinity":                 {ramp(0x7f80), rowQuantized(ramp(0x7f7f))},
		"a negative infinity": {append([]uint16{0xff80}, ramp(0x3f80)[1:]...),
			rowQuantized(ramp(0x3f80))},
		"a NaN": {append(ramp(0x3f80)[:31:31], 0x7fc1),
			rowQuantized(ramp(0x3f80))},
		"a scale beyond float16": {ramp(149<<7 | 126), rowQuantized(ramp(149<<7 | 126))},
		"a subnormal maximum":    {tiny, rowQuantized(tiny)},
	} {
		scene := &quantizedScene{built: weightTree(t, c.block)}
		q8, q8Err := scene.assignQ8_0(t, 0, c.bytes[2:])
		rows, int8Err := scene.assignInt8(t, 0, c.bytes)
		if q8Err == nil || wires.Solve(t, q8_0Shape, q8) == nil {
			t.Errorf("%s: q8_0: %v", name, q8Err)
		}
		if int8Err == nil || wires.Solve(t, int8Shape, rows) == nil {
			t.Errorf("%s: int8: %v", name, int8Err)
		}
	}
}

// With another hidden bit the pattern is another one, which the tree does not hold.
func TestHiddenBitOfAZero(t *testing.T) {
	scene := &quantizedScene{built: weightTree(t, make([]uint16, page.Values))}
	deployed := make([]byte, circuits.Int8Bytes)
	deployed[len(deployed)-1] = 63
	q8, q8Err := scene.assignQ8_0(t, 0, deployed[2:])
	rows, int8Err := scene.assignInt8(t, 0, deployed)
	top := quantized.Magnitude{Exponent: 1, Significand: 128}
	err := q8.Blocks[0].Codes[31].Set(quantized.FormatQ8_0, 1<<7, top, 128+127)
	if q8Err == nil || err != nil || wires.Satisfied(t, q8_0Shape, q8) {
		t.Errorf("q8_0: the circuit is satisfied: %v, %v", q8Err, err)
	}
	top.Significand = 1024
	err = rows.Blocks[0].Codes[31].Set(quantized.FormatInt8, 1<<7, top, 128+127)
	if int8Err == nil || err != nil || wires.Satisfied(t, int8Shape, rows) {
		t.Errorf("int8: the circuit is satisfied: %v, %v", int8Err, err)
	}
}

// A row's maximum may be larger than all values of the block. A smaller one is refused, and so is
// one that is not a float16.
func TestRowMaxima(t *testing.T) {
	block := ramp(0x3f80) // 1 down
	scene := &quantizedScene{built: weightTree(t, block)}
	zeros := &quantizedScene{built: weightTree(t, make([]uint16, page.Values))}
	for name, c := range map[string]struct {
		scene   *quantizedScene
		maximum float32
		want    bool
	}{
		"the block's":                {scene, 1, true},
		"a larger one of the row":    {scene, 1.25, true},
		"far above":                  {scene, 65504, true},
		"a little smaller":           {scene, 1 - 1.0/2048, false},
		"smaller":                    {scene, 0.5, false},
		"no float16":                 {scene, 1 + 1.0/4096, false},
		"beyond float16":             {scene, 65536, false},
		"infinite":                   {scene, float32(math.Inf(1)), false},
		"negative":                   {scene, -1, false},
		"zero for a block of values": {scene, 0, false},
		"zero for a block of zeros":  {zeros, 0, true},
		"any for a block of zeros":   {zeros, 3, true},
		"tiny":                       {zeros, 1.0 / 1024, false},
	} {
		deployed := binary.LittleEndian.AppendUint32(nil, math.Float32bits(c.maximum))
		values := block
		if c.scene == zeros {
			values = make([]uint16, page.Values)
		}
		for _, pattern := range values {
			code := 0.0
			if c.maximum > 0 {
				code = min(127, math.RoundToEven(127*absolute(pattern)/float64(c.maximum)))
			}
			deployed = append(deployed, byte(int8(code)))
		}
		a, err := c.scene.assignInt8(t, 0, deployed)
		if (err == nil) != c.want || (wires.Solve(t, int8Shape, a) == nil) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// Drawn blocks of every magnitude, row-wise.
func TestDrawnRows(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		block := make([]uint16, page.Values)
		exponent := 118 + random.IntN(25)
		for i := range block {
			block[i] = uint16(random.UintN(1<<15)&0x7f) | uint16(max(0,
				exponent-random.IntN(14)))<<7 | uint16(random.UintN(2))<<15
		}
		block[random.IntN(page.Values)] = uint16(exponent) << 7
		block[random.IntN(page.Values)] = uint16(random.UintN(127)) // subnormal
		scene := &quantizedScene{built: weightTree(t, block)}
		a, err := scene.assignInt8(t, 0, rowQuantized(block))
		if err != nil || wires.Solve(t, int8Shape, a) != nil {
			t.Errorf("%v: %v", block, err)
		}
	}
}

// Half the maximum lies between 63 and 64: both are nearest, their neighbours are not.
func TestTies(t *testing.T) {
	block := make([]uint16, page.Values)
	block[0], block[1] = 0x3f80, 0xbf00 // 1, -1/2
	scene := &quantizedScene{built: weightTree(t, block)}
	for code, want := range map[int8]bool{-62: false, -63: true, -64: true, -65: false,
		63: false, 64: false} {
		row := append([]byte{0, 0, 0x80, 0x3f, 127, byte(code)}, make([]byte, 30)...)
		q8 := append([]byte{0x08, 0x20, 127, byte(code)}, make([]byte, 30)...) // 1/127 is 0x2008
		a, err := scene.assignQ8_0(t, 0, q8)
		if (err == nil) != want || (wires.Solve(t, q8_0Shape, a) == nil) != want {
			t.Errorf("q8_0, code %d: %v", code, err)
		}
		b, err := scene.assignInt8(t, 0, row)
		if (err == nil) != want || (wires.Solve(t, int8Shape, b) == nil) != want {
			t.Errorf("int8, code %d: %v", code, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"math"
	"math/big"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
)

// exact is a finite bfloat16's absolute value in units of 2^-133, the smallest subnormal.
func exact(pattern uint16) *big.Int {
	field, mantissa := pattern>>7&255, int64(pattern&127)
	if field == 0 {
		return big.NewInt(mantissa)
	}
	return new(big.Int).Lsh(big.NewInt(128+mantissa), uint(field-1))
}

// halfFloats are all finite float16 without sign, by pattern, in units of 2^-24.
var halfFloats = func() (all [0x7c00]int64) {
	for p := range all {
		if field, mantissa := p>>10, int64(p&1023); field == 0 {
			all[p] = mantissa
		} else {
			all[p] = (1024 + mantissa) << (field - 1)
		}
	}
	return all
}()

// nearestHalf is the pattern nearest (even on ties) to a/127 for a in units of 2^-133; false at or beyond 65520.
func nearestHalf(a, divisor *big.Int) (uint16, bool) {
	unit := new(big.Int).Lsh(divisor, 133-24) // compare value*unit with a
	scaled := func(value int64) *big.Int { return new(big.Int).Mul(big.NewInt(value), unit) }
	twice := new(big.Int).Lsh(a, 1)
	if scaled(2*65520<<24).Cmp(twice) <= 0 {
		return 0, false
	}
	above := sort.Search(len(halfFloats), func(p int) bool { return scaled(halfFloats[p]).Cmp(a) > 0 })
	below := above - 1
	if above == len(halfFloats) {
		return uint16(below), true
	}
	switch twice.Cmp(scaled(halfFloats[below] + halfFloats[above])) {
	case -1:
		return uint16(below), true
	case 1:
		return uint16(above), true
	}
	return uint16(below + below%2), true
}

// Every bfloat16 maximum has the scale that the exact quotient has, and the one that a float32 division gives first.
func TestScales(t *testing.T) {
	for pattern := 0x80; pattern < 0x7f80; pattern++ {
		top, _ := decode(uint16(pattern))
		var s Scale
		got, err := s.Set(top)
		want, finite := nearestHalf(exact(uint16(pattern)), big.NewInt(127))
		if (err == nil) != finite || (finite && got != want) {
			t.Fatalf("maximum %#04x: scale %#04x (%v), want %#04x (finite %v)", pattern, got, err, want, finite)
		}
		divided := math.Float32frombits(uint32(pattern)<<16) / 127
		units := new(big.Int)
		new(big.Float).SetMantExp(big.NewFloat(float64(divided)), 200).Int(units)
		rounded, finite := nearestHalf(units, new(big.Int).Lsh(big.NewInt(1), 200-133))
		if (err == nil) != finite || (finite && got != rounded) {
			t.Fatalf("maximum %#04x: scale %#04x, by float32 %#04x", pattern, got, rounded)
		}
	}
}

// isNearest says whether |254*x/maximum - 2*size| <= 1, for 254*x/maximum = Factor*weight / (top*2^difference).
func isNearest(f Format, weight, top, difference, size int) bool {
	p := top << difference
	rest := f.Factor*weight - 2*size*p
	return -p <= rest && rest <= p
}

// Every pair of significands, and every difference of exponents up to beyond the one from which codes are 0: exactly the
// nearest sizes are accepted, both at ties, and no weight above the maximum.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		format           Format
		smallest, beyond int
	}{{FormatQ8_0, 128, 256}, {FormatInt8, 1024, 2048}} {
		ties := 0
		for top := c.smallest; top < c.beyond; top++ {
			for weight := range 256 {
				for difference := range 12 {
					ties += checkSizes(t, c.format, weight, top, difference)
				}
			}
		}
		t.Logf("%v: %d ties", c.format, ties)
	}
}

func checkSizes(t *testing.T, f Format, weight, top, difference int) (ties int) {
	share, p := f.Factor*weight, top<<difference
	floor := share / (2 * p)
	accepted := 0
	for size := max(0, floor-1); size <= floor+2; size++ {
		ok := f.compare(Magnitude{20, weight}, Magnitude{20 + difference, top}, size).err == nil
		if want := isNearest(f, weight, top, difference, size) && share <= 254*p; ok != want {
			t.Fatalf("%v: weight %d, maximum %d, difference %d, size %d: accepted %v", f, weight, top, difference, size, ok)
		}
		accepted += oneIf(ok)
	}
	return max(0, accepted-1)
}

// codeCircuit is one weight beside a maximum.
type codeCircuit struct {
	Biased                frontend.Variable `gnark:",public"`
	Bits                  [PatternBits]frontend.Variable
	Exponent, Significand frontend.Variable
	Code                  Code
	format                Format
}

func (c *codeCircuit) Define(api frontend.API) error {
	number(api, c.Bits[:])
	nonzero := NewNonzero(api)
	v := Decode(api, &c.Bits, c.Code.Normal, nonzero)
	nonzero.Assert()
	api.AssertIsEqual(c.format.Constrain(api, &c.Code, v, Top{c.Exponent, c.Significand}), c.Biased)
	return nil
}

func compileOf(t *testing.T, circuit frontend.Circuit) *cs.R1CS {
	t.Helper()
	system, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, circuit)
	if err != nil {
		t.Fatal(err)
	}
	return system.(*cs.R1CS)
}

func solves(t *testing.T, system *cs.R1CS, assignment frontend.Circuit) bool {
	t.Helper()
	witness, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	_, err = system.Solve(witness)
	return err == nil
}

// The circuit accepts a code exactly when the integers do, for drawn weights and those at ties, with the codes around.
// A larger weight is refused by q8_0's circuit only together with its maximum's.
func TestCodeCircuit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, f := range []Format{FormatQ8_0, FormatInt8} {
		system := compileOf(t, &codeCircuit{Code: f.NewCode(), format: f})
		smallest := f.Factor / 254 * 128
		for n := range 600 {
			top := Magnitude{Exponent: 1 + random.IntN(254), Significand: smallest + random.IntN(smallest)}
			pattern := uint16(random.Uint32())
			if n%3 != 0 { // near the maximum's exponent, every third at the tie of half the maximum
				exponent := max(0, top.Exponent-random.IntN(10)+n%2)
				pattern = pattern&0x807f | uint16(min(exponent, 255))<<7
			}
			weight, _ := decode(pattern)
			if n%3 == 2 {
				top.Exponent, top.Significand = weight.Exponent+1, smallest/128*weight.Significand
			}
			size := f.Factor * weight.Significand >> 1 / max(1, top.Significand<<max(0, min(20, top.Exponent-weight.Exponent)))
			for _, code := range []int{size, -size, size + 1, -size - 1, size - 1, 1 - size, size + 2, 0, 127, -127, -128} {
				if code < -128 || code > 127 {
					continue
				}
				c := &codeCircuit{Biased: code + 128, Exponent: top.Exponent, Significand: top.Significand, Code: f.NewCode()}
				setBits(c.Bits[:], int(pattern))
				err := c.Code.Set(f, pattern, top, byte(code+128))
				if err == ErrExceeds && !f.Strict {
					continue
				}
				if got := solves(t, system, c); got != (err == nil) {
					t.Fatalf("%v: weight %#04x, maximum %v, code %d: solved %v, %v", f, pattern, top, code, got, err)
				}
			}
		}
	}
}

// scaleCircuit is a block's maximum and its scale.
type scaleCircuit struct {
	Low, High frontend.Variable `gnark:",public"`
	Bits      [2][PatternBits]frontend.Variable
	Normal    [2]frontend.Variable
	Maximum   Maximum
	Scale     Scale
}

func (c *scaleCircuit) Define(api frontend.API) error {
	nonzero := NewNonzero(api)
	var values []*Value
	for i := range c.Bits {
		number(api, c.Bits[i][:])
		values = append(values, Decode(api, &c.Bits[i], c.Normal[i], nonzero))
	}
	top := c.Maximum.Constrain(api, values, nonzero)
	nonzero.Assert()
	low, high := c.Scale.Constrain(api, &c.Maximum, top)
	api.AssertIsEqual(low, c.Low)
	api.AssertIsEqual(high, c.High)
	return nil
}

func newScaleCircuit(pattern, other uint16) (*scaleCircuit, uint16, error) {
	c := &scaleCircuit{}
	for i, p := range []uint16{pattern, other} {
		setBits(c.Bits[i][:], int(p))
		c.Normal[i] = oneIf(p&0x7f80 != 0)
	}
	top, err := c.Maximum.Set(&[32]uint16{pattern, other})
	scale, scaleErr := c.Scale.Set(top)
	if err == nil {
		err = scaleErr
	}
	c.Low, c.High = scale&255, scale>>8
	return c, scale, err
}

// The circuit takes the scale of every class of maxima (each exponent with the significands around each border), no
// neighbouring scale, and no maximum that is refused.
func TestScaleCircuit(t *testing.T) {
	system := compileOf(t, &scaleCircuit{})
	for field := range 256 {
		for _, mantissa := range []int{0, 1, 77, 125, 126, 127} {
			c, scale, err := newScaleCircuit(uint16(field<<7|mantissa), uint16(mantissa))
			if got := solves(t, system, c); got != (err == nil) {
				t.Fatalf("exponent %d, mantissa %d: solved %v, %v", field, mantissa, got, err)
			}
			for _, wrong := range []uint16{scale + 1, scale - 1} {
				c.Low, c.High = wrong&255, wrong>>8
				setBits(c.Scale.Significand[:], int(wrong&1023|1024))
				if solves(t, system, c) {
					t.Fatalf("exponent %d, mantissa %d: scale %#04x instead of %#04x", field, mantissa, wrong, scale)
				}
			}
		}
	}
}

// Shapes of a scale that fit the number and not its rounding.
func TestFalseScales(t *testing.T) {
	system := compileOf(t, &scaleCircuit{})
	for name, pattern := range map[string]uint16{"two or more": 120<<7 | 127, "below two": 125 << 7, "subnormal": 110<<7 | 5, "nothing": 0} {
		honest, _, err := newScaleCircuit(pattern, 0)
		if err != nil || !solves(t, system, honest) {
			t.Fatalf("%s: %v", name, err)
		}
		for j := range 15 {
			for g := range 4 {
				c := *honest
				for i := range c.Scale.Shift {
					c.Scale.Shift[i] = oneIf(j == i+1)
				}
				top, _ := c.Maximum.Set(&[32]uint16{pattern})
				exponent := top.Exponent - scaleExponent + j - 1 + g
				setBits(c.Scale.Exponent[:], exponent)
				unit := 127 << j
				significand := (2048*top.Significand + unit) / (2 * unit)
				setBits(c.Scale.Significand[:], significand)
				doubled := 2048*top.Significand + unit - 2*unit*significand
				setBits(c.Scale.Below[:], doubled-1)
				setBits(c.Scale.Above[:], 2*unit-doubled)
				word := 1024*exponent + significand
				c.Low, c.High = word&255, word>>8
				if honestWord := elementOf(honest.Low) + 256*elementOf(honest.High); word != honestWord && solves(t, system, &c) {
					t.Fatalf("%s: j = %d and exponent %d give %#04x instead of %#04x", name, j, exponent, word, honestWord)
				}
			}
		}
	}
}

func elementOf(v frontend.Variable) int {
	return int(v.(uint16))
}

// A maximum that is no value's, or that a value exceeds, has no witness.
func TestFalseMaxima(t *testing.T) {
	system := compileOf(t, &scaleCircuit{})
	for name, c := range map[string]struct{ pattern, other, claimed uint16 }{
		"larger than all values":  {125 << 7, 120 << 7, 125<<7 | 1},
		"the smaller value":       {125<<7 | 1, 125 << 7, 125 << 7},
		"the next of 254":         {125<<7 | 127, 125<<7 | 126, 125<<7 | 126},
		"zero for a block of one": {1, 0, 0},
		"zero for a large block":  {125 << 7, 0, 0},
	} {
		a, _, _ := newScaleCircuit(c.pattern, c.other)
		top, _ := a.Maximum.Set(&[32]uint16{c.claimed})
		scale, _ := a.Scale.Set(top)
		a.Low, a.High = scale&255, scale>>8
		if solves(t, system, a) {
			t.Errorf("%s was accepted", name)
		}
	}
}

// counted is the number of constraints that a definition takes over free inputs.
type counted struct {
	Inputs [400]frontend.Variable
	define func(api frontend.API, take func(int) []frontend.Variable)
}

func (c *counted) Define(api frontend.API) error {
	next := 0
	c.define(api, func(n int) []frontend.Variable {
		next += n
		return c.Inputs[next-n : next]
	})
	return nil
}

func TestConstraintCounts(t *testing.T) {
	value := func(take func(int) []frontend.Variable) *Value {
		v := take(4)
		return &Value{v[0], v[1], v[2], v[3]}
	}
	values := func(take func(int) []frontend.Variable) (all []*Value) {
		for range 32 {
			all = append(all, value(take))
		}
		return all
	}
	code := func(f Format) func(frontend.API, func(int) []frontend.Variable) {
		return func(api frontend.API, take func(int) []frontend.Variable) {
			c := Code{Below: take(f.Width - 1), Above: take(f.Width - 1)}
			copy(c.Shift[:], take(farShift))
			copy(c.Size[:], take(CodeBits))
			f.Constrain(api, &c, value(take), Top{take(1)[0], take(1)[0]})
		}
	}
	for name, c := range map[string]struct {
		want   int
		define func(frontend.API, func(int) []frontend.Variable)
	}{
		"value": {4, func(api frontend.API, take func(int) []frontend.Variable) {
			bits, nonzero := [PatternBits]frontend.Variable(take(PatternBits)), NewNonzero(api)
			nonzero.Require(take(1)[0]) // the first requirement of a circuit is free
			Decode(api, &bits, take(1)[0], nonzero)
		}},
		"code of q8_0": {57, code(FormatQ8_0)},
		"code of int8": {70, code(FormatInt8)},
		"maximum": {83, func(api frontend.API, take func(int) []frontend.Variable) {
			m, nonzero := Maximum{Zero: take(1)[0]}, NewNonzero(api)
			copy(m.Mantissa[:], take(mantissaBits))
			copy(m.Exponent[:], take(exponentBits))
			nonzero.Require(take(1)[0])
			m.Constrain(api, values(take), nonzero)
		}},
		"scale": {96, func(api frontend.API, take func(int) []frontend.Variable) {
			s, m := Scale{}, Maximum{}
			for _, to := range [][]frontend.Variable{s.Significand[:], s.Exponent[:], s.Shift[:], s.Beyond[:], s.Below[:], s.Above[:], m.Mantissa[:]} {
				copy(to, take(len(to)))
			}
			s.Constrain(api, &m, Top{take(1)[0], take(1)[0]})
		}},
		"float32": {31, func(api frontend.API, take func(int) []frontend.Variable) {
			f := Float32{Zero: take(1)[0]}
			for _, to := range [][]frontend.Variable{f.Mantissa[:], f.Exponent[:], f.Below[:], f.Above[:]} {
				copy(to, take(len(to)))
			}
			f.Constrain(api, values(take))
		}},
	} {
		system, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, &counted{define: c.define}, frontend.IgnoreUnconstrainedInputs())
		if err != nil {
			t.Fatal(err)
		}
		if got := system.GetNbConstraints(); got != c.want {
			t.Errorf("%s: %d constraints, want %d", name, got, c.want)
		}
	}
}

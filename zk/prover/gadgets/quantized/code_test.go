// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"math/rand/v2"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/rankone"
)

// isNearest says whether |254*x/maximum - 2*size| <= 1, for
// 254*x/maximum = Factor*weight / (top*2^difference).
func isNearest(f Format, weight, top, difference, size int) bool {
	p := top << difference
	rest := f.Factor*weight - 2*size*p
	return -p <= rest && rest <= p
}

// Every pair of significands, and every difference of exponents up to beyond the one from which
// codes are 0: exactly the nearest sizes are accepted, both at ties, and no weight above the
// maximum.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		format           Format
		smallest, beyond int
	}{{FormatQ8_0, 128, 256}, {FormatInt8, 1024, 2048}} {
		ties := 0
		for top := c.smallest; top < c.beyond; top++ {
			for weight := range 256 {
				for difference := -1; difference < 12; difference++ {
					ties += checkSizes(t, c.format, weight, top, difference)
				}
			}
		}
		t.Logf("%v: %d ties", c.format, ties)
	}
}

func checkSizes(t *testing.T, f Format, weight, top, difference int) (ties int) {
	if difference < 0 {
		if c := f.compare(Magnitude{20, weight}, Magnitude{19, top}, 127); c.err != ErrExceeds {
			t.Fatalf("%v: weight %d, maximum %d: %v", f, weight, top, c.err)
		}
		return 0
	}
	share, p := f.Factor*weight, top<<difference
	floor := share / (2 * p)
	accepted := 0
	for size := max(0, floor-1); size <= floor+2; size++ {
		c := f.compare(Magnitude{20, weight}, Magnitude{20 + difference, top}, size)
		if want := isNearest(f, weight, top, difference, size) && share <= 254*p; (c.err ==
			nil) != want {
			t.Fatalf("%v: weight %d, maximum %d, difference %d, size %d: %v", f, weight,
				top, difference, size, c.err)
		}
		if c.distance < 0 || c.distance >= 1<<distanceBits || c.rest < 0 || c.rest > top {
			t.Fatalf("%v: weight %d, maximum %d, difference %d: %+v", f, weight, top, difference, c)
		}
		accepted += integer.OneIf(c.err == nil)
	}
	return max(0, accepted-1)
}

// codeCircuit is one weight beside a maximum.
type codeCircuit struct {
	Biased      frontend.Variable `gnark:",public"`
	Pattern     frontend.Variable `gnark:",public"`
	Bits        [PatternBits]frontend.Variable
	Exponent    [exponentBits]frontend.Variable // of the maximum, minus 1
	Significand []frontend.Variable
	Code        Code
	format      Format
}

func newCodeCircuit(f Format) *codeCircuit {
	return &codeCircuit{Code: f.NewCode(), format: f,
		Significand: make([]frontend.Variable, f.Width-1)}
}

func (c *codeCircuit) Define(api frontend.API) error {
	rows := rankone.New(api)
	v := Decode(rows, &c.Bits, c.Code.Normal)
	api.AssertIsEqual(v.Pattern, c.Pattern)
	for _, bits := range [][]frontend.Variable{c.Exponent[:], c.Significand} {
		integer.FromBits(api, bits)
	}
	top := newTop(rows, c.format, c.Exponent[:], c.Significand)
	api.AssertIsEqual(c.format.Constrain(rows, &c.Code, v, top), c.Biased)
	return nil
}

// set assigns a weight, a maximum and a code.
func (c *codeCircuit) set(pattern uint16, top Magnitude, biased int) error {
	c.Biased, c.Pattern = biased, pattern
	integer.SetBits(c.Bits[:], Lowered(pattern))
	integer.SetBits(c.Exponent[:], top.Exponent-1)
	integer.SetBits(c.Significand, top.Significand)
	return c.Code.Set(c.format, pattern, top, byte(biased))
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

// The circuit accepts a code exactly when the integers do, for drawn weights and those at ties,
// with the codes around.
func TestCodeCircuit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, f := range []Format{FormatQ8_0, FormatInt8} {
		system := compileOf(t, newCodeCircuit(f))
		smallest := f.Factor / 254 * 128
		for n := range 600 {
			top := Magnitude{Exponent: 1 + random.IntN(200),
				Significand: smallest + random.IntN(smallest)}
			pattern := uint16(random.Uint32())
			if n%3 != 0 { // near the maximum's exponent, every third at the tie of half the maximum
				exponent := max(0, top.Exponent-random.IntN(10)+n%2)
				pattern = pattern&0x807f | uint16(min(exponent, 255))<<7
			}
			weight, _ := decode(pattern)
			if n%3 == 2 {
				top.Exponent, top.Significand = weight.Exponent+1, smallest/128*weight.Significand
				top.Significand = max(top.Significand, smallest)
			}
			size := f.Factor * weight.Significand >> 1 / max(1,
				top.Significand<<max(0, min(20, top.Exponent-weight.Exponent)))
			for _, code := range []int{size, -size, size + 1, -size - 1, size - 1, 1 - size,
				size + 2, 0, 127, -127, -128} {
				if code < -128 || code > 127 {
					continue
				}
				c := newCodeCircuit(f)
				err := c.set(pattern, top, code+128)
				if got := solves(t, system, c); got != (err == nil) {
					t.Fatalf("%v: weight %#04x, maximum %v, code %d: solved %v, %v", f, pattern,
						top, code, got, err)
				}
			}
		}
	}
}

// counted is the number of constraints that a definition takes over free inputs.
type counted struct {
	Inputs [400]frontend.Variable
	define func(api *rankone.API, take func(int) []frontend.Variable)
}

func (c *counted) Define(api frontend.API) error {
	next := 0
	c.define(rankone.New(api), func(n int) []frontend.Variable {
		next += n
		return c.Inputs[next-n : next]
	})
	return nil
}

func TestConstraintCounts(t *testing.T) {
	values := func(take func(int) []frontend.Variable) (all []*Value) {
		for range 32 {
			v := take(6)
			all = append(all, &Value{v[0], v[1], v[2], v[3], v[4], v[5], take(1)[0]})
		}
		return all
	}
	code := func(f Format) func(*rankone.API, func(int) []frontend.Variable) {
		return func(api *rankone.API, take func(int) []frontend.Variable) {
			c := Code{Near: take(1)[0], Rest: take(f.Width)}
			copy(c.Distance[:], take(distanceBits))
			f.Constrain(api, &c, values(take)[0], Top{take(1)[0], take(1)[0], take(1)[0],
				take(1)[0], take(f.Width)})
		}
	}
	top := func(f Format) func(*rankone.API, func(int) []frontend.Variable) {
		return func(api *rankone.API, take func(int) []frontend.Variable) {
			newTop(api, f, take(exponentBits), take(f.Width-1))
		}
	}
	for name, c := range map[string]struct {
		want   int
		define func(*rankone.API, func(int) []frontend.Variable)
	}{
		"value": {20, func(api *rankone.API, take func(int) []frontend.Variable) {
			Decode(api, (*[PatternBits]frontend.Variable)(take(PatternBits)), take(1)[0])
		}},
		"code of q8_0": {28, code(FormatQ8_0)},
		"code of int8": {31, code(FormatInt8)},
		"top of q8_0":  {10, top(FormatQ8_0)},
		"top of int8":  {13, top(FormatInt8)},
		"maximum, with its top": {58, func(api *rankone.API, take func(int) []frontend.Variable) {
			m := Maximum{Zero: take(1)[0]}
			copy(m.Mantissa[:], take(mantissaBits))
			copy(m.Exponent[:], take(exponentBits))
			m.Constrain(api, values(take))
		}},
		"scale": {67, func(api *rankone.API, take func(int) []frontend.Variable) {
			s, m := Scale{Exponent: take(1)[0]}, Maximum{}
			for _, to := range [][]frontend.Variable{s.Significand[:], s.Finite[:], s.Shift[:],
				s.Beyond[:], s.Distance[:], m.Mantissa[:]} {
				copy(to, take(len(to)))
			}
			s.Constrain(api, &m, Top{Exponent: take(1)[0], Significand: take(1)[0]})
		}},
		"float32, with its top": {38, func(api *rankone.API, take func(int) []frontend.Variable) {
			f := Float32{Zero: take(1)[0]}
			for _, to := range [][]frontend.Variable{f.Mantissa[:], f.Exponent[:], f.Above[:]} {
				copy(to, take(len(to)))
			}
			f.Constrain(api, values(take))
		}},
	} {
		system, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder,
			&counted{define: c.define}, frontend.IgnoreUnconstrainedInputs())
		if err != nil {
			t.Fatal(err)
		}
		if got := system.GetNbConstraints(); got != c.want {
			t.Errorf("%s: %d constraints, want %d", name, got, c.want)
		}
	}
}

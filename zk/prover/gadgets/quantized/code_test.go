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
			t.Fatalf("%v: weight %d, maximum %d, difference %d, size %d: accepted %v", f, weight,
				top, difference, size, ok)
		}
		accepted += integer.OneIf(ok)
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
	integer.FromBits(api, c.Bits[:])
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

// The circuit accepts a code exactly when the integers do, for drawn weights and those at ties,
// with the codes around. A larger weight is refused by q8_0's circuit only together with its
// maximum's.
func TestCodeCircuit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, f := range []Format{FormatQ8_0, FormatInt8} {
		system := compileOf(t, &codeCircuit{Code: f.NewCode(), format: f})
		smallest := f.Factor / 254 * 128
		for n := range 600 {
			top := Magnitude{Exponent: 1 + random.IntN(254),
				Significand: smallest + random.IntN(smallest)}
			pattern := uint16(random.Uint32())
			if n%3 != 0 { // near the maximum's exponent, every third at the tie of half the maximum
				exponent := max(0, top.Exponent-random.IntN(10)+n%2)
				pattern = pattern&0x807f | uint16(min(exponent, 255))<<7
			}
			weight, _ := decode(pattern)
			if n%3 == 2 {
				top.Exponent, top.Significand = weight.Exponent+1, smallest/128*weight.Significand
			}
			size := f.Factor * weight.Significand >> 1 / max(1,
				top.Significand<<max(0, min(20, top.Exponent-weight.Exponent)))
			for _, code := range []int{size, -size, size + 1, -size - 1, size - 1, 1 - size,
				size + 2, 0, 127, -127, -128} {
				if code < -128 || code > 127 {
					continue
				}
				c := &codeCircuit{Biased: code + 128, Exponent: top.Exponent,
					Significand: top.Significand, Code: f.NewCode()}
				integer.SetBits(c.Bits[:], int(pattern))
				err := c.Code.Set(f, pattern, top, byte(code+128))
				if err == ErrExceeds && !f.Strict {
					continue
				}
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
			for _, to := range [][]frontend.Variable{s.Significand[:], s.Exponent[:], s.Shift[:],
				s.Beyond[:], s.Below[:], s.Above[:], m.Mantissa[:]} {
				copy(to, take(len(to)))
			}
			s.Constrain(api, &m, Top{take(1)[0], take(1)[0]})
		}},
		"float32": {31, func(api frontend.API, take func(int) []frontend.Variable) {
			f := Float32{Zero: take(1)[0]}
			for _, to := range [][]frontend.Variable{f.Mantissa[:], f.Exponent[:],
				f.Below[:], f.Above[:]} {
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

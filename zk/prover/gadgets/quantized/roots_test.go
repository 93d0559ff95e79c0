// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
)

// This file goes through all that a prover can choose about a code. Each rule of a weight but the
// last has two roots. So a hidden bit is 1 or e * 2^20, a near weight is s or 0, and the other
// choices are integers, K in [0, 2^15) and r*M in [0, M]. The last rule then decides.

// roots is such a choice. exponent and mantissa are those in the weight's bits.
type roots struct {
	exponent, mantissa, normal, sign int
	top                              Magnitude
	near                             bool
	distance, rest                   int
}

// assign assigns the choice to a circuit.
func (r *roots) assign(f Format) *codeCircuit {
	c := newCodeCircuit(f)
	negative := integer.OneIf(r.sign < 0)
	integer.SetBits(c.Bits[:], r.exponent<<mantissaBits|r.mantissa|negative*signBit)
	c.Pattern = r.mantissa + (r.exponent+r.normal)*hidden + negative*signBit
	integer.SetBits(c.Exponent[:], r.top.Exponent-1)
	integer.SetBits(c.Significand, r.top.Significand)
	c.Code.Normal, c.Code.Near = r.normal, r.sign*integer.OneIf(r.near)
	c.distance(r.distance, r.sign)
	rest := r.rest
	if r.sign < 0 {
		rest = r.top.Significand - rest
	}
	parts := halves(r.top.Significand)
	for i, chosen := range choose(rest, r.top.Significand) {
		c.Code.Rest[i] = quotient(int64(parts[i]*integer.OneIf(chosen)), int64(r.top.Significand))
	}
	c.Biased = 128 + r.sign*r.size()
	return c
}

func (r *roots) size() int { return largest - (r.distance+128)/256 }

// remainder is y*M of a near weight, and whether it is an integer and not a fraction of the field.
func (r *roots) remainder(f Format) (int64, bool) {
	low := (r.top.Exponent - 1) & 7
	n := int64(r.mantissa+r.normal*hidden) << (r.exponent & 7) * int64(f.Factor) << (7 - low)
	return scaledBy(n, (r.top.Exponent-1)>>3-r.exponent>>3)
}

// factors are (256 + (a-255)*D) / (256 * (1 + a*D)) for a = 2^64 and D from -31.
var factors = func() (all [63]*big.Int) {
	r := fr.Modulus()
	for i := range all {
		aD := big.NewInt(int64(i - 31))
		aD.Lsh(aD, 64)
		under := new(big.Int).Add(aD, big.NewInt(1))
		under.ModInverse(under.Mod(under.Lsh(under, 8), r), r)
		over := aD.Add(aD, big.NewInt(int64(256-255*(i-31))))
		all[i] = over.Mod(over.Mul(over, under), r)
	}
	return all
}()

// scaledBy is n times the factor, and whether that is a small integer.
func scaledBy(n int64, difference int) (int64, bool) {
	w := big.NewInt(n)
	w.Mod(w.Mul(w, factors[difference+31]), fr.Modulus())
	if w.BitLen() > 200 {
		w.Sub(w, fr.Modulus())
	}
	return w.Int64(), w.IsInt64()
}

// holds is the last rule.
func (r *roots) holds(f Format) bool {
	total := (r.distance-largest*fraction)*r.top.Significand + r.rest
	if !r.near {
		d := r.top.Exponent - r.exponent - r.normal
		return total == (d-farShift-128+r.size()<<40)*r.top.Significand
	}
	scaled, ok := r.remainder(f)
	return ok && int64(total) == -scaled
}

// The circuit takes drawn roots exactly if they hold. So that rule is the circuit's.
func TestRootsAreTheCircuits(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, f := range []Format{FormatQ8_0, FormatInt8} {
		system := compileOf(t, newCodeCircuit(f))
		smallest, taken := f.Factor/254*128, 0
		for n := range 2000 {
			r := &roots{exponent: random.IntN(256), mantissa: random.IntN(hidden), normal: 1,
				sign: 1 - n%2*2, near: n%3 != 0,
				top: Magnitude{1 + random.IntN(256), smallest + random.IntN(smallest)}}
			if n%4 != 0 {
				r.exponent = min(255, max(0, r.top.Exponent-random.IntN(14)))
			}
			if n%5 == 0 {
				r.normal = r.exponent << 20
			}
			r.solve(f)
			switch n % 7 {
			case 5:
				r.distance = min(r.distance+1, 1<<distanceBits-1)
			case 6:
				r.rest = (r.rest + 1) % (r.top.Significand + 1)
			}
			want := r.holds(f)
			if got := solves(t, system, r.assign(f)); got != want {
				t.Fatalf("%v: %+v: solved %v", f, r, got)
			}
			taken += integer.OneIf(want)
		}
		if taken < 400 {
			t.Errorf("%v: only %d choices were true", f, taken)
		}
	}
}

// solve sets K and r to what holds, if there is any.
func (r *roots) solve(f Format) {
	r.distance, r.rest = largest*fraction, 0
	if !r.near {
		r.distance += r.top.Exponent - r.exponent - r.normal - farShift - 128
	} else if scaled, ok := r.remainder(f); ok {
		total := largest*fraction*int64(r.top.Significand) - scaled
		r.distance, r.rest = int(total)/r.top.Significand, int(total)%r.top.Significand
	}
	if r.distance < 0 || r.distance >= 1<<distanceBits || r.rest < 0 {
		r.distance, r.rest = largest*fraction, 0
	}
}

// significands are those of a bfloat16, and some with a false hidden bit.
func significands() (all []int64) {
	for m := range int64(2 * hidden) {
		all = append(all, m)
	}
	for _, e := range []int64{1, 2, 3, 7, 8, 31, 64, 127, 128, 200, 254, 255} {
		for _, mantissa := range []int64{0, 1, 64, 127} {
			all = append(all, mantissa+e<<20*hidden)
		}
	}
	return all
}

// Near weights: apart from zeros, no difference of upper bits has a solution but 0 and 1. There,
// for each maximum, the codes that have one are exactly the nearest ones.
func TestNearRoots(t *testing.T) {
	for _, f := range []Format{FormatQ8_0, FormatInt8} {
		smallest := int64(f.Factor) / 254 * 128
		for difference := -31; difference <= 31; difference++ {
			for power := int64(-7); power <= 7; power++ { // the weight's less the maximum's
				shift := int64(8*difference) - power
				for _, m := range significands() {
					w, ok := scaledBy(m*int64(f.Factor)<<(7+power), difference)
					close := difference == 0 || difference == 1
					if (ok && m != 0 && !close) || (!ok && close && shift < farShift) {
						t.Fatalf("difference %d, %d by 2^%d: %d", difference, m, power, w)
					}
					for top := smallest; ok && close && top < 2*smallest; top += smallest / 128 {
						requireNearest(t, f, Magnitude{int(shift), int(top)}, m, w)
					}
				}
			}
		}
	}
}

// requireNearest checks the codes of a weight with y*M = w against 254*|x|/maximum = x/unit, with
// the exponent of the maximum less the weight's.
func requireNearest(t *testing.T, f Format, top Magnitude, m, w int64) {
	t.Helper()
	x := int64(f.Factor) * m << max(0, -top.Exponent)
	unit := int64(top.Significand) << max(0, top.Exponent)
	total := int64(32512*top.Significand) - w
	low, high := int64(-1), int64(-1) // the codes that have a solution; -1 if none
	for _, k := range []int64{total / int64(top.Significand), total/int64(top.Significand) - 1} {
		rest := total - k*int64(top.Significand)
		if 0 <= k && k < 1<<distanceBits && 0 <= rest && rest <= int64(top.Significand) {
			high = 127 - (k+128)/256
			if low < 0 {
				low = high
			}
		}
	}
	q := (x + unit - 1) / (2 * unit) // the nearest code, the smaller one at a tie
	both := q
	if (2*q+1)*unit == x {
		both++
	}
	if x > 254*unit {
		q, both = -1, -1
	}
	if low != q || high != both {
		t.Fatalf("%v: %d for a maximum of %v: codes %d and %d instead of %d and %d", f, m, top, low,
			high, q, both)
	}
}

// Far weights: for all exponents and both roots of the hidden bit, only the code 0 has a solution,
// and only for a weight that is less than 1/254 of the maximum.
func TestFarRoots(t *testing.T) {
	top := Magnitude{0, 128}
	for top.Exponent = 1; top.Exponent <= 256; top.Exponent++ {
		for e := range 256 {
			for _, normal := range []int{1, e << 20} {
				for size := -1; size <= largest; size++ {
					d := top.Exponent - e - normal
					k := largest*fraction + d - farShift - 128 + size<<40
					for rest := range 2 {
						r := roots{exponent: e, normal: normal, top: top, distance: k - rest,
							rest: rest * top.Significand}
						if k-rest < 0 || k-rest >= 1<<distanceBits || r.size() != size {
							continue
						}
						// |x|/maximum is below 2^(e + 2 - Exponent), or half of it if not hidden
						if !r.holds(FormatQ8_0) || size != 0 || normal > 1 ||
							top.Exponent-e-1+(1-normal) < 9 {
							t.Fatalf("%+v has the code %d", r, size)
						}
					}
				}
			}
		}
	}
}

// A choice that is no root, but makes up for another K in the last rule, is refused.
func TestNoOtherChoices(t *testing.T) {
	for _, f := range []Format{FormatQ8_0, FormatInt8} {
		system := compileOf(t, newCodeCircuit(f))
		for _, sign := range []int{1, -1} {
			r := &roots{exponent: 126, mantissa: 77, normal: 1, sign: sign, near: true,
				top: Magnitude{130, 131 * f.Factor / 254}}
			r.solve(f)
			if !solves(t, system, r.assign(f)) {
				t.Fatal("the true choice is refused")
			}
			for _, step := range []int{1, -1, 256, -256} {
				other := *r
				other.distance += step
				for i := range distanceBits + f.Width {
					if i < distanceBits && step*step == 1<<(2*i) {
						continue // the true choice again
					}
					c := other.assign(f)
					if i < distanceBits {
						c.Code.Distance[i] = plus(c.Code.Distance[i], -sign*step, 1<<i)
					} else {
						rest := &c.Code.Rest[i-distanceBits]
						*rest = plus(*rest, -sign*step, 1)
					}
					c.Biased = c.biased(sign)
					if solves(t, system, c) {
						t.Fatalf("%v: K = %d by choice %d", f, other.distance, i)
					}
				}
			}
		}
	}
}

// plus is v + a/b.
func plus(v frontend.Variable, a, b int) frontend.Variable {
	var sum fr.Element
	if _, err := sum.SetInterface(v); err != nil {
		panic(err)
	}
	share := quotient(int64(a), int64(b))
	return *sum.Add(&sum, &share)
}

// biased is the biased code that the assigned bits stand for, whatever they are.
func (c *codeCircuit) biased(sign int) frontend.Variable {
	var code frontend.Variable = 128 + largest*sign
	for i, bit := range c.Code.Distance[fractionBits-1:] {
		var share fr.Element
		if _, err := share.SetInterface(bit); err != nil {
			panic(err)
		}
		for range max(i-1, 0) {
			share.Double(&share)
		}
		sum := plus(code, 0, 1).(fr.Element)
		code = *sum.Sub(&sum, &share)
	}
	return code
}

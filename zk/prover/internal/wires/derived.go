// SPDX-License-Identifier: Apache-2.0

package wires

import (
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint"

	"provenance/zkprover/circuits"
)

// derivation finds the wires that have one value only once the inputs are given. Unlike the rank,
// it also sees values that lie far from those of the witness.
type derivation struct {
	*solved
	known, boolean map[int]bool
	powers         map[fr.Element]int // 2^k to k
}

func newDerivation(s *solved) *derivation {
	d := &derivation{solved: s, known: map[int]bool{}, boolean: map[int]bool{},
		powers: map[fr.Element]int{}}
	inputs := s.system.GetNbPublicVariables() + s.system.GetNbSecretVariables()
	for wire := range inputs {
		d.known[wire] = true
	}
	for _, c := range s.system.CommitmentInfo.(constraint.Groth16Commitments) {
		d.known[c.CommitmentIndex] = true
		for _, wire := range c.PrivateCommitted { // the masks are the prover's choice
			d.known[wire] = true
		}
	}
	power := fr.One()
	for k := range fr.Bits - 1 {
		d.powers[power] = k
		power.Double(&power)
	}
	return d
}

// slopes are the factors of the wires of an expression that are not known, and the value of the
// rest.
func (d *derivation) slopes(side constraint.LinearExpression) (form, fr.Element) {
	unknown, rest := form{}, fr.Element{}
	for _, t := range side {
		c := d.system.Coefficients[t.CoeffID()]
		if t.IsConstant() || d.known[t.WireID()] {
			rest.Add(&rest, c.Mul(&c, &d.wires[t.WireID()]))
		} else {
			unknown.add(t.WireID(), &c)
		}
	}
	return unknown, rest
}

// linear is the constraint as a form over the wires that are not known, and the value that the form
// must have; false if it multiplies two of them.
func (d *derivation) linear(c *constraint.R1C) (out form, value fr.Element, ok bool) {
	l, restL := d.slopes(c.L)
	r, restR := d.slopes(c.R)
	if len(l) > 0 && len(r) > 0 {
		return nil, value, false
	}
	out, restO := d.slopes(c.O)
	out.subtract(l, &restR)
	out.subtract(r, &restL)
	value.Mul(&restL, &restR).Sub(&value, &restO)
	return out, value, true
}

// noteBoolean notes a wire that a constraint by itself allows to be 0 or 1 only.
func (d *derivation) noteBoolean(c *constraint.R1C) {
	l, restL := d.slopes(c.L)
	r, restR := d.slopes(c.R)
	o, restO := d.slopes(c.O)
	if len(l) != 1 || len(r) != 1 || len(o) > 1 {
		return
	}
	for wire, slope := range l {
		slopeR, both := r[wire]
		slopeO, onlyO := o[wire]
		if !both || (len(o) == 1 && !onlyO) {
			return
		}
		var atZero, atOne, left, right fr.Element
		atZero.Mul(&restL, &restR).Sub(&atZero, &restO)
		left.Add(&restL, &slope)
		right.Add(&restR, &slopeR)
		atOne.Mul(&left, &right).Sub(&atOne, &restO).Sub(&atOne, &slopeO)
		if atZero.IsZero() && atOne.IsZero() {
			d.boolean[wire] = true
		}
	}
}

// fixes tells whether a form that is given has one solution: one wire, or booleans whose factors
// are different powers of two, up to a common factor.
func (d *derivation) fixes(row form) bool {
	if len(row) < 2 {
		return len(row) == 1
	}
	for wire := range row {
		if !d.boolean[wire] {
			return false
		}
	}
	for _, unit := range row {
		unit.Inverse(&unit)
		seen := map[int]bool{}
		for _, c := range row {
			if k, ok := d.powers[*c.Mul(&c, &unit)]; ok {
				seen[k] = true
			}
		}
		if len(seen) == len(row) {
			return true
		}
	}
	return false
}

// free are the wires that do not follow from the inputs.
func (d *derivation) free() (wires []int) {
	for i := range d.constraints {
		d.noteBoolean(&d.constraints[i])
	}
	for found := true; found; {
		found = false
		for i := range d.constraints {
			row, _, ok := d.linear(&d.constraints[i])
			if ok && d.fixes(row) {
				for wire := range row {
					d.known[wire], found = true, true
				}
			}
		}
	}
	for wire := range d.wires {
		if !d.known[wire] {
			wires = append(wires, wire)
		}
	}
	return wires
}

// requireDerived requires that every wire follows from the inputs, constraint by constraint. A hint
// whose value nothing else fixes would be the prover's choice.
func requireDerived(tb testing.TB, shape circuits.Shape, s *solved) {
	tb.Helper()
	if free := newDerivation(s).free(); len(free) != 0 {
		tb.Fatalf("%v: wires %v do not follow from the inputs", shape, free)
	}
}

// assign gives the wires of a form that [derivation.fixes] their values; false if there are none.
func (d *derivation) assign(row form, value fr.Element) bool {
	if len(row) == 1 {
		for wire, slope := range row {
			d.wires[wire].Div(&value, &slope)
			d.known[wire] = true
		}
		return true
	}
	for _, unit := range row {
		bits, number, rest := map[int]int{}, new(big.Int), fr.Element{}
		for wire, slope := range row {
			if k, ok := d.powers[*slope.Div(&slope, &unit)]; ok {
				bits[k] = wire
			}
		}
		if len(bits) < len(row) {
			continue
		}
		rest.Div(&value, &unit).BigInt(number)
		for k, wire := range bits {
			d.wires[wire].SetUint64(uint64(number.Bit(k)))
			d.known[wire] = true
			number.SetBit(number, k, 0)
		}
		return number.Sign() == 0
	}
	return false
}

// satisfy tells whether the constraints can be satisfied with these inputs, whatever hints say: it
// takes each wire from whichever constraint gives its value.
func (d *derivation) satisfy() bool {
	for i := range d.constraints {
		d.noteBoolean(&d.constraints[i])
	}
	for found := true; found; {
		found = false
		for i := range d.constraints {
			row, value, ok := d.linear(&d.constraints[i])
			switch {
			case !ok:
			case len(row) == 0 && !value.IsZero():
				return false
			case d.fixes(row):
				if !d.assign(row, value) {
					return false
				}
				found = true
			}
		}
	}
	for i := range d.constraints {
		c := &d.constraints[i]
		l, r, o := d.value(c.L), d.value(c.R), d.value(c.O)
		if l.Mul(&l, &r); !l.Equal(&o) {
			return false
		}
	}
	return true
}

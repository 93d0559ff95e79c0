// SPDX-License-Identifier: Apache-2.0

package wires

import "github.com/consensys/gnark-crypto/ecc/bn254/fr"

// form is a linear form over wires; no coefficient is zero.
type form map[int]fr.Element

func (f form) add(wire int, coefficient *fr.Element) {
	sum := f[wire]
	if sum.Add(&sum, coefficient).IsZero() {
		delete(f, wire)
	} else {
		f[wire] = sum
	}
}

// subtract subtracts factor times g.
func (f form) subtract(g form, factor *fr.Element) {
	for wire, coefficient := range g {
		coefficient.Mul(&coefficient, factor)
		f.add(wire, coefficient.Neg(&coefficient))
	}
}

// elimination is a system of forms that are all 0, brought to echelon form step by step. Wires that
// are 0 in every solution are struck out at once, which solves most of a circuit's system.
type elimination struct {
	rows   []form
	users  map[int]map[int]bool // wire to the rows that it occurs in
	single []int                // rows that may have one wire left
	zero   map[int]bool         // wires that are 0 in every solution
	pivots []pivot              // in the order of their elimination
}

// pivot is a row that determines its wire from the others.
type pivot struct {
	wire int
	row  form
}

func newElimination() *elimination {
	return &elimination{users: map[int]map[int]bool{}, zero: map[int]bool{}}
}

// insert adds a form that is 0. The form is changed.
func (e *elimination) insert(row form) {
	e.reduce(row)
	i := len(e.rows)
	e.rows = append(e.rows, row)
	for wire := range row {
		e.use(wire, i)
	}
	e.touched(i)
}

func (e *elimination) use(wire, row int) {
	if e.users[wire] == nil {
		e.users[wire] = map[int]bool{}
	}
	e.users[wire][row] = true
}

func (e *elimination) touched(i int) {
	if len(e.rows[i]) == 1 {
		e.single = append(e.single, i)
	}
}

// reduce brings a form to its remainder by what was eliminated.
func (e *elimination) reduce(row form) {
	for wire := range row {
		if e.zero[wire] {
			delete(row, wire)
		}
	}
	for _, p := range e.pivots {
		if coefficient, ok := row[p.wire]; ok {
			var factor fr.Element
			own := p.row[p.wire]
			row.subtract(p.row, factor.Div(&coefficient, &own))
			for wire := range row {
				if e.zero[wire] {
					delete(row, wire)
				}
			}
		}
	}
}

// peel strikes out all wires that a row by itself shows to be 0.
func (e *elimination) peel() {
	for len(e.single) > 0 {
		i := e.single[len(e.single)-1]
		e.single = e.single[:len(e.single)-1]
		if len(e.rows[i]) != 1 {
			continue
		}
		for wire := range e.rows[i] {
			e.zero[wire] = true
			for j := range e.users[wire] {
				delete(e.rows[j], wire)
				e.touched(j)
			}
			delete(e.users, wire)
		}
	}
}

// eliminate takes the shortest row, makes the wire of it that fewest rows have its pivot, and
// removes that wire from all other rows. It tells whether there was a row.
func (e *elimination) eliminate() bool {
	best := -1
	for i, row := range e.rows {
		if len(row) > 0 && (best < 0 || len(row) < len(e.rows[best])) {
			best = i
		}
	}
	if best < 0 {
		return false
	}
	row, chosen := e.rows[best], -1
	for wire := range row {
		if n := len(e.users[wire]); chosen < 0 || n < len(e.users[chosen]) ||
			n == len(e.users[chosen]) && wire < chosen {
			chosen = wire
		}
	}
	e.rows[best] = nil
	for wire := range row {
		delete(e.users[wire], best)
	}
	for i := range e.users[chosen] {
		e.substitute(i, row, chosen)
	}
	delete(e.users, chosen)
	e.pivots = append(e.pivots, pivot{chosen, row})
	return true
}

func (e *elimination) substitute(i int, row form, chosen int) {
	var factor fr.Element
	mine, own := e.rows[i][chosen], row[chosen]
	e.rows[i].subtract(row, factor.Div(&mine, &own))
	for wire := range row {
		if wire == chosen {
			continue
		}
		if _, ok := e.rows[i][wire]; ok {
			e.use(wire, i)
		} else {
			delete(e.users[wire], i)
		}
	}
	e.touched(i)
}

// isZero tells whether a form is 0 in every solution: whether it is 0 by what was eliminated, or a
// multiple of one row that is left. It may miss that it follows from several rows that are left.
func (e *elimination) isZero(f form) bool {
	rest := form{}
	for wire, coefficient := range f {
		rest[wire] = coefficient
	}
	e.reduce(rest)
	for wire, coefficient := range rest {
		for i := range e.users[wire] {
			row := e.rows[i]
			if len(row) != len(rest) {
				continue
			}
			difference := form{}
			difference.subtract(rest, new(fr.Element).SetInt64(-1))
			own := row[wire]
			var factor fr.Element
			if difference.subtract(row, factor.Div(&coefficient, &own)); len(difference) == 0 {
				return true
			}
		}
		return false // any wire of it would do
	}
	return true
}

// SPDX-License-Identifier: Apache-2.0

package poseidon

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"
)

// Gadget hashes inside a circuit.
//
// Shown: the returned variable is the Poseidon hash of the inputs. Not shown: anything about the
// inputs' ranges. Constraints: 3 per S-box, 8t + partial S-boxes, less the first one, whose input
// is a constant: 240 for 2 inputs, 609 for 16 (snapshot-tested). Linear layers cost no constraint.
//
// Every S-box input is written directly as a linear combination of earlier S-box outputs. In the
// partial rounds these are the outputs of the last full round and of the partial rounds so far. The
// coefficients are computed once per gadget. So the compiler builds one sum per S-box, instead of a
// chain of growing sums.
type Gadget struct {
	api frontend.API
	set *sparse
	mix []combination // full rounds, over the t outputs before
	// inputs of the partial S-boxes, over t outputs and the partial outputs so far
	partial []combination
	exit    []combination // inputs of the first of the last full rounds
	first   [][]*big.Int
	last    [][]*big.Int
}

// combination is constant + sum_i factors[i] * variable[i].
type combination struct {
	constant *big.Int
	factors  []*big.Int
}

// Observer is an API that is told of each hash of a circuit while it is compiled. Tests follow with
// it what a hash binds; no program has one.
type Observer interface {
	Hashed(inputs []frontend.Variable, output frontend.Variable)
}

// NewGadget prepares hashing of the given number of inputs (1 to [MaxInputs]).
func NewGadget(api frontend.API, inputs int) (*Gadget, error) {
	set, err := setFor(inputs)
	if err != nil {
		return nil, err
	}
	g := &Gadget{api: api, set: set, first: integerRows(set.first), last: integerRows(set.last)}
	for _, row := range set.mix {
		g.mix = append(g.mix, newCombination(fr.Element{}, row))
	}
	g.unrollPartial()
	return g, nil
}

// unrollPartial follows the state through the partial rounds as combinations of the variables.
func (g *Gadget) unrollPartial() {
	width, rounds := g.set.width, len(g.set.partial)
	state := make([][]fr.Element, width) // rows over t + partial variables
	for i := range state {
		state[i] = make([]fr.Element, width+rounds)
		copy(state[i], g.set.entry[i])
	}
	for r, round := range g.set.partial {
		g.partial = append(g.partial, newCombination(round.constant, state[0][:width+r]))
		output := make([]fr.Element, width+rounds)
		output[width+r].SetOne()
		state[0] = output
		head := make([]fr.Element, width+rounds)
		for i := range state {
			factor := new(fr.Element).Neg(&round.row[i])
			subtractRow(head, state[i], factor)
		}
		for i, factor := range round.column {
			negated := new(fr.Element).Neg(&factor)
			subtractRow(state[i+1], output, negated)
		}
		state[0] = head
	}
	for i := range state {
		g.exit = append(g.exit, newCombination(g.set.last[0][i], state[i]))
	}
}

// Hash adds the constraints of one hash. It panics when the number of inputs is not the one of
// [NewGadget].
func (g *Gadget) Hash(inputs ...frontend.Variable) frontend.Variable {
	if len(inputs) != g.set.width-1 {
		panic("poseidon: gadget called with another number of inputs")
	}
	outputs := make([]frontend.Variable, g.set.width)
	outputs[0] = g.constantFifthPower(&g.set.first[0][0])
	for i, input := range inputs {
		outputs[i+1] = g.fifthPower(g.api.Add(input, g.first[0][i+1]))
	}
	for round := 1; round < halfFull; round++ {
		outputs = g.fullRound(g.mix, g.first[round], outputs)
	}
	for i := range g.partial {
		outputs = append(outputs, g.fifthPower(g.sum(&g.partial[i], nil, outputs)))
	}
	outputs = g.fullRound(g.exit, nil, outputs)
	for round := 1; round < halfFull; round++ {
		outputs = g.fullRound(g.mix, g.last[round], outputs)
	}
	output := g.sum(&g.mix[0], nil, outputs)
	if o, ok := g.api.(Observer); ok {
		o.Hashed(inputs, output)
	}
	return output
}

func (g *Gadget) fullRound(
	rows []combination, constants []*big.Int, outputs []frontend.Variable,
) []frontend.Variable {
	next := make([]frontend.Variable, g.set.width)
	for i := range next {
		var constant *big.Int
		if constants != nil {
			constant = constants[i]
		}
		next[i] = g.fifthPower(g.sum(&rows[i], constant, outputs))
	}
	return next
}

// sum is the value of the combination for these variables. If constant is not nil, it replaces the
// combination's own constant.
func (g *Gadget) sum(
	c *combination, constant *big.Int, variables []frontend.Variable,
) frontend.Variable {
	if constant == nil {
		constant = c.constant
	}
	terms := make([]frontend.Variable, len(c.factors))
	for i, factor := range c.factors {
		terms[i] = g.api.Mul(factor, variables[i])
	}
	return g.api.Add(constant, terms[0], terms[1:]...)
}

func (g *Gadget) fifthPower(x frontend.Variable) frontend.Variable {
	square := g.api.Mul(x, x)
	return g.api.Mul(g.api.Mul(square, square), x)
}

func (g *Gadget) constantFifthPower(x *fr.Element) frontend.Variable {
	y := fifthPower(x)
	return integer(&y)
}

func newCombination(constant fr.Element, factors []fr.Element) combination {
	return combination{constant: integer(&constant), factors: integers(factors)}
}

func integer(e *fr.Element) *big.Int { return e.BigInt(new(big.Int)) }

func integers(row []fr.Element) []*big.Int {
	out := make([]*big.Int, len(row))
	for i := range row {
		out[i] = integer(&row[i])
	}
	return out
}

func integerRows(rows [][]fr.Element) [][]*big.Int {
	out := make([][]*big.Int, len(rows))
	for i := range rows {
		out[i] = integers(rows[i])
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

// Package rankone adds constraints x * y = z to a circuit for any three linear combinations, one
// each. gnark's own API takes two: a wire for the product, and its comparison.
//
// Shown: what the method's name says, modulo r. Not shown: anything about the size of the operands.
//
// It uses gnark's instructions for custom constraints with gnark's own form of a constraint. So
// solver, setup and export know it.
//
// Source: gnark, constraint/blueprint_r1cs.go.
package rankone

import (
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/profile"
)

// API is a circuit's API with assertions of one constraint each.
type API struct {
	frontend.API
	builder builder
	id      constraint.BlueprintID
}

type builder interface {
	AddBlueprint(constraint.Blueprint) constraint.BlueprintID
	AddInstruction(constraint.BlueprintID, []uint32) []uint32
	ToCanonicalVariable(frontend.Variable) frontend.CanonicalVariable
}

// New extends the API of a circuit that is compiled to R1CS; it panics on others. A circuit calls
// it once.
func New(api frontend.API) *API {
	b := api.Compiler().(builder)
	return &API{API: api, builder: b, id: b.AddBlueprint(&constraint.BlueprintGenericR1C{})}
}

// AssertIsProduct adds x * y = z.
func (a *API) AssertIsProduct(x, y, z frontend.Variable) {
	c := constraint.R1C{L: a.combination(x), R: a.combination(y), O: a.combination(z)}
	var data []uint32
	new(constraint.BlueprintGenericR1C).CompressR1C(&c, &data)
	a.builder.AddInstruction(a.id, data)
	profile.RecordConstraint() // as gnark does for its own
}

// AssertIsZeroOr requires that v is 0 or w, by v * (v - w) = 0.
func (a *API) AssertIsZeroOr(v, w frontend.Variable) {
	a.AssertIsProduct(v, a.Sub(v, w), 0)
}

// combination is the form in which constraints hold a variable; Add makes one of a constant, too.
func (a *API) combination(v frontend.Variable) constraint.LinearExpression {
	return a.builder.ToCanonicalVariable(a.Add(v, 0)).(constraint.LinearExpression)
}

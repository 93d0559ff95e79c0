// SPDX-License-Identifier: Apache-2.0

// Package circuits holds the R1CS circuits, one in a file, and the kind of statement of each.
//
// It may import the gadgets, kinds and tree. No package below it knows about statements.
package circuits

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/kinds"
)

// Epoch is the circuit of one chunk of the statement `epoch`, and of the link of an epoch key to a
// dataset.
//
// Shown: a = prod_i(gamma + D_i + delta*P_i) and b = prod_j(gamma + U_j + delta*(start+j)) for the
// vectors D, U and P that the proof's three commitments hold. Each commitment is over exactly its
// vector and, for D and U, one blinding.
//
// Not shown: anything else. That U is a rearrangement of D follows only if the products over all
// chunks agree for one challenge that was hashed from all commitments. The verifier must check that
// P is the order of a seed, that `start` is chunk*slots, that D is a dataset, and that U was fed to
// a model.
//
// Inputs. All are field elements, and no range is enforced. gamma, delta, start, a and b are below
// r because verifiers refuse others. Positions may be any element: the product argument needs no
// range. The blindings are free by design. Each stands in a constraint of its own, so that its base
// is not the base of any other wire.
//
// Commitments: by gnark's Committer, one call per vector in the order D, U, P. The hash wires that
// it returns are not used, since the challenge is a public input. Each call adds a mask wire, which
// the prover sets to 0.
//
// Constraints: 3*slots + 6 (774 for 256 slots, 12,294 for 4,096; snapshot-tested).
//
// Source: LegoSNARK (Campanelli, Fiore, Querol, CCS 2019) for commit-and-prove; the permutation
// argument is that of Bayer and Groth, EUROCRYPT 2012, section 4.
type Epoch struct {
	Gamma       frontend.Variable `gnark:",public"`
	Delta       frontend.Variable `gnark:",public"`
	Start       frontend.Variable `gnark:",public"`
	ProductData frontend.Variable `gnark:",public"`
	ProductUsed frontend.Variable `gnark:",public"`

	// The order of these fields is the order of the wires, and so of the bases of each commitment
	// key.
	Data         []frontend.Variable
	DataBlinding frontend.Variable
	Used         []frontend.Variable
	UsedBlinding frontend.Variable
	Position     []frontend.Variable
}

// EpochPublic is the number of public inputs and EpochCommitments that of commitments.
const (
	EpochPublic      = kinds.EpochFixed
	EpochCommitments = kinds.EpochCommitments
)

// NewEpoch is the circuit for slots >= 1.
func NewEpoch(slots int) *Epoch {
	return &Epoch{
		Data:     make([]frontend.Variable, slots),
		Used:     make([]frontend.Variable, slots),
		Position: make([]frontend.Variable, slots),
	}
}

// Define implements frontend.Circuit.
func (c *Epoch) Define(api frontend.API) error {
	if err := c.commit(api); err != nil {
		return err
	}
	var data, used frontend.Variable = 1, 1
	offset := api.Add(c.Gamma, api.Mul(c.Delta, c.Start))
	for i := range c.Data {
		data = api.Mul(data, api.Add(c.Gamma, c.Data[i], api.Mul(c.Delta, c.Position[i])))
		used = api.Mul(used, api.Add(offset, c.Used[i], api.Mul(c.Delta, i)))
	}
	api.AssertIsEqual(data, c.ProductData)
	api.AssertIsEqual(used, c.ProductUsed)
	return nil
}

func (c *Epoch) commit(api frontend.API) error {
	committer := api.(frontend.Committer)
	for _, vector := range [][]frontend.Variable{
		append(c.Data[:len(c.Data):len(c.Data)], c.DataBlinding),
		append(c.Used[:len(c.Used):len(c.Used)], c.UsedBlinding),
		c.Position,
	} {
		if _, err := committer.Commit(vector...); err != nil {
			return err
		}
	}
	api.Mul(c.DataBlinding, c.DataBlinding)
	api.Mul(c.UsedBlinding, c.UsedBlinding)
	return nil
}

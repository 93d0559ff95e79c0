// SPDX-License-Identifier: Apache-2.0

package circuits

import "github.com/consensys/gnark/frontend"

// Toy is the circuit of the statement `toy`: the root is the square of a secret number.
type Toy struct {
	Root    frontend.Variable   `gnark:",public"`
	Indexes []frontend.Variable `gnark:",public"`
	Codes   []frontend.Variable `gnark:",public"`

	Secret frontend.Variable
}

// Define implements frontend.Circuit.
func (c *Toy) Define(api frontend.API) error {
	api.AssertIsEqual(c.Root, api.Mul(c.Secret, c.Secret))
	for _, word := range append(c.Indexes, c.Codes...) {
		api.AssertIsEqual(word, 0)
	}
	return nil
}

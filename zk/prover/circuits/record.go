// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/poseidon"
)

// Record is what a leaf commits to: the halves of a record's digest and the salt.
type Record struct {
	High, Low, Salt frontend.Variable
}

// recordInputs is the number of values in a leaf's hash, and halfBits the bits of half a digest.
const (
	recordInputs = 3
	halfBits     = 128
)

// leaf is the value that opens to the record.
func (r *Record) leaf(hash *poseidon.Gadget) frontend.Variable {
	return hash.Hash(r.High, r.Low, r.Salt)
}

// requireBits shows that v is an integer below 2^n, n < 253. The bits are a hint of gnark, constrained beside it: each is
// boolean and together they are v, which no other bits are.
func requireBits(api frontend.API, v frontend.Variable, n int) { api.ToBinary(v, n) }

// requireBelow shows that index < count for an index below 16^depth, and that count is an integer of 1..2*16^depth - 1:
// neither side can wrap around.
func requireBelow(api frontend.API, index, count frontend.Variable, depth int) {
	requireBits(api, api.Sub(count, index, 1), 4*depth)
}

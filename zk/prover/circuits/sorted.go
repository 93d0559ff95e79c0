// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/merkle"
	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/kinds"
)

// Sorted is the circuit of the statement `sorted`: it opens one chunk of leaves below a dataset's
// root.
//
// Shown: chunk k of the tree with root R holds leaves L_0..L_{s-1}. Exactly the first `used` >= 1
// of them are hashes Poseidon3(hi, lo, salt), with strictly increasing hi below 2^128; the others
// are zero. first = L_0. If more = 1, next is such a hash, too, with a larger hi below 2^128. If
// more = 0, next = 0.
//
// Not shown: that `used` and `more` fit the dataset's count (the verifier computes used =
// clamp(count - s*k, 0, s), and more from the number of chunks); that `next` is a leaf of the tree.
// The verifier must compare `next` with `first` of the following chunk, which is a leaf. The halves
// lo are not ordered; salts and lo may be any element.
//
// Inputs. R, first, next: any element below r. k < 16^(depth-log16 s), 1 <= used <= s and more in
// {0,1} are enforced.
//
// Why values cannot wrap around r: hi of leaf 0 is below 2^128, and so is every step, which is the
// difference of two neighbours minus 1. At most 65,537 of them add up to less than 2^145, far below
// r. So the values increase as integers. The last of them is below 2^128, and therefore all are.
// The steps of slots outside the used prefix are multiplied by their selector 0, so they are not
// constrained and add nothing. So the sum of the first value and all differences is hi of the last
// used leaf.
//
// Commitments: none, and no lookups.
//
// Constraints: 442.88 per leaf of 256 at depth 5 (113,377 in all, snapshot-tested). 261 open the
// leaf, 130 compare it.
//
// Source: docs/formats/statements.md, "sorted"; the hash is that of package poseidon.
type Sorted struct {
	Root  frontend.Variable `gnark:",public"`
	Chunk frontend.Variable `gnark:",public"`
	Used  frontend.Variable `gnark:",public"`
	More  frontend.Variable `gnark:",public"`
	First frontend.Variable `gnark:",public"`
	Next  frontend.Variable `gnark:",public"`

	// Leaf i is Selectors[i] times the hash of Records[i]. Records outside the used prefix have no
	// effect.
	Records   []merkle.Record
	Selectors []frontend.Variable // 1 for the used prefix, else 0
	Follower  merkle.Record       // opens next; without effect if more = 0
	Path      merkle.Path         // from the chunk's root
}

// SortedPublic is the number of public inputs.
const SortedPublic = kinds.SortedFixed

// NewSorted is the circuit for chunks of slots = 16^j leaves in a tree of depth >= j.
func NewSorted(slots, depth int) *Sorted {
	return &Sorted{
		Records:   make([]merkle.Record, slots),
		Selectors: make([]frontend.Variable, slots),
		Path:      make(merkle.Path, depth-Levels(slots)),
	}
}

// Define implements frontend.Circuit.
func (c *Sorted) Define(api frontend.API) error {
	hash, err := merkle.NewHashes(api)
	if err != nil {
		return err
	}
	leaves := c.leaves(api, hash.Leaf)
	c.follow(api, hash.Leaf, c.order(api))
	root, chunk := c.Path.Climb(api, hash.Node, merkle.SubtreeRoot(hash.Node, leaves))
	api.AssertIsEqual(chunk, c.Chunk)
	api.AssertIsEqual(root, c.Root)
	return nil
}

// leaves opens the used prefix and constrains used and first.
func (c *Sorted) leaves(api frontend.API, open *poseidon.Gadget) []frontend.Variable {
	leaves := make([]frontend.Variable, len(c.Records))
	used := merkle.NewPrefix(api)
	for i := range c.Records {
		used.Append(c.Selectors[i])
		leaves[i] = api.Mul(c.Selectors[i], c.Records[i].Leaf(open))
	}
	api.AssertIsEqual(c.Selectors[0], 1)
	api.AssertIsEqual(used.Length(), c.Used)
	api.AssertIsEqual(leaves[0], c.First)
	return leaves
}

// order constrains the differences within the used prefix. It returns hi of the last used leaf; the
// caller must constrain its range.
func (c *Sorted) order(api frontend.API) frontend.Variable {
	merkle.RequireBits(api, c.Records[0].High, merkle.HalfBits)
	steps := make([]frontend.Variable, 0, 2*len(c.Records))
	for i := 1; i < len(c.Records); i++ {
		gap := api.Mul(c.Selectors[i], api.Sub(c.Records[i].High, c.Records[i-1].High, 1))
		merkle.RequireBits(api, gap, merkle.HalfBits)
		steps = append(steps, gap, c.Selectors[i])
	}
	return api.Add(c.Records[0].High, steps[0], steps[1:]...)
}

// follow constrains more and next, and the range of the largest hi: that of `next` if more = 1,
// else that of the last used leaf.
func (c *Sorted) follow(api frontend.API, open *poseidon.Gadget, last frontend.Variable) {
	api.AssertIsBoolean(c.More)
	api.AssertIsEqual(api.Mul(c.More, c.Follower.Leaf(open)), c.Next)
	gap := api.Mul(c.More, api.Sub(c.Follower.High, last, 1))
	merkle.RequireBits(api, gap, merkle.HalfBits)
	merkle.RequireBits(api, api.Add(last, gap, c.More), merkle.HalfBits)
}

// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/merkle"
	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/kinds"
	"provenance/zkprover/tree"
)

// Tree is the circuit of the statement `tree`: one chunk of leaves below a dataset's root.
//
// Shown: chunk k of the tree with root R holds leaves L_0..L_{s-1}, of which only the first `used`
// may be other than zero. With g = s*k + i, t is the product over the used leaves of
// (gamma + L_i + delta*g), and z the product over the same i of (gamma + delta*g). If last = 1,
// every subtree to the right of the chunk, at every level of its path, is empty.
//
// Not shown: that `used` and `last` fit the dataset's count (the verifier computes
// used = clamp(count - s*k, 0, s), and last for the last non-empty chunk); that leaves are hashes
// of records; that leaves are sorted.
//
// Inputs. R, gamma, delta, t, z: any element below r. k < 16^(depth-log16 s), used <= s and last in
// {0,1} are enforced. Leaves and nodes may be any element: a Poseidon tree fixes them.
//
// Commitments: none, and no lookups.
//
// Constraints: about 46 per leaf, of which 40.6 are Poseidon (snapshot-tested per size in the
// tests).
//
// Source: docs/formats/proofs.md, "Accumulators"; the hash is that of package poseidon.
type Tree struct {
	Root    frontend.Variable `gnark:",public"`
	Chunk   frontend.Variable `gnark:",public"`
	Used    frontend.Variable `gnark:",public"`
	Last    frontend.Variable `gnark:",public"`
	Gamma   frontend.Variable `gnark:",public"`
	Delta   frontend.Variable `gnark:",public"`
	Product frontend.Variable `gnark:",public"` // t
	Zeros   frontend.Variable `gnark:",public"` // z

	// Leaf i is Selectors[i] * Candidates[i]. Candidates outside the used prefix have no effect.
	Candidates []frontend.Variable
	Selectors  []frontend.Variable // 1 for the used prefix, else 0
	Path       merkle.EdgePath     // from the chunk's root

	depth int
}

// TreePublic is the number of public inputs.
const TreePublic = kinds.TreeFixed

// NewTree is the circuit for chunks of slots = 16^j leaves in a tree of depth >= j.
func NewTree(slots, depth int) *Tree {
	return &Tree{
		Candidates: make([]frontend.Variable, slots),
		Selectors:  make([]frontend.Variable, slots),
		Path:       make(merkle.EdgePath, depth-Levels(slots)),
		depth:      depth,
	}
}

// Levels is log16(slots), or -1 when slots is no power of 16.
func Levels(slots int) int {
	for level := 0; level <= tree.MaxDepth; level++ {
		if tree.Capacity(level) == slots {
			return level
		}
	}
	return -1
}

// Define implements frontend.Circuit.
func (c *Tree) Define(api frontend.API) error {
	hash, err := poseidon.NewGadget(api, tree.Arity)
	if err != nil {
		return err
	}
	node := merkle.SubtreeRoot(hash, c.accumulate(api))
	api.AssertIsBoolean(c.Last)
	empty := tree.EmptyRoots(c.depth)[Levels(len(c.Candidates)):]
	root, chunk := c.Path.Climb(api, hash, merkle.Edge{Node: node, Last: c.Last, Empty: empty})
	api.AssertIsEqual(chunk, c.Chunk)
	api.AssertIsEqual(root, c.Root)
	return nil
}

// accumulate constrains used, t and z, and returns the leaves.
//
// Let s be the selector and f = gamma + delta*g - 1. Then s*(candidate + f) is the factor of t
// minus 1, and s*f is the factor of z minus 1. Their difference is the leaf. Outside the used
// prefix it is 0, whatever the candidate is.
func (c *Tree) accumulate(api frontend.API) []frontend.Variable {
	leaves := make([]frontend.Variable, len(c.Candidates))
	base := api.Add(c.Gamma, api.Mul(api.Mul(c.Delta, c.Chunk), len(leaves)), -1)
	var product, zeros frontend.Variable = 1, 1
	used := merkle.NewPrefix(api)
	for i, selector := range c.Selectors {
		used.Append(selector)
		empty := api.Add(base, api.Mul(c.Delta, i))
		filled := api.Mul(selector, api.Add(c.Candidates[i], empty))
		empty = api.Mul(selector, empty)
		product = api.Mul(product, api.Add(filled, 1))
		zeros = api.Mul(zeros, api.Add(empty, 1))
		leaves[i] = api.Sub(filled, empty)
	}
	api.AssertIsEqual(used.Length(), c.Used)
	api.AssertIsEqual(product, c.Product)
	api.AssertIsEqual(zeros, c.Zeros)
	return leaves
}

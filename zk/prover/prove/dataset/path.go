// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/gadgets/merkle"
	"provenance/zkprover/tree"
)

// openPath assigns the path from the node at this level and index.
func openPath(path merkle.Path, t *tree.Tree, level, index int) {
	for l := range path {
		path[l].Children = children(t, level+l+1, index/tree.Arity)
		path[l].Digit = bits(index % tree.Arity)
		index /= tree.Arity
	}
}

// openEdge is openPath for a path that may be the tree's edge.
func openEdge(path merkle.EdgePath, t *tree.Tree, level, index int) {
	for l := range path {
		path[l].Children = children(t, level+l+1, index/tree.Arity)
		path[l].Digit = oneHot(index % tree.Arity)
		index /= tree.Arity
	}
}

func children(t *tree.Tree, level, index int) (out [tree.Arity]frontend.Variable) {
	for i, child := range t.Children(level, index) {
		out[i] = child
	}
	return out
}

func oneHot(digit int) (out [tree.Arity]frontend.Variable) {
	for i := range out {
		out[i] = integer.OneIf(i == digit)
	}
	return out
}

// bits are the bits of a digit, lowest first.
func bits(digit int) (out [merkle.DigitBits]frontend.Variable) {
	integer.SetBits(out[:], digit)
	return out
}

func record(o *tree.LeafPreimage) merkle.Record {
	return merkle.Record{High: o.High, Low: o.Low, Salt: o.Salt}
}

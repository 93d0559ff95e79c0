// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/circuits"
	"provenance/zkprover/tree"
)

// openPath fills in the path from the node at this level and index.
func openPath(path circuits.Path, t *tree.Tree, level, index int) {
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
		out[i] = boolean(i == digit)
	}
	return out
}

func record(o *tree.Opening) circuits.Record {
	return circuits.Record{High: o.High, Low: o.Low, Salt: o.Salt}
}

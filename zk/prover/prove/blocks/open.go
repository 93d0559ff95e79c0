// SPDX-License-Identifier: Apache-2.0

// Package blocks proves statements about blocks of committed tensors: merges (Merger) and
// quantizations (Q8_0, Int8).
//
// It may import package prove and what lies below that, and package weights for the trees.
package blocks

import (
	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/page"
	"provenance/zkprover/weights"
)

// openBlock assigns the path of one block and the children of the tree's root, and returns the
// block's values.
func openBlock(
	t *weights.Tree, index int, to *page.BlockPath, top *page.Children,
) (values [page.Values]uint16, err error) {
	opened, err := t.Open(index)
	if err != nil {
		return values, err
	}
	slot := index % page.Blocks
	if err := to.Set(&opened.Page, slot, opened.Path); err != nil {
		return values, fault.New(fault.Internal, "%v", err)
	}
	page.SetChildren(top, &opened.Path[len(opened.Path)-1])
	blocks, err := page.Unpack(&opened.Page)
	if err != nil {
		return values, fault.New(fault.Internal, "%v", err)
	}
	return blocks[slot], nil
}

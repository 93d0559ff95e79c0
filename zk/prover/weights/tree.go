// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/tree"
)

// Tree is the tree of one tensor. It keeps only the levels above the pages, which take a sixteenth
// of the memory of the pages' hashes. To open a block, it reads and hashes sixteen pages again.
type Tree struct {
	grid   Grid
	values io.ReaderAt
	levels [][]fr.Element // levels[l-1] is level l; the pages are level 0
	empty  []fr.Element
}

// PagePath is a page and the children of each of its ancestors, bottom up.
type PagePath struct {
	Page Page
	Path []Page
}

// ColumnPath is the pages that hold the blocks of a block column of lora_a, and the children of
// each of their common ancestors, bottom up.
type ColumnPath struct {
	Pages []Page
	Path  []Page
}

// New builds the tree of a tensor whose bytes are `values`, on all cores. Depth 0 means the
// smallest depth that has room for the tensor. done, if not nil, is called from several goroutines
// with the number of bytes read since its last call.
func New(grid Grid, depth int, values io.ReaderAt, done func(bytes int64)) (*Tree, error) {
	depth, err := grid.RequireDepth(depth)
	if err != nil {
		return nil, err
	}
	t := &Tree{grid: grid, values: values, empty: tree.EmptyRoots(depth)}
	parents := make([]fr.Element, (grid.Slots()+tree.Arity-1)/tree.Arity)
	if err := t.hashPages(parents, done); err != nil {
		return nil, err
	}
	t.levels = append(t.levels, parents)
	for level := 2; level <= depth; level++ {
		next := make([]fr.Element, (len(t.levels[level-2])+tree.Arity-1)/tree.Arity)
		err := inParallel(len(next), func() func(int) error {
			return func(i int) error {
				children := t.children(level, i)
				next[i] = poseidon.Hash16(&children)
				return nil
			}
		})
		if err != nil {
			return nil, err
		}
		t.levels = append(t.levels, next)
	}
	return t, nil
}

// hashPages fills level 1.
func (t *Tree) hashPages(parents []fr.Element, done func(int64)) error {
	return inParallel(len(parents), func() func(int) error {
		r := reader{grid: t.grid, values: t.values}
		return func(i int) error {
			children, err := r.hashes(i)
			if err != nil {
				return err
			}
			parents[i] = poseidon.Hash16(&children)
			if done != nil {
				done(r.taken())
			}
			return nil
		}
	})
}

// Root is the root hash.
func (t *Tree) Root() fr.Element { return t.levels[len(t.levels)-1][0] }

// Depth is the number of levels above the pages.
func (t *Tree) Depth() int { return len(t.levels) }

// Blocks is the number of blocks that can be opened.
func (t *Tree) Blocks() int { return t.grid.Blocks() }

// Grid is the tensor's shape and layout.
func (t *Tree) Grid() Grid { return t.grid }

// Open opens the page of a block. It returns an error if the page is no longer the committed one.
func (t *Tree) Open(block int) (PagePath, error) {
	if err := t.requireBlock(block); err != nil {
		return PagePath{}, err
	}
	slot, _ := t.grid.Place(block)
	pages, path, err := t.open(slot, 1)
	if err != nil {
		return PagePath{}, err
	}
	return PagePath{Page: pages[0], Path: path}, nil
}

// OpenGroup opens block column j of a tensor of layout lora_a.
func (t *Tree) OpenGroup(j int) (ColumnPath, error) {
	if t.grid.Layout != LoraA || j < 0 || j >= t.grid.BlocksPerRow() {
		return ColumnPath{}, fault.Differs(fault.BadRequest, "block column",
			"one of a tensor of layout lora_a", j)
	}
	filled, all := t.grid.GroupPages()
	pages, path, err := t.open(j*all, filled)
	return ColumnPath{Pages: pages, Path: path}, err
}

func (t *Tree) requireBlock(block int) error {
	if block < 0 || block >= t.Blocks() {
		return fault.Differs(fault.BadRequest, "block", fmt.Sprintf("0..%d", t.Blocks()-1), block)
	}
	return nil
}

// open reads count pages from slot on, all below one parent, and collects their path.
func (t *Tree) open(slot, count int) ([]Page, []Page, error) {
	r := reader{grid: t.grid, values: t.values}
	index := slot / tree.Arity
	children, err := r.hashes(index)
	if err != nil {
		return nil, nil, err
	}
	if parent := poseidon.Hash16(&children); !parent.Equal(&t.levels[0][index]) {
		return nil, nil, fault.New(fault.BadFile, "the tensor changed while it was read")
	}
	pages := make([]Page, count)
	for i := range pages {
		blocks, err := r.page(slot + i)
		if err != nil {
			return nil, nil, err
		}
		pages[i] = Pack(t.grid.DType.Bits(), blocks)
		if hash := poseidon.Hash16(&pages[i]); !hash.Equal(&children[slot%tree.Arity+i]) {
			return nil, nil, fault.New(fault.BadFile, "the tensor changed while it was read")
		}
	}
	path := []Page{children}
	for level := 2; level <= t.Depth(); level++ {
		index /= tree.Arity
		path = append(path, t.children(level, index))
	}
	return pages, path, nil
}

// children are the children of a node at level >= 2.
func (t *Tree) children(level, index int) Page {
	var children Page
	below := t.levels[level-2]
	for i := range children {
		if at := index*tree.Arity + i; at < len(below) {
			children[i] = below[at]
		} else {
			children[i] = t.empty[level-1]
		}
	}
	return children
}

// inParallel calls work(0..n-1) on all cores until a call fails. Each core calls a work function of
// its own, made by newWork.
func inParallel(n int, newWork func() func(int) error) error {
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, min(n, runtime.GOMAXPROCS(0)))
	for w := range errs {
		group.Add(1)
		go func() {
			defer group.Done()
			work := newWork()
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				errs[w] = work(i)
			}
			next.Store(int64(n))
		}()
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/kinds"
	"provenance/zkprover/tree"
)

// IndexBits is the width of a block number in a public input.
const IndexBits = kinds.IndexBits

// AssertIndexes constrains words to be the packed block numbers. Each number must be below 2^32, as
// that of a [Location] is.
func AssertIndexes(api frontend.API, words, indexes []frontend.Variable) {
	for w := range words {
		var sum frontend.Variable = 0
		end := min((w+1)*kinds.IndexesPerWord, len(indexes))
		for j, index := range indexes[w*kinds.IndexesPerWord : end] {
			sum = api.Add(sum, api.Mul(index, integer.PowerOfTwo(IndexBits*j)))
		}
		api.AssertIsEqual(sum, words[w])
	}
}

// PackIndexes are the words of block numbers below 2^32.
func PackIndexes(indexes []int) []fr.Element {
	words := make([]fr.Element, kinds.IndexCount(len(indexes)))
	for i, index := range indexes {
		var placed fr.Element
		placed.SetBigInt(new(big.Int).Lsh(big.NewInt(int64(index)),
			uint(IndexBits*(i%kinds.IndexesPerWord))))
		words[i/kinds.IndexesPerWord].Add(&words[i/kinds.IndexesPerWord], &placed)
	}
	return words
}

// Unpack returns the blocks of a page. Elements that are too large for a page are an error.
func Unpack(elements *[tree.Arity]fr.Element) (blocks [Blocks][Values]uint16, err error) {
	var numbers [tree.Arity]big.Int
	for i := range elements {
		elements[i].BigInt(&numbers[i])
		if numbers[i].BitLen() > pageBits(i) {
			return blocks, fmt.Errorf("element %d of a page has %d bits, want at most %d", i,
				numbers[i].BitLen(), pageBits(i))
		}
	}
	for j := range blocks {
		for v := range blocks[j] {
			element, at := 2*j+v/packed, v%packed
			if v >= 2*packed {
				element, at = 2*Blocks, 2*j+v-2*packed
			}
			word := new(big.Int).Rsh(&numbers[element], uint(valueBits*at))
			blocks[j][v] = uint16(word.Uint64()) // Uint64 is the lowest 64 bits
		}
	}
	return blocks, nil
}

func pageBits(element int) int {
	switch {
	case element < 2*Blocks:
		return packed * valueBits
	case element == 2*Blocks:
		return Blocks * 2 * valueBits
	}
	return 0
}

// Set assigns a block's page, slot and path, without the path's last entry, the root's children. It
// returns an error if the page has a value where the path has no place for one.
func (o *BlockPath) Set(
	elements *[tree.Arity]fr.Element, slot int, path [][tree.Arity]fr.Element,
) error {
	blocks, err := Unpack(elements)
	if err != nil {
		return err
	}
	for j := range blocks {
		o.First[j] = elements[2*j]
		if len(o.Second) != 0 {
			o.Second[j] = elements[2*j+1]
		} else if !elements[2*j+1].IsZero() {
			return fmt.Errorf("block %d of the page has values beyond the rank", j)
		}
	}
	if len(o.Others) == 0 {
		if !elements[2*Blocks].IsZero() {
			return fmt.Errorf("the page has values beyond the rank")
		}
	}
	for j := range o.Others {
		other := j + integer.OneIf(j >= slot)
		rest := int(blocks[other][2*packed]) | int(blocks[other][2*packed+1])<<valueBits
		integer.SetBits(o.Others[j][:], rest)
	}
	SetPath(o.Path, path)
	return nil
}

// SetPath assigns the nodes below the root's children.
func SetPath(to []Children, path [][tree.Arity]fr.Element) {
	for l := range to {
		SetChildren(&to[l], &path[l])
	}
}

// SetChildren assigns the children of one node.
func SetChildren(to *Children, children *[tree.Arity]fr.Element) {
	for i := range to {
		to[i] = children[i]
	}
}

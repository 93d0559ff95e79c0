// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/tree"
)

// BlockValues is the number of values of a block.
const BlockValues = 32

// Block is the bit patterns of 32 consecutive values of a row.
type Block [BlockValues]uint32

// Page is the sixteen elements that a page's values are packed into.
type Page = [tree.Arity]fr.Element

// Blocks of a page, by the width of a value.
const (
	blocksOf16 = 7
	blocksOf32 = 3
)

// Pack packs at most 7 blocks of 16-bit values, or 3 of 32-bit values; missing blocks are zeros.
// Bits of a value beyond its width must be 0.
func Pack(bits int, blocks []Block) Page {
	var p packing
	switch bits {
	case 16:
		for j := range blocks {
			p.block16(j, &blocks[j])
		}
	case 32:
		for j := range blocks {
			p.block32(j, &blocks[j])
		}
	default:
		panic("weights: values have 16 or 32 bits")
	}
	return p.elements()
}

// packing is the elements as integers, four limbs each, lowest first.
type packing [tree.Arity][4]uint64

// put16 puts a value at place i of an element.
func (p *packing) put16(element, i int, value uint32) {
	p[element][i/4] |= uint64(value) << (16 * (i % 4))
}

func (p *packing) put32(element, i int, value uint32) {
	p[element][i/2] |= uint64(value) << (32 * (i % 2))
}

// block16 puts 15 values into each of elements 2j and 2j+1 and the last two into element 14.
func (p *packing) block16(j int, b *Block) {
	for i := range 15 {
		p.put16(2*j, i, b[i])
		p.put16(2*j+1, i, b[15+i])
	}
	p.put16(14, 2*j, b[30])
	p.put16(14, 2*j+1, b[31])
}

// block32 puts 7 values into each of elements 4j..4j+3 and the last four among the twelve of
// elements 12 and 13.
func (p *packing) block32(j int, b *Block) {
	for i := range 28 {
		p.put32(4*j+i/7, i%7, b[i])
	}
	for i := range 4 {
		at := 4*j + i
		p.put32(12+at/7, at%7, b[28+i])
	}
}

// elements converts the integers, all below 2^240, to field elements. It multiplies their limbs by
// the element 2^256, whose limbs are 2^512 mod r, which gives the Montgomery form.
func (p *packing) elements() Page {
	var page Page
	for i := range p {
		if p[i] != [4]uint64{} {
			limbs := fr.Element(p[i])
			page[i].Mul(&limbs, &montgomeryShift)
		}
	}
	return page
}

var montgomeryShift = func() fr.Element {
	var e fr.Element
	e.SetBigInt(new(big.Int).Lsh(big.NewInt(1), 256))
	return e
}()

// SPDX-License-Identifier: Apache-2.0

package poseidon

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

const (
	grainStateBits = 80
	grainWarmUp    = 160
)

// grainTaps are the positions whose sum modulo 2 is the next bit.
//
// Source: Poseidon paper, appendix E (b[i+80] = b[i+62]+b[i+51]+b[i+38]+b[i+23]+b[i+13]+b[i]).
var grainTaps = [...]int{62, 51, 38, 23, 13, 0}

// grain is the self-shrinking Grain LFSR that all constants of one parameter set come from. The
// register is a ring: position p of the paper lies at (head + p) mod 80.
type grain struct {
	register [grainStateBits]byte
	head     int
}

// newGrain seeds the register with the description of the parameter set: prime field (1, 2 bits),
// S-box x^alpha (0, 4 bits), field size, width, full and partial rounds, then ones.
func newGrain(width, full, partial int) *grain {
	g := &grain{}
	at := 0
	put := func(value, bits int) {
		for i := bits - 1; i >= 0; i-- {
			g.register[at] = byte(value>>i) & 1
			at++
		}
	}
	put(1, 2)
	put(0, 4)
	put(fr.Bits, 12)
	put(width, 12)
	put(full, 10)
	put(partial, 10)
	for at < grainStateBits {
		put(1, 1)
	}
	for i := 0; i < grainWarmUp; i++ {
		g.step()
	}
	return g
}

func (g *grain) step() byte {
	var bit byte
	for _, tap := range grainTaps {
		bit ^= g.register[(g.head+tap)%grainStateBits]
	}
	g.register[g.head] = bit
	g.head = (g.head + 1) % grainStateBits
	return bit
}

// bit is the second of the next pair that starts with a one.
func (g *grain) bit() byte {
	for g.step() == 0 {
		g.step()
	}
	return g.step()
}

// integer reads fr.Bits bits, most significant first; the result may be >= r.
func (g *grain) integer() *big.Int {
	value := new(big.Int)
	for i := 0; i < fr.Bits; i++ {
		value.Lsh(value, 1)
		value.SetBit(value, 0, uint(g.bit()))
	}
	return value
}

// below is an element drawn by rejection (round constants).
func (g *grain) below() fr.Element {
	for {
		if value := g.integer(); value.Cmp(fr.Modulus()) < 0 {
			var e fr.Element
			e.SetBigInt(value)
			return e
		}
	}
}

// reduced is an element drawn by reduction modulo r (entries of the matrix, as in the paper's
// reference script).
func (g *grain) reduced() fr.Element {
	var e fr.Element
	e.SetBigInt(g.integer())
	return e
}

// SPDX-License-Identifier: Apache-2.0

package statement_test

import (
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/field"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/order"
	"provenance/zkprover/statement"
)

// oracle computes the statements' values from their definitions in big integers, slot by slot.
type oracle struct {
	leaves       []*big.Int
	a            []uint64
	gamma, delta *big.Int
}

func integer(e *fr.Element) *big.Int { return e.BigInt(new(big.Int)) }

func (o *oracle) leaf(g int) *big.Int {
	if g < len(o.leaves) {
		return o.leaves[g]
	}
	return new(big.Int)
}

// position searches the h with a[h] = g.
func (o *oracle) position(g int) int {
	for h, leaf := range o.a {
		if int(leaf) == g {
			return h
		}
	}
	return g
}

func (o *oracle) product(
	from, to int, value func(i int) *big.Int, position func(i int) int,
) string {
	product := big.NewInt(1)
	for i := from; i < to; i++ {
		factor := new(big.Int).Mul(o.delta, big.NewInt(int64(position(i))))
		factor.Add(factor, o.gamma).Add(factor, value(i))
		product.Mul(product, factor).Mod(product, fr.Modulus())
	}
	return field.ScalarHex(new(fr.Element).SetBigInt(product))
}

func itself(i int) int { return i }

func TestProductsAreTheDefinitions(t *testing.T) {
	const n, slots = 32, 16
	for _, count := range []int{1, 15, 16, 17, 32, 33, 50, 64} {
		leaves := fixture.Leaves(t, count)
		a, err := order.Shuffle([32]byte{byte(count)}, 3, count)
		if err != nil {
			t.Fatal(err)
		}
		inverse, err := order.Invert(a)
		if err != nil {
			t.Fatal(err)
		}
		c := fixture.Challenge()
		o := &oracle{a: a, gamma: integer(&c.Gamma), delta: integer(&c.Delta)}
		fed := make([]fr.Element, count)
		for h := range fed {
			o.leaves = append(o.leaves, integer(&leaves[h]))
			fed[h] = leaves[a[h]]
		}
		check := func(what string, chunk int, got fr.Element, want string) {
			if text := field.ScalarHex(&got); text != want {
				t.Errorf("count %d, %s of chunk %d: %s, want %s", count, what, chunk, text, want)
			}
		}
		whole := fr.One()
		for chunk := range statement.Chunks(count, n) {
			from, to := chunk*n, chunk*n+n
			got := c.ProductAt(statement.Window(leaves, chunk, n),
				statement.Positions(inverse, chunk, n))
			check("a", chunk, got, o.product(from, to, o.leaf, o.position))
			whole.Mul(&whole, &got)
			used := c.ProductFrom(statement.Window(fed, chunk, n), uint64(from))
			check("b", chunk, used, o.product(from, to, func(h int) *big.Int {
				if h < count {
					return o.leaves[a[h]]
				}
				return new(big.Int)
			}, itself))
			whole.Div(&whole, &used)
			link := c.ProductFrom(make([]fr.Element, n), uint64(from))
			check("b of the link", chunk, link, o.product(from, to, func(int) *big.Int {
				return new(big.Int)
			}, itself))
		}
		if !whole.IsOne() {
			t.Errorf("count %d: the products over all chunks differ", count)
		}
		for k := range statement.Chunks(count, slots) {
			used := statement.Used(count, k, slots)
			from, to := k*slots, k*slots+used
			check("t", k, c.ProductFrom(leaves[from:to], uint64(from)),
				o.product(from, to, o.leaf, itself))
			check("z", k, c.ProductOfPositions(uint64(from), used),
				o.product(from, to, func(int) *big.Int {
					return new(big.Int)
				}, itself))
		}
	}
}

func TestUsedAndChunks(t *testing.T) {
	for _, c := range []struct{ count, k, want int }{{300, 0, 256}, {300, 1, 44}, {300, 2, 0},
		{256, 0, 256}, {256, 1, 0}, {1, 0, 1}} {
		if got := statement.Used(c.count, c.k, 256); got != c.want {
			t.Errorf("used(%d, %d) = %d, want %d", c.count, c.k, got, c.want)
		}
	}
	for count, want := range map[int]int{1: 1, 256: 1, 257: 2, 512: 2} {
		if got := statement.Chunks(count, 256); got != want {
			t.Errorf("chunks(%d) = %d, want %d", count, got, want)
		}
	}
}

// The link accepts exactly when D holds the tree's leaves: a_c * prod z = b_c * prod t.
func TestLinkEquation(t *testing.T) {
	const n, slots, count = 32, 16, 50
	leaves := fixture.Leaves(t, count)
	c := fixture.Challenge()
	holds := func(d []fr.Element, chunk int) bool {
		left := c.ProductAt(d, statement.IdentityPositions(chunk, n))
		right := c.ProductOfPositions(uint64(chunk*n), n)
		for k := chunk * n / slots; k < (chunk+1)*n/slots && k*slots < count; k++ {
			used := statement.Used(count, k, slots)
			z, product := c.ProductOfPositions(uint64(k*slots),
				used), c.ProductFrom(leaves[k*slots:k*slots+used], uint64(k*slots))
			left.Mul(&left, &z)
			right.Mul(&right, &product)
		}
		return left.Equal(&right)
	}
	for chunk := range 2 {
		d := statement.Window(leaves, chunk, n)
		if !holds(d, chunk) {
			t.Errorf("chunk %d: the honest link is refused", chunk)
		}
		beyond := append([]fr.Element(nil), d...)
		beyond[n-1] = fixture.Scalar() // in chunk 1 a leaf beyond count, in chunk 0 another leaf
		if holds(beyond, chunk) {
			t.Errorf("chunk %d: a foreign last leaf is accepted", chunk)
		}
		d[0], d[1] = d[1], d[0]
		if holds(d, chunk) {
			t.Errorf("chunk %d: swapped leaves are accepted", chunk)
		}
	}
}

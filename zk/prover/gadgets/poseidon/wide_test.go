// SPDX-License-Identifier: Apache-2.0

package poseidon

import (
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

func TestModulusInLimbs(t *testing.T) {
	modulus := new(big.Int)
	for _, limb := range []uint64{r3, r2, r1, r0} {
		modulus.Lsh(modulus, 64).Or(modulus, new(big.Int).SetUint64(limb))
	}
	if modulus.Cmp(fr.Modulus()) != 0 {
		t.Error("the limbs are not those of r")
	}
	if low := uint64(r0); low*negativeInverse != ones {
		t.Error("r * negativeInverse is not -1")
	}
}

// With one product more than a wide holds, about every sixteenth of these sums would lose its
// highest bit, and the hash with it.
func TestTheLargestSums(t *testing.T) {
	largest := fr.Element{r0 - 1, r1, r2, r3}
	a, b := make([]fr.Element, maxProducts), make([]fr.Element, maxProducts)
	for i := range a {
		a[i], b[i] = largest, largest
	}
	for k := range uint64(300) {
		a[0] = fr.Element{r0 - 1 - k, r1, r2, r3}
		var want fr.Element
		for i := range a {
			var product fr.Element
			want.Add(&want, product.Mul(&a[i], &b[i]))
		}
		if got := dot(a, b); got != want {
			t.Fatalf("%d below the largest: another sum", k)
		}
	}
}

// Sums of the largest and of random elements, up to the number that a wide holds.
func TestSumsOfProducts(t *testing.T) {
	largest := fr.Element{r0 - 1, r1, r2, r3} // the largest limbs an element has
	for n := range maxProducts + 1 {
		for _, random := range []bool{false, true} {
			a, b := make([]fr.Element, n), make([]fr.Element, n)
			want := new(big.Int)
			for i := range a {
				a[i], b[i] = largest, largest
				if random {
					a[i].MustSetRandom()
					b[i].MustSetRandom()
				}
				want.Add(want, new(big.Int).Mul(integer(&a[i]), integer(&b[i])))
			}
			var w fr.Element
			w.SetBigInt(want)
			if got := dot(a, b); got != w {
				t.Errorf("%d products: another sum", n)
			}
			if n > maxProducts-6 {
				continue
			}
			sum := newWide(&largest)
			sum.addProducts(a, b)
			w.Add(&w, &largest)
			if got := sum.reduced(); got != w {
				t.Errorf("%d products and an element: another sum", n)
			}
		}
	}
}

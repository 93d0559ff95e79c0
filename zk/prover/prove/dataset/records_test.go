// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/tree"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// opened are the records of these digests and salts, which need not be sorted.
func opened(t *testing.T, digests, salts []byte) []tree.LeafPreimage {
	t.Helper()
	out := make([]tree.LeafPreimage, len(salts)/tree.SaltBytes)
	for i := range out {
		var err error
		out[i], err = tree.Open(digests[i*tree.DigestBytes:][:tree.DigestBytes],
			salts[i*tree.SaltBytes:][:tree.SaltBytes])
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// openings are the records of a fixture dataset.
func openings(t *testing.T, count int) []tree.LeafPreimage {
	t.Helper()
	digests, salts := fixture.Records(count)
	return opened(t, digests, salts)
}

// withHighs are records with these first halves, which need be neither sorted nor in range.
func withHighs(highs ...*big.Int) []tree.LeafPreimage {
	out := make([]tree.LeafPreimage, len(highs))
	for i, high := range highs {
		out[i] = tree.LeafPreimage{Low: fixture.Scalar(), Salt: fixture.Scalar()}
		out[i].High.SetBigInt(high)
	}
	return out
}

// planted is the tree over the leaves of these records, in the given order.
func planted(t *testing.T, records []tree.LeafPreimage, depth int) *tree.Tree {
	t.Helper()
	leaves := make([]fr.Element, len(records))
	for i := range records {
		leaves[i] = records[i].Leaf()
	}
	built, err := tree.New(leaves, depth)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// power is 2^exponent + add.
func power(exponent int, add int64) *big.Int {
	p := integer.PowerOfTwo(exponent)
	return p.Add(p, big.NewInt(add))
}

// below is r - n, the element -n.
func below(n int64) *big.Int { return new(big.Int).Sub(fr.Modulus(), big.NewInt(n)) }

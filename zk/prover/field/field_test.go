// SPDX-License-Identifier: Apache-2.0

package field_test

import (
	"bytes"
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/field"
)

func word(n *big.Int) []byte { return n.FillBytes(make([]byte, field.WordBytes)) }

func TestScalars(t *testing.T) {
	largest := new(big.Int).Sub(fr.Modulus(), big.NewInt(1))
	for _, n := range []*big.Int{new(big.Int), big.NewInt(1), largest} {
		data := word(n)
		elements, err := field.ParseScalars(data)
		if err != nil || !bytes.Equal(field.FromScalars(elements), data) {
			t.Errorf("%v does not survive: %v", n, err)
		}
		text := field.ScalarHex(&elements[0])
		if back, err := field.ParseScalar(text); err != nil || !back.Equal(&elements[0]) {
			t.Errorf("%s does not survive: %v", text, err)
		}
	}
	full := bytes.Repeat([]byte{0xff}, field.WordBytes)
	for _, bad := range [][]byte{word(fr.Modulus()), full, full[1:], append(word(largest), 0)} {
		if _, err := field.ParseScalars(bad); err == nil {
			t.Errorf("%x was accepted", bad)
		}
	}
}

func TestPoints(t *testing.T) {
	_, _, g1, g2 := bn254.Generators()
	var zero1 bn254.G1Affine
	var zero2 bn254.G2Affine
	for _, p := range []bn254.G1Affine{g1, zero1} {
		data := field.FromG1(&p)
		if back, err := field.ParseG1(data[:]); err != nil || !back.Equal(&p) {
			t.Errorf("G1 %v does not survive: %v", p, err)
		}
	}
	for _, p := range []bn254.G2Affine{g2, zero2} {
		data := field.FromG2(&p)
		if back, err := field.ParseG2(data[:]); err != nil || !back.Equal(&p) {
			t.Errorf("G2 %v does not survive: %v", p, err)
		}
	}
	// EIP-197 puts the imaginary part first.
	data := field.FromG2(&g2)
	if x1 := g2.X.A1.Bytes(); !bytes.Equal(data[:field.WordBytes], x1[:]) {
		t.Error("the first word of a G2 point is not X1")
	}
}

func TestPointsThatAreNoPoints(t *testing.T) {
	q := word(fp.Modulus())
	one := word(big.NewInt(1))
	zero := make([]byte, field.WordBytes)
	for name, data := range map[string][]byte{
		"infinity as q": append(bytes.Clone(q), q...),
		"off the curve": append(bytes.Clone(one), one...),
		"x alone":       one,
		"zero x":        append(bytes.Clone(zero), one...),
		"65 bytes":      make([]byte, 65),
	} {
		if _, err := field.ParseG1(data); err == nil {
			t.Errorf("G1: %s was accepted", name)
		}
	}
	for name, data := range map[string][]byte{
		"infinity as q": bytes.Repeat(q, 4),
		"off the curve": bytes.Repeat(one, 4),
		"64 bytes":      make([]byte, 64),
	} {
		if _, err := field.ParseG2(data); err == nil {
			t.Errorf("G2: %s was accepted", name)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

// Package draw makes everything in the vectors that looks random but is the same on every run.
//
// It may import tree.
package draw

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sort"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/tree"
)

// Digest is the SHA-256 of a text with the vectors' prefix.
func Digest(format string, args ...any) [32]byte {
	return sha256.Sum256([]byte("provenance vectors: " + fmt.Sprintf(format, args...)))
}

// Scalar is the digest of a text reduced modulo r.
func Scalar(format string, args ...any) fr.Element {
	digest := Digest(format, args...)
	var e fr.Element
	e.SetBytes(digest[:])
	return e
}

// Records are count digests, sorted, and their salts.
func Records(count int) (digests, salts []byte) {
	list := make([][]byte, count)
	for i := range list {
		d := Digest("digest %d", i)
		list[i] = d[:]
	}
	sort.Slice(list, func(i, j int) bool { return bytes.Compare(list[i], list[j]) < 0 })
	for i := range list {
		digests = append(digests, list[i]...)
		salt := Digest("salt %d", i)
		salts = append(salts, salt[:tree.SaltBytes]...)
	}
	return digests, salts
}

// OutsideSubgroup is a point on the twist that is not in the subgroup of order r: the first one
// with an x-coordinate (1, i).
func OutsideSubgroup() bn254.G2Affine {
	_, _, _, g2 := bn254.Generators()
	b := g2.Y // the twist's constant, Y^2 - X^3
	b.Square(&b)
	cube := g2.X
	cube.Square(&cube).Mul(&cube, &g2.X)
	b.Sub(&b, &cube)
	for i := uint64(1); ; i++ {
		var p bn254.G2Affine
		p.X.A0.SetOne()
		p.X.A1.SetUint64(i)
		square := p.X
		square.Square(&square).Mul(&square, &p.X).Add(&square, &b)
		if square.Legendre() != 1 {
			continue
		}
		p.Y.Sqrt(&square)
		if p.IsOnCurve() && !p.IsInSubGroup() {
			return p
		}
	}
}

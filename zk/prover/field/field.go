// SPDX-License-Identifier: Apache-2.0

// Package field translates field elements and curve points of BN254 to and from their one canonical
// encoding: 32 bytes big-endian below the modulus, G1 as X || Y, G2 as X1 || X0 || Y1 || Y0
// (EIP-197), the point at infinity as zeros.
//
// Laws: Parse(Encode(x)) = x, and Parse accepts no second encoding of any value.
package field

import (
	"encoding/hex"
	"fmt"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// WordBytes, G1Bytes and G2Bytes are the lengths of the encodings.
const (
	WordBytes = 32
	G1Bytes   = 2 * WordBytes
	G2Bytes   = 4 * WordBytes
)

// Word is one 32-byte big-endian number.
type Word [WordBytes]byte

// ParseWord takes `0x` and exactly 64 lower-case hexadecimal digits.
func ParseWord(text string) (Word, error) {
	var w Word
	if len(text) != 2+2*WordBytes || text[:2] != "0x" {
		return w, fmt.Errorf("want 0x and 64 hexadecimal digits, got %d characters", len(text))
	}
	for _, c := range text[2:] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return w, fmt.Errorf("%q is not a lower-case hexadecimal digit", c)
		}
	}
	_, err := hex.Decode(w[:], []byte(text[2:]))
	return w, err
}

// Hex is `0x` and 64 lower-case digits.
func (w Word) Hex() string { return "0x" + hex.EncodeToString(w[:]) }

// Scalar is the word as an element of the scalar field; a word >= r is an error.
func (w Word) Scalar() (fr.Element, error) {
	var e fr.Element
	if err := e.SetBytesCanonical(w[:]); err != nil {
		return e, fmt.Errorf("%s is not below the group order r", w.Hex())
	}
	return e, nil
}

// FromScalar encodes an element.
func FromScalar(e *fr.Element) Word { return e.Bytes() }

// ParseScalar is ParseWord and Scalar in one.
func ParseScalar(text string) (fr.Element, error) {
	w, err := ParseWord(text)
	if err != nil {
		return fr.Element{}, err
	}
	return w.Scalar()
}

// ScalarHex is the hexadecimal form of an element.
func ScalarHex(e *fr.Element) string { return FromScalar(e).Hex() }

// ParseScalars splits bytes into elements; n elements take 32n bytes.
func ParseScalars(data []byte) ([]fr.Element, error) {
	if len(data)%WordBytes != 0 {
		return nil, fmt.Errorf("%d bytes are not a multiple of %d", len(data), WordBytes)
	}
	out := make([]fr.Element, len(data)/WordBytes)
	for i := range out {
		if err := out[i].SetBytesCanonical(data[i*WordBytes : (i+1)*WordBytes]); err != nil {
			return nil, fmt.Errorf("element %d is not below the group order r", i)
		}
	}
	return out, nil
}

// FromScalars is the inverse of ParseScalars.
func FromScalars(elements []fr.Element) []byte {
	out := make([]byte, 0, len(elements)*WordBytes)
	for i := range elements {
		word := elements[i].Bytes()
		out = append(out, word[:]...)
	}
	return out
}

func coordinates(data []byte, out ...*fp.Element) error {
	if len(data) != len(out)*WordBytes {
		return fmt.Errorf("%d bytes, want %d", len(data), len(out)*WordBytes)
	}
	for i, c := range out {
		if err := c.SetBytesCanonical(data[i*WordBytes : (i+1)*WordBytes]); err != nil {
			return fmt.Errorf("coordinate %d is not below the field modulus q", i)
		}
	}
	return nil
}

// ParseG1 reads 64 bytes. Errors: length, a coordinate >= q, a point off the curve (G1 has no
// smaller subgroup).
func ParseG1(data []byte) (bn254.G1Affine, error) {
	var p bn254.G1Affine
	if err := coordinates(data, &p.X, &p.Y); err != nil {
		return p, fmt.Errorf("G1: %w", err)
	}
	if !p.IsInfinity() && !p.IsOnCurve() {
		return p, fmt.Errorf("G1: point is not on the curve")
	}
	return p, nil
}

// FromG1 is the inverse of ParseG1.
func FromG1(p *bn254.G1Affine) [G1Bytes]byte {
	var out [G1Bytes]byte
	x, y := p.X.Bytes(), p.Y.Bytes()
	copy(out[:], x[:])
	copy(out[WordBytes:], y[:])
	return out
}

// ParseG2 reads 128 bytes. Errors: as ParseG1, and a point outside the subgroup of order r.
func ParseG2(data []byte) (bn254.G2Affine, error) {
	var p bn254.G2Affine
	if err := coordinates(data, &p.X.A1, &p.X.A0, &p.Y.A1, &p.Y.A0); err != nil {
		return p, fmt.Errorf("G2: %w", err)
	}
	if p.IsInfinity() {
		return p, nil
	}
	if !p.IsOnCurve() {
		return p, fmt.Errorf("G2: point is not on the curve")
	}
	if !p.IsInSubGroup() {
		return p, fmt.Errorf("G2: point is not in the subgroup of order r")
	}
	return p, nil
}

// FromG2 is the inverse of ParseG2.
func FromG2(p *bn254.G2Affine) [G2Bytes]byte {
	var out [G2Bytes]byte
	for i, c := range []*fp.Element{&p.X.A1, &p.X.A0, &p.Y.A1, &p.Y.A0} {
		word := c.Bytes()
		copy(out[i*WordBytes:], word[:])
	}
	return out
}

// HexWords cuts bytes into words and prints each.
func HexWords(data []byte) []string {
	out := make([]string, 0, len(data)/WordBytes)
	for at := 0; at+WordBytes <= len(data); at += WordBytes {
		out = append(out, "0x"+hex.EncodeToString(data[at:at+WordBytes]))
	}
	return out
}

// ParseHexWords is the inverse of HexWords for exactly n words.
func ParseHexWords(texts []string, n int) ([]byte, error) {
	if len(texts) != n {
		return nil, fmt.Errorf("%d words, want %d", len(texts), n)
	}
	out := make([]byte, 0, n*WordBytes)
	for _, text := range texts {
		w, err := ParseWord(text)
		if err != nil {
			return nil, err
		}
		out = append(out, w[:]...)
	}
	return out, nil
}

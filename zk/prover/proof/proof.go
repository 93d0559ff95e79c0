// SPDX-License-Identifier: Apache-2.0

// Package proof is the proof as a value and as JSON.
//
// Source: docs/formats/proofs.md, "Proof (JSON)".
package proof

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/field"
	"provenance/zkprover/kinds"
)

// Format is the value of the field `format`.
const Format = "provenance-proof/1"

// MaxBytes is the largest size of the JSON of one proof.
const MaxBytes = 1 << 16

// Proof is a Groth16 proof with its commitments, one proof of knowledge for each of them, and the
// public inputs.
type Proof struct {
	Kind        kinds.Kind
	KeyID       field.Word
	A, C        bn254.G1Affine
	B           bn254.G2Affine
	Commitments []bn254.G1Affine
	Knowledge   []bn254.G1Affine
	Public      []fr.Element
}

// JSON is the wire form; every number is `0x` and 64 lower-case digits.
type JSON struct {
	Format      string     `json:"format"`
	Kind        string     `json:"kind"`
	VKID        string     `json:"vkId"`
	A           []string   `json:"a"`
	B           []string   `json:"b"`
	C           []string   `json:"c"`
	Commitments [][]string `json:"commitments"`
	Poks        [][]string `json:"poks"`
	Public      []string   `json:"public"`
}

// ToJSON is the wire form of the proof.
func (p *Proof) ToJSON() JSON {
	b := field.FromG2(&p.B)
	out := JSON{
		Format: Format, Kind: string(p.Kind), VKID: p.KeyID.Hex(),
		A: PointHex(&p.A), B: field.HexWords(b[:]), C: PointHex(&p.C),
		Commitments: PointsHex(p.Commitments), Poks: PointsHex(p.Knowledge), Public: []string{},
	}
	for i := range p.Public {
		out.Public = append(out.Public, field.ScalarHex(&p.Public[i]))
	}
	return out
}

// Marshal is the JSON text.
func (p *Proof) Marshal() ([]byte, error) { return json.Marshal(p.ToJSON()) }

// Parse reads an untrusted JSON text. It refuses unknown, missing and doubled fields, names in
// another case, null, text after the object, numbers that are not canonical (>= r or >= q, upper
// case, short) and points off the curve or outside the subgroup.
func Parse(text []byte) (*Proof, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("proof of %d bytes, want at most %d", len(text), MaxBytes)
	}
	if err := requireFields(text); err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	var wire JSON
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wire); err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("proof: text after the object")
	}
	return wire.Parse()
}

// Parse checks the wire form and translates it.
func (w *JSON) Parse() (*Proof, error) {
	if w.Format != Format {
		return nil, fmt.Errorf("proof format %q, want %q", w.Format, Format)
	}
	p := &Proof{Kind: kinds.Kind(w.Kind)}
	var err error
	if p.KeyID, err = field.ParseWord(w.VKID); err != nil {
		return nil, fmt.Errorf("vkId: %w", err)
	}
	if p.A, err = ParsePoint(w.A); err != nil {
		return nil, fmt.Errorf("a: %w", err)
	}
	if p.C, err = ParsePoint(w.C); err != nil {
		return nil, fmt.Errorf("c: %w", err)
	}
	b, err := field.ParseHexWords(w.B, field.G2Bytes/field.WordBytes)
	if err != nil {
		return nil, fmt.Errorf("b: %w", err)
	}
	if p.B, err = field.ParseG2(b); err != nil {
		return nil, fmt.Errorf("b: %w", err)
	}
	if p.Commitments, err = parsePoints(w.Commitments); err != nil {
		return nil, fmt.Errorf("commitments: %w", err)
	}
	if p.Knowledge, err = parsePoints(w.Poks); err != nil {
		return nil, fmt.Errorf("poks: %w", err)
	}
	for i, text := range w.Public {
		value, err := field.ParseScalar(text)
		if err != nil {
			return nil, fmt.Errorf("public input %d: %w", i, err)
		}
		p.Public = append(p.Public, value)
	}
	return p, nil
}

// PointHex is a G1 point as two words.
func PointHex(p *bn254.G1Affine) []string {
	encoded := field.FromG1(p)
	return field.HexWords(encoded[:])
}

// PointsHex is a list of G1 points.
func PointsHex(points []bn254.G1Affine) [][]string {
	out := make([][]string, len(points))
	for i := range points {
		out[i] = PointHex(&points[i])
	}
	return out
}

// ParsePoint reads a G1 point of two words.
func ParsePoint(words []string) (bn254.G1Affine, error) {
	data, err := field.ParseHexWords(words, field.G1Bytes/field.WordBytes)
	if err != nil {
		return bn254.G1Affine{}, err
	}
	return field.ParseG1(data)
}

func parsePoints(list [][]string) ([]bn254.G1Affine, error) {
	out := make([]bn254.G1Affine, len(list))
	for i, words := range list {
		var err error
		if out[i], err = ParsePoint(words); err != nil {
			return nil, fmt.Errorf("point %d: %w", i, err)
		}
	}
	return out, nil
}

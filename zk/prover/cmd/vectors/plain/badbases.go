// SPDX-License-Identifier: Apache-2.0

package plain

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"

	"provenance/zkprover/cmd/vectors/frozen"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
)

const basesSlots = 4

// basesCase is a key, and bytes that are said to be the bases of its positions. The key holds the
// digest of exactly these bytes, so only what they say can be wrong. A contract has the digest
// alone: Go and Python read this file.
type basesCase struct {
	Name  string `json:"name"`
	Rule  string `json:"rule"`
	Words string `json:"words"`
	Bases string `json:"bases"`
	Sound bool   `json:"sound"`
}

// BadBases are bases with which P of another order could be made to match, or that are malformed.
func BadBases() (any, error) {
	var cases []basesCase
	for _, c := range changedBases() {
		points := make([]bn254.G1Affine, basesSlots+1) // the last one is the mask's
		for i := range points {
			points[i] = drawG1(fmt.Sprint("P base ", i))
		}
		v := soundKey()
		v.Shape.Slots = basesSlots
		if c.before != nil {
			c.before(points)
		}
		sums(v, points)
		data := encodePoints(points)
		if c.after != nil {
			data = c.after(v, data)
		}
		v.BasesDigests[keys.VectorPosition] = field.Keccak(data)
		parsed, err := keys.Parse(v.Bytes())
		if err == nil {
			_, err = parsed.ParsePositionBases(data)
		}
		if (err == nil) != (c.rule == "") {
			return nil, fmt.Errorf("%s: %v", c.name, err)
		}
		cases = append(cases, basesCase{c.name, c.rule, frozen.Hex(v.Bytes()), frozen.Hex(data),
			c.rule == ""})
	}
	return map[string]any{"source": "zk/prover/cmd/vectors", "cases": cases}, nil
}

// sums sets I_0 and S of the key.
func sums(v *keys.Verifying, points []bn254.G1Affine) {
	v.WeightedPositions.SetInfinity()
	v.Positions.SetInfinity()
	for i := range basesSlots {
		var term bn254.G1Affine
		term.ScalarMultiplication(&points[i], big.NewInt(int64(i)))
		v.WeightedPositions.Add(&v.WeightedPositions, &term)
		v.Positions.Add(&v.Positions, &points[i])
	}
}

func encodePoints(points []bn254.G1Affine) (data []byte) {
	for i := range points {
		encoded := field.FromG1(&points[i])
		data = append(data, encoded[:]...)
	}
	return data
}

// basesChange changes the points before their sums are taken, or key and bytes afterwards.
type basesChange struct {
	name, rule string
	before     func(points []bn254.G1Affine)
	after      func(v *keys.Verifying, data []byte) []byte
}

func changedBases() []basesChange {
	list := []basesChange{
		{name: "sound"},
		{name: "another I_0", rule: "I_0", after: func(v *keys.Verifying, data []byte) []byte {
			v.WeightedPositions = drawG1("another I_0")
			return data
		}},
		{name: "another S", rule: "S", after: func(v *keys.Verifying, data []byte) []byte {
			v.Positions = drawG1("another S")
			return data
		}},
		{name: "I_0 and S exchanged", rule: "I_0", after: func(v *keys.Verifying,
			data []byte) []byte {
			v.WeightedPositions, v.Positions = v.Positions, v.WeightedPositions
			return data
		}},
		{name: "a base too few", rule: "length", after: func(_ *keys.Verifying,
			data []byte) []byte {
			return data[:len(data)-field.G1Bytes]
		}},
		{name: "a base too many", rule: "length", after: func(_ *keys.Verifying,
			data []byte) []byte {
			return append(data, encodePoints([]bn254.G1Affine{drawG1("one more")})...)
		}},
		{name: "a byte too many", rule: "length", after: func(_ *keys.Verifying,
			data []byte) []byte {
			return append(data, 0)
		}},
	}
	for i := range basesSlots + 1 {
		j := (i + 1) % (basesSlots + 1)
		list = append(list,
			basesChange{name: fmt.Sprintf("bases %d and %d are the same", i, j), rule: "repeated",
				before: func(points []bn254.G1Affine) { points[j] = points[i] }},
			basesChange{name: fmt.Sprintf("bases %d and %d are opposite", i, j), rule: "repeated",
				before: func(points []bn254.G1Affine) { points[j].Neg(&points[i]) }},
			basesChange{name: fmt.Sprintf("base %d is infinity", i), rule: "infinity",
				before: func(points []bn254.G1Affine) { points[i].SetInfinity() }},
			basesChange{name: fmt.Sprintf("base %d is off the curve", i), rule: "point",
				after: func(_ *keys.Verifying, data []byte) []byte {
					data[(i+1)*field.G1Bytes-1] ^= 1
					return data
				}},
			basesChange{name: fmt.Sprintf("base %d has a coordinate of q or more", i),
				rule: "point", after: func(_ *keys.Verifying, data []byte) []byte {
					word := data[i*field.G1Bytes:][:field.WordBytes]
					value := new(big.Int).SetBytes(word)
					value.Add(value, fp.Modulus()).FillBytes(word)
					return data
				}})
	}
	return list
}

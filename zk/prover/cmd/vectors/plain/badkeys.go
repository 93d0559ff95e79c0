// SPDX-License-Identifier: Apache-2.0

package plain

import (
	"encoding/hex"
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"

	"provenance/zkprover/circuits"
	"provenance/zkprover/cmd/vectors/draw"
	"provenance/zkprover/cmd/vectors/frozen"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
)

// keyCase is a key's bytes, and whether loaders must accept them. Rule names what is wrong
// (docs/security-model.md, rule 7).
type keyCase struct {
	Name  string `json:"name"`
	Rule  string `json:"rule"`
	Words string `json:"words"`
	Sound bool   `json:"sound"`
}

// Words of an epoch key (docs/formats/proofs.md).
const (
	wordFlags = 6
	wordAlpha = 7
	wordBeta  = 9
	wordGamma = 13
	wordDelta = 17
	wordIC    = 21
	wordG     = 33 // of commitment 0; its GSigmaNeg is 4 words on, the next commitment 8
	wordI0    = 60
	wordS     = 62
)

// soundKey is an epoch key with drawn points. It is well-formed, but of no circuit.
func soundKey() *keys.Verifying {
	v := &keys.Verifying{Shape: circuits.Shape{Kind: kinds.Epoch, Slots: 256},
		Alpha:   drawG1("alpha"),
		BetaNeg: drawG2("beta"), GammaNeg: drawG2("gamma"), DeltaNeg: drawG2("delta"),
		WeightedPositions: drawG1("I_0"), Positions: drawG1("S")}
	for i := range circuits.EpochPublic + 1 {
		v.IC = append(v.IC, drawG1(fmt.Sprint("IC ", i)))
	}
	for i := range circuits.EpochCommitments {
		v.Knowledge = append(v.Knowledge, keys.Knowledge{G: drawG2("G"),
			SigmaNeg: drawG2(fmt.Sprint("sigma ", i))})
		v.BasesDigests = append(v.BasesDigests, draw.Digest("key: bases %d", i))
	}
	return v
}

func drawG1(what string) bn254.G1Affine {
	var p bn254.G1Affine
	scalar := draw.Scalar("key: %s", what)
	p.ScalarMultiplicationBase(scalar.BigInt(new(big.Int)))
	return p
}

func drawG2(what string) bn254.G2Affine {
	var p bn254.G2Affine
	scalar := draw.Scalar("key: %s", what)
	p.ScalarMultiplicationBase(scalar.BigInt(new(big.Int)))
	return p
}

func BadKeys() (any, error) {
	var cases []keyCase
	add := func(name, rule string, data []byte) {
		cases = append(cases, keyCase{name, rule, frozen.Hex(data), rule == ""})
	}
	add("sound", "", soundKey().Bytes())
	for _, c := range changedKeys() {
		v := soundKey()
		c.change(v)
		add(c.name, c.rule, v.Bytes())
	}
	for _, c := range changedWords() {
		data := soundKey().Bytes()
		add(c.name, c.rule, c.change(data))
	}
	for _, c := range cases {
		data, err := hex.DecodeString(c.Words[2:])
		if err != nil {
			return nil, err
		}
		if _, err := keys.Parse(data); (err == nil) != c.Sound {
			return nil, fmt.Errorf("%s: %v", c.Name, err)
		}
	}
	return map[string]any{"source": "zk/prover/cmd/vectors", "cases": cases}, nil
}

type keyChange struct {
	name, rule string
	change     func(v *keys.Verifying)
}

// changedKeys are keys whose points are all valid, but stand in a wrong relation to each other.
func changedKeys() []keyChange {
	_, _, _, g := bn254.Generators()
	list := []keyChange{
		// of a ceremony
		{"gamma is the generator", "", func(v *keys.Verifying) { v.GammaNeg.Neg(&g) }},
		{"gamma is delta", "gamma = delta", func(v *keys.Verifying) { v.GammaNeg = v.DeltaNeg }},
		{"delta is the generator", "delta = generator", func(v *keys.Verifying) {
			v.DeltaNeg.Neg(&g)
		}},
		{"bases of D and U are the same", "equal bases", func(v *keys.Verifying) {
			v.BasesDigests[1] = v.BasesDigests[0]
		}},
		{"bases of D and P are the same", "equal bases", func(v *keys.Verifying) {
			v.BasesDigests[2] = v.BasesDigests[0]
		}},
		{"bases of U and P are the same", "equal bases", func(v *keys.Verifying) {
			v.BasesDigests[2] = v.BasesDigests[1]
		}},
		{"two inputs share a point", "IC repeated", func(v *keys.Verifying) { v.IC[5] = v.IC[1] }},
		{"two inputs have opposite points", "IC repeated", func(v *keys.Verifying) {
			v.IC[5].Neg(&v.IC[1])
		}},
		{"an input has the constant's point", "IC repeated", func(v *keys.Verifying) {
			v.IC[2] = v.IC[0]
		}},
		{"one point of IC too few", "IC length", func(v *keys.Verifying) { v.IC = v.IC[:5] }},
		{"one point of IC too many", "IC length", func(v *keys.Verifying) {
			v.IC = append(v.IC, v.Alpha)
		}},
		{"one commitment key too few", "IC length", func(v *keys.Verifying) {
			v.Knowledge = v.Knowledge[:2]
		}},
	}
	return append(append(list, changedSigmas()...), changedGenerators()...)
}

// changedGenerators are keys with other points G of the commitments, or impossible digests.
func changedGenerators() (list []keyChange) {
	_, _, _, g := bn254.Generators()
	list = []keyChange{
		{"gamma and all G are the generator, as in a ceremony's key", "",
			func(v *keys.Verifying) {
				v.GammaNeg.Neg(&g)
				for i := range v.Knowledge {
					v.Knowledge[i].G = g
				}
			}},
		{"all G are gamma", "", func(v *keys.Verifying) {
			for i := range v.Knowledge {
				v.Knowledge[i].G.Neg(&v.GammaNeg)
			}
		}},
		{"all G are different", "different G", func(v *keys.Verifying) {
			for i := range v.Knowledge {
				v.Knowledge[i].G = drawG2(fmt.Sprint("G ", i))
			}
		}},
	}
	for i := range circuits.EpochCommitments {
		list = append(list,
			keyChange{fmt.Sprintf("G %d is different", i), "different G", func(v *keys.Verifying) {
				v.Knowledge[i].G = drawG2("another G")
			}},
			keyChange{fmt.Sprintf("G %d is opposite", i), "different G", func(v *keys.Verifying) {
				v.Knowledge[i].G.Neg(&v.Knowledge[i].G)
			}},
			keyChange{fmt.Sprintf("digest of bases %d is 0", i), "equal bases",
				func(v *keys.Verifying) { v.BasesDigests[i] = field.Word{} }})
	}
	return list
}

// changedSigmas are keys whose sigmas are 1 or -1, or equal or opposite to each other.
func changedSigmas() (list []keyChange) {
	for i := range circuits.EpochCommitments {
		j := (i + 1) % circuits.EpochCommitments
		list = append(list,
			keyChange{fmt.Sprintf("sigma keys %d and %d are the same", i, j), "equal sigma",
				func(v *keys.Verifying) {
					v.Knowledge[j].SigmaNeg = v.Knowledge[i].SigmaNeg
				}},
			keyChange{fmt.Sprintf("sigma keys %d and %d are opposite", i, j), "equal sigma",
				func(v *keys.Verifying) {
					v.Knowledge[j].SigmaNeg.Neg(&v.Knowledge[i].SigmaNeg)
				}},
			keyChange{fmt.Sprintf("sigma %d is 1", i), "sigma is 1 or -1", func(v *keys.Verifying) {
				v.Knowledge[i].SigmaNeg.Neg(&v.Knowledge[i].G)
			}},
			keyChange{fmt.Sprintf("sigma %d is -1", i), "sigma is 1 or -1",
				func(v *keys.Verifying) {
					v.Knowledge[i].SigmaNeg = v.Knowledge[i].G
				}})
	}
	return list
}

type wordsChange struct {
	name, rule string
	change     func(data []byte) []byte
}

// changedWords are keys with an invalid point or infinity, and keys whose words do not fit the
// header.
func changedWords() []wordsChange {
	list := []wordsChange{
		{"an unused word is left over", "trailing bytes", func(data []byte) []byte {
			return append(data, make([]byte, 32)...)
		}},
		{"a byte is left over", "trailing bytes", func(data []byte) []byte {
			return append(data, 0)
		}},
		{"the last word is missing", "trailing bytes", func(data []byte) []byte {
			return data[:len(data)-32]
		}},
		{"hash wires are used", "lookup", func(data []byte) []byte {
			data[32*wordFlags+31] = 1
			return data
		}},
		{"an unknown flag", "lookup", func(data []byte) []byte {
			data[32*wordFlags+31] = 2
			return data
		}},
		{"an unknown version", "header", func(data []byte) []byte { data[31] = 2; return data }},
		{"kind 0", "header", func(data []byte) []byte { data[63] = 0; return data }},
	}
	return append(list, changedPoints()...)
}

// changedPoints are keys with one invalid point.
func changedPoints() (list []wordsChange) {
	points := []struct {
		name        string
		word, words int
	}{{"alpha", wordAlpha, 2}, {"beta", wordBeta, 4}, {"gamma", wordGamma, 4},
		{"delta", wordDelta, 4}, {"IC 0", wordIC, 2},
		{"IC 5", wordIC + 10, 2}, {"G 0", wordG, 4}, {"sigma 0", wordG + 4, 4},
		{"G 2", wordG + 16, 4}, {"sigma 2", wordG + 20, 4},
		{"I_0", wordI0, 2}, {"S", wordS, 2}}
	for _, p := range points {
		begin, end := 32*p.word, 32*(p.word+p.words)
		list = append(list,
			wordsChange{p.name + " is infinity", "infinity", func(data []byte) []byte {
				clear(data[begin:end])
				return data
			}},
			wordsChange{p.name + " is off its curve", "point", func(data []byte) []byte {
				data[end-1] ^= 1
				return data
			}},
			wordsChange{p.name + " has a coordinate of q or more", "point",
				func(data []byte) []byte {
					last := data[end-32 : end]
					value := new(big.Int).SetBytes(last)
					value.Add(value, fp.Modulus()).FillBytes(last)
					return data
				}})
		if p.words == 4 {
			outside := draw.OutsideSubgroup()
			list = append(list, wordsChange{p.name + " is outside the subgroup", "point",
				func(data []byte) []byte {
					encoded := field.FromG2(&outside)
					copy(data[begin:end], encoded[:])
					return data
				}})
		}
	}
	return list
}

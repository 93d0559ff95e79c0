// SPDX-License-Identifier: Apache-2.0

package mutations

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254"

	"provenance/zkprover/cmd/vectors/frozen"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/verify"
)

// vector is a proof as words: A, B, C, commitments, proofs of knowledge, public inputs. Unlike a
// parsed proof, it may hold malformed values. Points of G1 are named by the place of their first
// word.
type vector struct {
	name        string
	vkid, kind  string
	mask        verify.Mask
	commitments int
	words       []field.Word
}

// The places of A, B, C and of what follows.
const (
	placeA    = 0
	placeB    = 2
	placeC    = 6
	placeRest = 8
)

func newVector(name string, wire *proof.JSON, mask verify.Mask) *vector {
	v := &vector{name: name, vkid: wire.VKID, kind: wire.Kind, mask: mask,
		commitments: len(wire.Commitments)}
	lists := append([][]string{wire.A, wire.B, wire.C}, wire.Commitments...)
	for _, list := range append(append(lists, wire.Poks...), wire.Public) {
		for _, text := range list {
			word, err := field.ParseWord(text)
			if err != nil {
				panic(err) // the honest proofs are frozen
			}
			v.words = append(v.words, word)
		}
	}
	return v
}

func (v *vector) copy() *vector {
	out := *v
	out.words = append([]field.Word(nil), v.words...)
	return &out
}

func (v *vector) commitment(i int) int { return placeRest + 2*i }
func (v *vector) pok(i int) int        { return placeRest + 2*v.commitments + 2*i }
func (v *vector) public(i int) int     { return placeRest + 4*v.commitments + i }
func (v *vector) inputs() int          { return len(v.words) - v.public(0) }
func (v *vector) isChecked(i int) bool { return v.mask>>i&1 == 1 }

// onlyUnchecked tells whether all places are those of commitments outside the mask.
func (v *vector) onlyUnchecked(places ...int) bool {
	for _, at := range places {
		if i := (at - placeRest) / 2; at < placeRest || i >= v.commitments || v.isChecked(i) {
			return false
		}
	}
	return true
}

// points are the places of the points of G1 that a verifier checks. Proofs of knowledge outside the
// mask are not among them: contracts do not read them, and files with malformed ones are refused.
func (v *vector) points() []int {
	places := []int{placeA, placeC}
	for i := range v.commitments {
		places = append(places, v.commitment(i))
	}
	for i := range v.commitments {
		if v.isChecked(i) {
			places = append(places, v.pok(i))
		}
	}
	return places
}

// coordinates are the places of the words of all points that a verifier checks.
func (v *vector) coordinates() []int {
	places := []int{placeB, placeB + 1, placeB + 2, placeB + 3}
	for _, at := range v.points() {
		places = append(places, at, at+1)
	}
	return places
}

// checked are the places of all words that a verifier checks.
func (v *vector) checked() []int {
	places := v.coordinates()
	for i := range v.inputs() {
		places = append(places, v.public(i))
	}
	return places
}

// g1 is the point at a place of an honest proof.
func (v *vector) g1(at int) bn254.G1Affine {
	p, err := field.ParseG1(v.bytes()[at*field.WordBytes:][:field.G1Bytes])
	if err != nil {
		panic(err) // the honest proofs are frozen
	}
	return p
}

func (v *vector) setG1(at int, p bn254.G1Affine) {
	encoded := field.FromG1(&p)
	v.set(at, encoded[:])
}

func (v *vector) g2() bn254.G2Affine {
	p, err := field.ParseG2(v.bytes()[placeB*field.WordBytes:][:field.G2Bytes])
	if err != nil {
		panic(err) // the honest proofs are frozen
	}
	return p
}

func (v *vector) setG2(p bn254.G2Affine) {
	encoded := field.FromG2(&p)
	v.set(placeB, encoded[:])
}

func (v *vector) set(at int, data []byte) {
	for i := 0; i < len(data); i += field.WordBytes {
		copy(v.words[at+i/field.WordBytes][:], data[i:])
	}
}

// swap exchanges two points.
func (v *vector) swap(at, with int) {
	for i := range 2 {
		v.words[at+i], v.words[with+i] = v.words[with+i], v.words[at+i]
	}
}

// take copies n words of another vector.
func (v *vector) take(from *vector, at, n int) { copy(v.words[at:at+n], from.words[at:at+n]) }

// number is a word as an integer.
func (v *vector) number(at int) *big.Int { return new(big.Int).SetBytes(v.words[at][:]) }

// setNumber puts an integer below 2^256.
func (v *vector) setNumber(at int, n *big.Int) { n.FillBytes(v.words[at][:]) }

func (v *vector) bytes() []byte {
	var out []byte
	for i := range v.words {
		out = append(out, v.words[i][:]...)
	}
	return out
}

func (v *vector) hex() string { return frozen.Hex(v.bytes()) }

// wire is the form that a file has.
func (v *vector) wire() proof.JSON {
	texts := field.HexWords(v.bytes())
	points := func(from int) [][]string {
		out := [][]string{}
		for i := range v.commitments {
			out = append(out, texts[from+2*i:from+2*i+2])
		}
		return out
	}
	return proof.JSON{
		Format: proof.Format, Kind: v.kind, VKID: v.vkid,
		A: texts[placeA:placeB], B: texts[placeB:placeC], C: texts[placeC:placeRest],
		Commitments: points(v.commitment(0)), Poks: points(v.pok(0)), Public: texts[v.public(0):],
	}
}

// verdict is nil when the proof holds.
func (v *vector) verdict(vk *keys.Verifying) error {
	wire := v.wire()
	p, err := wire.Parse()
	if err != nil {
		return err
	}
	return verify.Verify(vk, p, v.mask)
}

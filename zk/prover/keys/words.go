// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"encoding/binary"

	"github.com/consensys/gnark-crypto/ecc/bn254"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/kinds"
)

// Limits of the numbers in a header, checked before its shape is.
const (
	maxKind  = 255
	maxDepth = 1 << 16
)

// writer appends words.
type writer struct{ bytes []byte }

func (w *writer) number(n uint64) {
	var word field.Word
	binary.BigEndian.PutUint64(word[24:], n)
	w.bytes = append(w.bytes, word[:]...)
}

func (w *writer) g1(p *bn254.G1Affine) {
	encoded := field.FromG1(p)
	w.bytes = append(w.bytes, encoded[:]...)
}

func (w *writer) g2(p *bn254.G2Affine) {
	encoded := field.FromG2(p)
	w.bytes = append(w.bytes, encoded[:]...)
}

// reader reads words one after the other and keeps the first error. After an error, everything
// reads as zero.
type reader struct {
	bytes []byte
	err   error
}

func (r *reader) take(n int, what string) []byte {
	if r.err == nil && len(r.bytes) < n {
		r.err = fault.Differs(fault.BadKey, "key ends within "+what, n, len(r.bytes))
	}
	if r.err != nil {
		return make([]byte, n)
	}
	taken := r.bytes[:n]
	r.bytes = r.bytes[n:]
	return taken
}

func (r *reader) word(what string) field.Word { return field.Word(r.take(field.WordBytes, what)) }

func (r *reader) number(what string, limit uint64) uint64 {
	word := r.word(what)
	for _, b := range word[:24] {
		if b != 0 && r.err == nil {
			r.err = fault.Differs(fault.BadKey, what, "a small number", word.Hex())
		}
	}
	n := binary.BigEndian.Uint64(word[24:])
	if n > limit && r.err == nil {
		r.err = fault.Differs(fault.BadKey, what, limit, n)
	}
	return n
}

func (r *reader) expect(what string, want uint64) {
	if got := r.number(what, 1<<32); got != want && r.err == nil {
		r.err = fault.Differs(fault.BadKey, what, want, got)
	}
}

func (r *reader) g1(what string) bn254.G1Affine {
	p, err := field.ParseG1(r.take(field.G1Bytes, what))
	r.keep(what, err)
	return p
}

func (r *reader) g2(what string) bn254.G2Affine {
	p, err := field.ParseG2(r.take(field.G2Bytes, what))
	r.keep(what, err)
	return p
}

func (r *reader) keep(what string, err error) {
	if err != nil && r.err == nil {
		r.err = fault.New(fault.BadKey, "%s: %v", what, err)
	}
}

// header reads words 0 to 6. It refuses keys flagged `lookup`: no statement's circuit uses lookups,
// and a circuit with anchored commitments must not use them.
func (r *reader) header() circuits.Shape {
	r.expect("version", formatVersion)
	var shape circuits.Shape
	statement, err := kinds.ByNumber(r.number("kind", maxKind))
	if err == nil {
		shape.Kind = statement.Kind
	}
	r.keep("header", err)
	shape.Slots = int(r.number("slots", kinds.MaxSlots))
	shape.Depth = int(r.number("depth", maxDepth))
	if r.err == nil {
		r.keep("header", shape.Check())
	}
	if r.err == nil {
		r.expect("number of public inputs", uint64(shape.Public()))
		r.expect("number of commitments", uint64(shape.Commitments()))
		r.expect("flags", 0)
	}
	return shape
}

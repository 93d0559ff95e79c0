// SPDX-License-Identifier: Apache-2.0

// Package iden3 writes constraint systems and witnesses in the formats that other Groth16 provers
// read. Benchmarks and tests use it.
//
// Wires keep gnark's order, which is that of the formats: 1, public inputs, secret inputs, the
// rest. Numbers are little-endian, field elements 32 bytes of their canonical value.
//
// Source: iden3, "R1CS binary format" version 1 (r1csfile, doc/r1cs_bin_format.md); the witness
// format version 2 as snarkjs reads it (wtns_utils.js).
package iden3

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint"
	cs "github.com/consensys/gnark/constraint/bn254"
)

const (
	r1csVersion, wtnsVersion = 1, 2
	sectionHeader            = 1
	sectionBody              = 2 // constraints, or values
	sectionLabels            = 3
)

// WriteR1CS writes a system without commitments.
func WriteR1CS(w io.Writer, system *cs.R1CS) error {
	if infos, ok := system.CommitmentInfo.(constraint.Groth16Commitments); ok && len(infos) != 0 {
		return fmt.Errorf("iden3: %d commitments, which the format does not have", len(infos))
	}
	internal, secret, public := system.GetNbVariables()
	wires := public + secret + internal

	header := modulus(nil)
	// no outputs: all public values are inputs
	for _, n := range []int{wires, 0, public - 1, secret} {
		header = number32(header, n)
	}
	header = number32(binary.LittleEndian.AppendUint64(header, uint64(wires)),
		system.GetNbConstraints())

	var body []byte
	for _, c := range system.GetR1Cs() {
		for _, side := range []constraint.LinearExpression{c.L, c.R, c.O} {
			body = appendSide(body, system, side)
		}
	}
	var labels []byte
	for wire := range wires {
		labels = binary.LittleEndian.AppendUint64(labels, uint64(wire))
	}
	return write(w, "r1cs", r1csVersion, section{sectionHeader, header}, section{sectionBody, body},
		section{sectionLabels, labels})
}

// appendSide writes a linear expression. A wire that occurs in it twice is written once, with the
// sum of its coefficients.
func appendSide(out []byte, system *cs.R1CS, side constraint.LinearExpression) []byte {
	sums := make(map[uint32]fr.Element, len(side))
	var order []uint32
	for _, term := range side {
		sum, seen := sums[term.VID]
		if !seen {
			order = append(order, term.VID)
		}
		sums[term.VID] = *sum.Add(&sum, &system.Coefficients[term.CID])
	}
	out = number32(out, len(order))
	for _, wire := range order {
		sum := sums[wire]
		out = appendElement(binary.LittleEndian.AppendUint32(out, wire), &sum)
	}
	return out
}

// WriteWitness writes the values of all wires.
func WriteWitness(w io.Writer, values fr.Vector) error {
	var body []byte
	for i := range values {
		body = appendElement(body, &values[i])
	}
	return write(w, "wtns", wtnsVersion, section{sectionHeader,
		number32(modulus(nil), len(values))}, section{sectionBody, body})
}

type section struct {
	kind uint32
	data []byte
}

func write(w io.Writer, magic string, version int, sections ...section) error {
	out := number32(number32([]byte(magic), version), len(sections))
	for _, s := range sections {
		out = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(out, s.kind),
			uint64(len(s.data)))
		out = append(out, s.data...)
	}
	_, err := w.Write(out)
	return err
}

// modulus appends the number of bytes of an element, and r.
func modulus(out []byte) []byte {
	out = number32(out, fr.Bytes)
	bytes := fr.Modulus().FillBytes(make([]byte, fr.Bytes))
	for i := range bytes {
		out = append(out, bytes[fr.Bytes-1-i])
	}
	return out
}

func number32(out []byte, n int) []byte { return binary.LittleEndian.AppendUint32(out, uint32(n)) }

func appendElement(out []byte, e *fr.Element) []byte {
	limbs := e.Bits()
	for _, limb := range limbs {
		out = binary.LittleEndian.AppendUint64(out, limb)
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/consensys/gnark-crypto/ecc/bn254"

	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
)

// Sizes in gnark's serialization: compressed points, and a proof of update (G1, G2).
const (
	g1Bytes        = bn254.SizeOfG1AffineCompressed
	g2Bytes        = bn254.SizeOfG2AffineCompressed
	proofBytes     = g1Bytes + g2Bytes
	challengeBytes = 32
)

// layout says at which offsets gnark's serialization of a circuit's state has lengths, and which.
// gnark allocates what a length says before it reads. So a file is compared with its layout first,
// and cannot make gnark allocate more.
type layout struct {
	bytes  int   // without the challenge at the end
	proofs []int // offsets of gnark's proofs of update
	sigmas []int // offsets of the proofs of sigma
	fixed  []fixed
}

// fixed are bytes that have one value.
type fixed struct {
	offset int
	bytes  []byte
}

func (l *layout) length(n int) {
	l.fixed = append(l.fixed, fixed{l.bytes, binary.BigEndian.AppendUint32(nil, uint32(n))})
	l.bytes += 4
}

func (l *layout) vector(n int) {
	l.length(n)
	l.bytes += n * g1Bytes
}

func (l *layout) proof() {
	l.proofs = append(l.proofs, l.bytes)
	l.bytes += proofBytes
}

// domain is the size of the evaluation domain of a circuit's constraints, a power of 2.
func domain(circuit *keys.Circuit) int {
	return 1 << bits.Len(uint(circuit.System.GetNbConstraints()-1))
}

func layoutOf(circuit *keys.Circuit, phase int) *layout {
	if phase == phase1 {
		return layoutOfPhase1(domain(circuit))
	}
	return layoutOfPhase2(circuit)
}

// layoutOfPhase1 is the layout of a state of phase 1. Its parts, in order: proofs of tau, alpha,
// beta; n; beta in G2; powers of tau in G1 (2n-2) and G2 (n-1); beta and alpha times powers of tau
// (n each).
func layoutOfPhase1(n int) *layout {
	l := new(layout)
	for range 3 {
		l.proof()
	}
	l.fixed = append(l.fixed, fixed{l.bytes, binary.BigEndian.AppendUint64(nil, uint64(n))})
	l.bytes += 8 + g2Bytes + (2*n-2)*g1Bytes + (n-1)*g2Bytes + 2*n*g1Bytes
	return l
}

// layoutOfPhase2 is the layout of a state of phase 2. Its parts, in order: the number of
// commitments; delta in G1; the points of private wires and of the vanishing polynomial; delta in
// G2; for each commitment its bases times sigma; for each commitment sigma in G2; the proof of
// delta; for each commitment the proof of sigma.
func layoutOfPhase2(circuit *keys.Circuit) *layout {
	internal, secret, _ := circuit.System.GetNbVariables()
	bases := circuit.Shape.Bases()
	private := internal + secret - len(bases)
	for _, n := range bases {
		private -= n
	}
	count := binary.BigEndian.AppendUint16(nil, uint16(len(bases)))
	l := &layout{bytes: len(count), fixed: []fixed{{0, count}}}
	l.bytes += g1Bytes
	l.vector(private)
	l.vector(domain(circuit) - 1)
	l.bytes += g2Bytes
	for _, n := range bases {
		l.vector(n)
	}
	l.bytes += len(bases) * g2Bytes
	l.proof()
	for range bases {
		l.sigmas = append(l.sigmas, l.bytes)
		l.bytes += sigmaProofBytes
	}
	return l
}

// size is the length of state number index in bytes. The start of a phase (0) has no challenge.
func (l *layout) size(index int) int {
	if index == 0 {
		return l.bytes + 1
	}
	return l.bytes + 1 + challengeBytes
}

// fileBytes is the largest length that a state file may have.
func (l *layout) fileBytes(index int) int64 {
	return int64(headerBytes + maxNameBytes + l.size(index))
}

// check compares a contribution's lengths with the layout.
func (l *layout) check(payload []byte, index int) error {
	if len(payload) != l.size(index) {
		return fault.Differs(fault.BadFile, "bytes of the state", l.size(index), len(payload))
	}
	for _, f := range l.fixed {
		if got := payload[f.offset : f.offset+len(f.bytes)]; !bytes.Equal(got, f.bytes) {
			return fault.New(fault.BadFile, "length at byte %d of the state is %x, want %x",
				f.offset, got, f.bytes)
		}
	}
	if int(payload[l.bytes]) != l.size(index)-l.bytes-1 {
		return fault.Differs(fault.BadFile, "bytes of the challenge", l.size(index)-l.bytes-1,
			payload[l.bytes])
	}
	return nil
}

// secrets returns a number for each secret x of a contribution that is the same for the same x,
// e([x]_1, [1]_2), from a payload whose points were checked. It refuses x = 0, 1 and -1, which add
// nothing to the secrets so far.
func (l *layout) secrets(payload []byte) (list [][]byte, err error) {
	_, _, one1, one2 := bn254.Generators()
	add := func(p bn254.G1Affine, q bn254.G2Affine) error {
		value, err := bn254.Pair([]bn254.G1Affine{p}, []bn254.G2Affine{q})
		if err != nil {
			return err
		}
		text := value.Bytes()
		list = append(list, text[:])
		return requireFactor(&value)
	}
	for _, offset := range l.proofs {
		var point bn254.G1Affine
		if _, err := point.SetBytes(payload[offset : offset+g1Bytes]); err != nil {
			return nil, fault.New(fault.BadFile, "commitment to a secret: %v", err)
		}
		if err := add(point, one2); err != nil {
			return nil, err
		}
	}
	for _, offset := range l.sigmas {
		var point bn254.G2Affine
		if _, err := point.SetBytes(payload[offset : offset+g2Bytes]); err != nil {
			return nil, fault.New(fault.BadFile, "commitment to a secret: %v", err)
		}
		if err := add(one1, point); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// requireFactor refuses e([x]_1, [1]_2) for x = 0, 1 and -1.
func requireFactor(value *bn254.GT) error {
	_, _, one1, one2 := bn254.Generators()
	one, err := bn254.Pair([]bn254.G1Affine{one1}, []bn254.G2Affine{one2})
	if err != nil {
		return err
	}
	var zero, minusOne bn254.GT
	zero.SetOne()
	minusOne.Inverse(&one)
	if value.Equal(&zero) || value.Equal(&one) || value.Equal(&minusOne) {
		return fault.New(fault.BadFile, "the contribution's secret is 0, 1 or -1: it adds nothing")
	}
	return nil
}

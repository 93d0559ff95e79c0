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
	proofs []int // offsets of the proofs of update
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
// G2; for each commitment its bases times sigma; for each commitment sigma in G2; proofs of delta
// and of each sigma.
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
	for range len(bases) + 1 {
		l.proof()
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

// secrets returns the commitments [x] to the secrets x of a contribution. It refuses x = 0, 1 and
// -1, which add nothing to the secrets so far.
func (l *layout) secrets(payload []byte) ([][]byte, error) {
	_, _, one, _ := bn254.Generators()
	var minusOne, zero bn254.G1Affine
	minusOne.Neg(&one)
	var list [][]byte
	for _, offset := range l.proofs {
		secret := payload[offset : offset+g1Bytes]
		for _, trivial := range []bn254.G1Affine{zero, one, minusOne} {
			if encoded := trivial.Bytes(); bytes.Equal(secret, encoded[:]) {
				return nil, fault.New(fault.BadFile,
					"the contribution's secret is 0, 1 or -1: it adds nothing")
			}
		}
		list = append(list, secret)
	}
	return list, nil
}

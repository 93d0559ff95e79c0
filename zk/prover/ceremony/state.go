// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/consensys/gnark/backend/groth16/bn254/mpcsetup"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/files"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
)

const (
	magic       = "provenance-mpc/2"
	headerBytes = len(magic) + 1 + 2 + 1 + 4 + 4 + sha256.Size + 1 // and the name
)

// state is gnark's Phase1 or a [secondPhase]: the parameters after a contribution, and the proofs
// that its maker knew the secrets.
type state interface {
	io.WriterTo
	io.ReaderFrom
	Contribute()
}

// header is the beginning of a state file.
type header struct {
	phase, index int
	shape        circuits.Shape
	circuit      [sha256.Size]byte
	name         string // of the contributor; empty for the start of a phase
}

func (h *header) encode() []byte {
	out := append([]byte(magic), byte(h.phase))
	out = binary.BigEndian.AppendUint16(out, uint16(h.index))
	out = append(out, byte(h.shape.Number()))
	out = binary.BigEndian.AppendUint32(out, uint32(h.shape.Slots))
	out = binary.BigEndian.AppendUint32(out, uint32(h.shape.Depth))
	out = append(out, h.circuit[:]...)
	return append(append(out, byte(len(h.name))), h.name...)
}

// parseHeader reads the beginning of an untrusted file.
func parseHeader(data []byte) (*header, error) {
	if len(data) < headerBytes || string(data[:len(magic)]) != magic {
		return nil, fault.Differs(fault.BadFile, "first bytes of the file", magic, "something else")
	}
	rest := data[len(magic):]
	h := &header{phase: int(rest[0]), index: int(binary.BigEndian.Uint16(rest[1:]))}
	statement, err := kinds.ByNumber(uint64(rest[3]))
	if err != nil {
		return nil, fault.New(fault.BadFile, "%v", err)
	}
	h.shape = circuits.Shape{
		Kind: statement.Kind, Slots: int(binary.BigEndian.Uint32(rest[4:])),
		Depth: int(binary.BigEndian.Uint32(rest[8:])),
	}
	copy(h.circuit[:], rest[12:])
	length := int(data[headerBytes-1])
	if h.phase != phase1 && h.phase != phase2 || h.index > MaxContributions ||
		len(data) < headerBytes+length {
		return nil, fault.Differs(fault.BadFile, "phase and contribution of the file",
			fmt.Sprintf("phase 1 or 2, contribution 0..%d, and a whole name", MaxContributions),
			fmt.Sprintf("phase %d, contribution %d", h.phase, h.index))
	}
	h.name = string(data[headerBytes : headerBytes+length])
	if h.index == 0 {
		if h.name != "" {
			return nil, fault.New(fault.BadFile, "the start of a phase has a contributor")
		}
		return h, nil
	}
	return h, checkText("contributor's name", h.name, maxNameBytes)
}

// loaded is a state file that was read and checked by itself. Whether it follows from the state
// before is not checked yet.
type loaded struct {
	header
	state     state
	challenge []byte   // the digest of the state that it was made from
	secrets   [][]byte // commitments to the secrets
	digest    [sha256.Size]byte
	file      [sha256.Size]byte
}

// load reads an untrusted state file of this circuit. want holds the expected phase and index.
func load(path string, circuit *keys.Circuit, want header) (*loaded, error) {
	l := layoutOf(circuit, want.phase)
	data, err := files.Read("contribution", path, l.fileBytes(want.index))
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(data)
	if err != nil {
		return nil, err
	}
	want.name, want.shape, want.circuit = h.name, circuit.Shape, circuit.Digest
	if *h != want {
		return nil, fault.Differs(fault.BadFile, "phase, contribution and circuit",
			want.facts(), h.facts())
	}
	payload := data[headerBytes+len(h.name):]
	s, err := parseState(l, payload, want)
	if err != nil {
		return nil, err
	}
	out := &loaded{header: *h, state: s, digest: sha256.Sum256(payload), file: sha256.Sum256(data)}
	if want.index > 0 {
		out.challenge = payload[l.bytes+1:]
		out.secrets, err = l.secrets(payload)
	}
	return out, err
}

func (h *header) facts() string {
	return fmt.Sprintf("phase %d, %d, %s %d/%d %x", h.phase, h.index, h.shape.Kind, h.shape.Slots,
		h.shape.Depth, h.circuit[:8])
}

// parseState decodes a state. Its points must be on their curves, in their subgroups and in their
// canonical encoding.
func parseState(l *layout, payload []byte, h header) (s state, err error) {
	if err := l.check(payload, h.index); err != nil {
		return nil, err
	}
	s = newState(h.phase)
	err = guarded(func() error {
		if _, err := s.ReadFrom(bytes.NewReader(payload)); err != nil {
			return fault.New(fault.BadFile, "state: %v", err)
		}
		if !bytes.Equal(encode(s), payload) {
			return fault.New(fault.BadFile, "state is not in its one encoding")
		}
		return nil
	})
	return s, err
}

func newState(phase int) state {
	if phase == phase1 {
		return new(mpcsetup.Phase1)
	}
	return new(secondPhase)
}

func encode(s state) []byte {
	var out bytes.Buffer
	if _, err := s.WriteTo(&out); err != nil {
		panic(err) // writing to memory does not fail
	}
	return out.Bytes()
}

// guarded turns a panic that a hostile file causes into an error.
func guarded(work func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.BadFile, "contribution: %v", r)
		}
	}()
	return work()
}

// follows requires that next was made from the state `previous`, which has this digest, by someone
// who knew the secrets.
func follows(previous state, digest [sha256.Size]byte, next *loaded) error {
	if !bytes.Equal(next.challenge, digest[:]) {
		return fault.Differs(fault.BadFile, "state that the contribution was made from",
			fmt.Sprintf("%x", digest), fmt.Sprintf("%x", next.challenge)).
			WithHint("each contributor starts from the file of the one before")
	}
	err := guarded(func() error {
		if p, ok := previous.(*mpcsetup.Phase1); ok {
			return p.Verify(next.state.(*mpcsetup.Phase1))
		}
		return previous.(*secondPhase).verify(next.state.(*secondPhase))
	})
	if err != nil {
		return fault.New(fault.BadFile, "contribution %d of phase %d (%s) does not follow: %v",
			next.index, next.phase, next.name, err)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

// Package order is the seeded order of an epoch: which leaf each position feeds.
//
// Source: docs/formats/proofs.md, "Order of an epoch". The shuffle is Fisher-Yates (Knuth, TAOCP
// vol. 2, 3.4.2, algorithm P). Bounded numbers have no modulo bias: words in the incomplete last
// interval are rejected.
package order

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// MaxCount is the largest number of records of a dataset, 16^6.
const MaxCount = 1 << 24

// Stream is the sequence of 64-bit words SHA256(preimage counter), four per hash, counter from 0 in
// 8 bytes.
type Stream struct {
	preimage []byte
	counter  uint64
	block    [sha256.Size]byte
	used     int
}

// NewStream is the stream of a preimage, which begins with the tag of what the words are for.
func NewStream(preimage []byte) *Stream { return &Stream{preimage: preimage, used: sha256.Size} }

// Word is the next word.
func (s *Stream) Word() uint64 {
	if s.used == sha256.Size {
		own := s.preimage[:len(s.preimage):len(s.preimage)] // makes append copy the preimage
		s.block = sha256.Sum256(binary.BigEndian.AppendUint64(own, s.counter))
		s.counter++
		s.used = 0
	}
	w := binary.BigEndian.Uint64(s.block[s.used:])
	s.used += 8
	return w
}

// Uniform is a uniform number in [0, bound), for bound >= 1.
func (s *Stream) Uniform(bound uint64) uint64 {
	excess := -bound % bound // 2^64 mod bound, in 64-bit arithmetic
	for {
		w := s.Word()
		if excess == 0 || w < -excess {
			return w % bound
		}
	}
}

// newStream is the stream of tag "order".
func newStream(seed [32]byte, epoch uint64) *Stream {
	preimage := append([]byte("provenance/v1/order\x00"), seed[:]...)
	return NewStream(binary.BigEndian.AppendUint64(preimage, epoch))
}

// Shuffle is the list a of length count (1..[MaxCount]): position h of the epoch feeds leaf a[h].
func Shuffle(seed [32]byte, epoch uint64, count int) ([]uint64, error) {
	if count < 1 || count > MaxCount {
		return nil, fmt.Errorf("order: count %d, want 1..%d", count, MaxCount)
	}
	a := make([]uint64, count)
	for i := range a {
		a[i] = uint64(i)
	}
	s := newStream(seed, epoch)
	for i := count - 1; i >= 1; i-- {
		j := s.Uniform(uint64(i) + 1)
		a[i], a[j] = a[j], a[i]
	}
	return a, nil
}

// Invert is the list with Invert(a)[a[h]] = h. If a is not a permutation of [0, len(a)), the error
// names the first entry that is out of range or repeated.
func Invert(a []uint64) ([]uint64, error) {
	inverse := make([]uint64, len(a))
	seen := make([]bool, len(a))
	for h, leaf := range a {
		if leaf >= uint64(len(a)) || seen[leaf] {
			return nil, fmt.Errorf("order: entry %d = %d is out of range or repeated", h, leaf)
		}
		seen[leaf] = true
		inverse[leaf] = uint64(h)
	}
	return inverse, nil
}

// Bytes is the list as 64-bit big-endian words.
func Bytes(a []uint64) []byte {
	out := make([]byte, 0, 8*len(a))
	for _, v := range a {
		out = binary.BigEndian.AppendUint64(out, v)
	}
	return out
}

// Parse is the inverse of Bytes; it does not check that the list is a permutation ([Invert] does).
func Parse(data []byte) ([]uint64, error) {
	if len(data)%8 != 0 {
		return nil, fmt.Errorf("order: %d bytes are not a multiple of 8", len(data))
	}
	out := make([]uint64, len(data)/8)
	for i := range out {
		out[i] = binary.BigEndian.Uint64(data[8*i:])
	}
	return out, nil
}

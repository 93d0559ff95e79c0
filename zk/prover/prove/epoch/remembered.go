// SPDX-License-Identifier: Apache-2.0

package epoch

import (
	"crypto/sha256"
	"slices"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/verify"
)

// most bounds how many commitments are remembered; each takes some 200 bytes.
const most = 1 << 14

// remembered are the commitments that this process has made and checked last. One that is anchored
// is made before its proofs, and D of a dataset is the same in every epoch: making them again would
// take a sixth of a proof's time.
var remembered memory

// memory finds a commitment by the digest of all that it depends on. It holds no value that is
// committed, and no blinding.
type memory struct {
	mu    sync.Mutex
	made  map[[sha256.Size]byte]Commitment
	order [][sha256.Size]byte // oldest first
}

// digest is over key, vector and opening.
func digest(key *keys.Key, vector int, opening []fr.Element) (out [sha256.Size]byte) {
	hash, id := sha256.New(), key.Verifying.ID()
	hash.Write(id[:])
	hash.Write([]byte{byte(vector)})
	for i := range opening {
		value := opening[i].Bytes()
		hash.Write(value[:])
	}
	hash.Sum(out[:0])
	return out
}

func (m *memory) find(d [sha256.Size]byte) (Commitment, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.made[d]
	return c, ok
}

func (m *memory) keep(d [sha256.Size]byte, c Commitment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.made == nil {
		m.made = map[[sha256.Size]byte]Commitment{}
	}
	if _, ok := m.made[d]; ok {
		return
	}
	if len(m.order) == most {
		delete(m.made, m.order[0])
		m.order = slices.Delete(m.order, 0, 1)
	}
	m.made[d] = c
	m.order = append(m.order, d)
}

// forget drops a commitment, which a proof has shown to be of something else.
func (m *memory) forget(d [sha256.Size]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.made[d]; ok {
		delete(m.made, d)
		m.order = slices.DeleteFunc(m.order, func(other [sha256.Size]byte) bool {
			return other == d
		})
	}
}

// commitments are those of one proof, by vector.
type commitments []named

// named is a commitment by the digest of what it depends on; `made` is nil until it is known.
type named struct {
	digest [sha256.Size]byte
	made   *Commitment
}

func newCommitments(key *keys.Key, openings [][]fr.Element) commitments {
	out := make(commitments, len(openings))
	for vector, opening := range openings {
		out[vector].digest = digest(key, vector, opening)
	}
	return out
}

// take uses a commitment that was made elsewhere. Its proof of knowledge is checked here; whether
// it is one to the vector, the check of the whole proof tells.
func (c commitments) take(key *keys.Key, vector int, made *Commitment) error {
	if err := verify.Knowledge(key.Verifying, vector, &made.Point, &made.Knowledge); err != nil {
		return fault.New(fault.BadRequest, "registered commitment %d: %v", vector, err)
	}
	c[vector].made = made
	return nil
}

// make fills in the other commitments, those that are remembered and new ones.
func (c commitments) make(key *keys.Key, openings [][]fr.Element) error {
	for vector, opening := range openings {
		if c[vector].made != nil {
			continue
		}
		known, ok := remembered.find(c[vector].digest)
		if !ok {
			var err error
			if known, err = commit(key, vector, opening); err != nil {
				return err
			}
		}
		c[vector].made = &known
	}
	return nil
}

// remember keeps the commitments of a proof that was checked, and drops those of one that failed.
func (c commitments) remember(isRight bool) {
	for i := range c {
		if isRight {
			remembered.keep(c[i].digest, *c[i].made)
		} else {
			remembered.forget(c[i].digest)
		}
	}
}

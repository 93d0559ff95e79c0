// SPDX-License-Identifier: Apache-2.0

package server

import (
	"sort"
	"sync"

	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
)

// name identifies a loaded key. The path alone is not enough: a folder can be replaced by one with
// another key of the same circuit.
type name struct {
	dir, id string
	part    keys.Part
}

// entry is a key in memory, or one that is being loaded. The queue's lock guards its first fields,
// once its last two.
type entry struct {
	name  name
	bytes int64 // predicted
	users int
	last  uint64 // when it was last given back, in jobs
	once  sync.Once
	key   *keys.Key
	err   error
}

// load reads the key on first use. Later callers wait for that and get the same key.
func (e *entry) load(parts func(string, keys.Part) (*keys.Key, error)) (*keys.Key, error) {
	e.once.Do(func() {
		if e.key, e.err = parts(e.name.dir, e.name.part); e.err == nil &&
			e.key.Info.VKID != e.name.id {
			e.err = fault.Differs(fault.BadKey, "vkId", e.name.id, e.key.Info.VKID)
		}
	})
	return e.key, e.err
}

// store holds the keys in memory. It drops the least recently used first. Its caller holds the
// queue's lock.
type store struct {
	entries map[name]*entry
	limit   int64 // bytes of keys that are kept without a user
	loads   int   // keys read so far
}

// find returns the entry for a name. A whole key also serves if only its bases are asked for.
func (s *store) find(n name) *entry {
	if n.part == keys.PartBases {
		if whole := s.entries[name{n.dir, n.id, keys.PartWhole}]; whole != nil {
			return whole
		}
	}
	return s.entries[n]
}

// bytes is the predicted size of all entries.
func (s *store) bytes() (total int64) {
	for _, e := range s.entries {
		total += e.bytes
	}
	return total
}

// idle lists the entries without a user, least recently used first.
func (s *store) idle() []*entry {
	var out []*entry
	for _, e := range s.entries {
		if e.users == 0 {
			out = append(out, e)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].last < out[j].last })
	return out
}

// evict drops idle entries, but not spared, until at most limit bytes are held. It returns whether
// it got there.
func (s *store) evict(limit int64, spared *entry) bool {
	for _, e := range s.idle() {
		if s.bytes() <= limit {
			break
		}
		if e != spared {
			delete(s.entries, e.name)
		}
	}
	return s.bytes() <= limit
}

// take adds a user to the entry of a name, and makes the entry if there is none.
func (s *store) take(n name, bytes int64) *entry {
	e := s.find(n)
	if e == nil {
		e = &entry{name: n, bytes: bytes}
		s.entries[n] = e
		s.loads++
	}
	e.users++
	return e
}

// release removes a user from an entry. An entry whose key could not be loaded is dropped.
func (s *store) release(e *entry, now uint64) {
	e.users--
	e.last = now
	if e.users == 0 && (e.err != nil || e.key == nil) && s.entries[e.name] == e {
		delete(s.entries, e.name)
	}
	s.evict(s.limit, nil)
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"runtime"
	"time"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove/dataset"
	"provenance/zkprover/prove/epoch"
	"provenance/zkprover/server"
	"provenance/zkprover/statement"
	"provenance/zkprover/tree"
)

// job holds the fields of the prove commands. With "jobs", each entry's fields replace those of the request.
type job struct {
	Key       string `json:"key"`
	Leaves    string `json:"leaves"`
	Used      string `json:"used"`
	Order     string `json:"order"`
	Blindings string `json:"blindings"`
	Count     int    `json:"count"`
	Depth     int    `json:"depth"`
	Chunk     int    `json:"chunk"`
	K         int    `json:"k"`
	Gamma     string `json:"gamma"`
	Delta     string `json:"delta"`
	Out       string `json:"out"`
	audit
}

type jobResult struct {
	Out     string   `json:"out"`
	Chunk   int      `json:"chunk"`
	Public  []string `json:"public"`
	Seconds float64  `json:"seconds"`
}

func proveTree(call *server.Call, request []byte) (any, error) {
	return proveAll(call, request, circuits.KindTree, (*session).tree)
}
func proveEpoch(call *server.Call, request []byte) (any, error) {
	return proveAll(call, request, circuits.KindEpoch, (*session).epoch)
}
func proveLink(call *server.Call, request []byte) (any, error) {
	return proveAll(call, request, circuits.KindEpoch, (*session).link)
}

// proveAll runs the request's jobs one after the other. Proofs written before a failing job stay.
func proveAll(call *server.Call, request []byte, kind circuits.Kind, one func(*session, *job) (*proof.Proof, error)) (any, error) {
	jobs, many, err := parseJobs(request)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	key, err := call.Key(jobs[0].Key)
	if err != nil {
		return nil, err
	}
	if key.Shape.Kind != kind {
		return nil, fault.Differs(fault.BadRequest, "kind of key", kind, key.Shape.Kind)
	}
	loading := since(begin)
	s := newSession(key)
	results := make([]jobResult, 0, len(jobs))
	for i := range jobs {
		if err := call.Stopped(); err != nil {
			return nil, err
		}
		begin := time.Now()
		result, err := s.run(&jobs[i], one)
		if err != nil {
			return nil, err
		}
		result.Seconds = since(begin)
		call.Progress("proof %d of %d in %.2f s", i+1, len(jobs), result.Seconds)
		results = append(results, result)
		runtime.GC() // a proof's vectors are garbage by now; the next ones are as large
	}
	if !many {
		return results[0], nil
	}
	return map[string]any{"results": results, "loadSeconds": loading, "vkId": key.Info.VKID}, nil
}

// parseJobs lays each entry of "jobs" over the request.
func parseJobs(request []byte) (jobs []job, many bool, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(request, &fields); err != nil {
		return nil, false, fault.New(fault.BadRequest, "request: %v", err)
	}
	entries := []json.RawMessage{[]byte("{}")}
	if list, ok := fields["jobs"]; ok {
		many = true
		if err := json.Unmarshal(list, &entries); err != nil || len(entries) == 0 {
			return nil, false, fault.New(fault.BadRequest, "jobs: want a list with at least one entry")
		}
		delete(fields, "jobs")
	}
	shared, err := json.Marshal(fields)
	if err != nil {
		return nil, false, fault.New(fault.BadRequest, "%v", err)
	}
	jobs = make([]job, len(entries))
	for i, entry := range entries {
		for _, text := range [][]byte{shared, entry} {
			if err := parseRequest(text, &jobs[i]); err != nil {
				return nil, false, err
			}
		}
		if jobs[i].Key != jobs[0].Key {
			return nil, false, fault.New(fault.BadRequest, "all jobs must use one key")
		}
	}
	return jobs, many, nil
}

// session keeps what consecutive jobs share: the key, and every file once it was read and checked.
type session struct {
	key      *keys.Key
	built    *tree.Tree
	treeName string
	lists    map[string][]fr.Element
	inverses map[string][]uint64
	checked  map[[3]string]bool // leaves, used, order
	records  [2]string          // the files of the next two
	digests  []byte
	salts    []byte
}

func newSession(key *keys.Key) *session {
	return &session{key: key, lists: map[string][]fr.Element{}, inverses: map[string][]uint64{}, checked: map[[3]string]bool{}}
}

// elements reads a file of count elements, or returns what it held before.
func (s *session) elements(what, path string, count int) ([]fr.Element, error) {
	if known, ok := s.lists[path]; ok && len(known) == count {
		return known, nil
	}
	read, err := readElements(what, path, count)
	if err == nil {
		s.lists[path] = read
	}
	return read, err
}

func (s *session) run(j *job, one func(*session, *job) (*proof.Proof, error)) (jobResult, error) {
	p, err := one(s, j)
	if err != nil {
		return jobResult{}, err
	}
	public, err := writeProof(j.Out, p)
	if err != nil {
		return jobResult{}, err
	}
	result := jobResult{Out: j.Out, Chunk: j.Chunk, Public: public}
	if s.key.Shape.Kind != circuits.KindEpoch {
		result.Chunk = j.K
	}
	return result, nil
}

// writeProof writes a proof's file and returns its public inputs.
func writeProof(path string, p *proof.Proof) (public []string, err error) {
	text, err := p.Marshal()
	if err != nil {
		return nil, err
	}
	for i := range p.Public {
		public = append(public, field.ScalarHex(&p.Public[i]))
	}
	return public, writeFile(path, append(text, '\n'))
}

func (s *session) tree(j *job) (*proof.Proof, error) {
	challenge, err := parseChallenge(j.Gamma, j.Delta)
	if err != nil {
		return nil, err
	}
	built, err := s.grow(j, j.Leaves, func() ([]fr.Element, error) { return s.elements("leaves", j.Leaves, j.Count) })
	if err != nil {
		return nil, err
	}
	return dataset.Tree(s.key, built, j.K, challenge)
}

// grow builds the tree over the leaves that the named file gives, or returns the one built of it before.
func (s *session) grow(j *job, name string, read func() ([]fr.Element, error)) (*tree.Tree, error) {
	if s.built == nil || s.treeName != name {
		leaves, err := read()
		if err != nil {
			return nil, err
		}
		if s.built, err = buildTree(leaves, j.Depth); err != nil {
			return nil, err
		}
		s.treeName = name
	}
	if s.built.Count() != j.Count || (j.Depth != 0 && s.built.Depth() != j.Depth) {
		return nil, fault.New(fault.BadRequest, "jobs name one file of leaves with different counts or depths")
	}
	return s.built, nil
}

// chunk checks the chunk number and reads what epoch and link jobs share.
func (s *session) chunk(j *job) (leaves []fr.Element, d, u fr.Element, challenge statement.Challenge, err error) {
	chunks := statement.Chunks(j.Count, s.key.Shape.Slots)
	if j.Count < 1 || j.Chunk < 0 || j.Chunk >= chunks {
		err = fault.Differs(fault.BadRequest, "chunk", "a chunk that holds a record", j.Chunk)
		return
	}
	if challenge, err = parseChallenge(j.Gamma, j.Delta); err != nil {
		return
	}
	if leaves, err = s.elements("leaves", j.Leaves, j.Count); err != nil {
		return
	}
	var secrets *blindings
	if secrets, err = readBlindings(j.Blindings); err != nil {
		return
	}
	if d, err = blinding("d", secrets.D, j.Chunk, chunks); err != nil || j.Used == "" {
		return
	}
	u, err = blinding("u", secrets.U, j.Chunk, chunks)
	return
}

func (s *session) epoch(j *job) (*proof.Proof, error) {
	if j.Used == "" {
		return nil, fault.New(fault.BadRequest, "used: no file named")
	}
	leaves, d, u, challenge, err := s.chunk(j)
	if err != nil {
		return nil, err
	}
	used, inverse, err := s.order(j, leaves)
	if err != nil {
		return nil, err
	}
	slots := s.key.Shape.Slots
	return epoch.Prove(s.key, &epoch.Witness{
		Data:         statement.Window(leaves, j.Chunk, slots),
		Used:         statement.Window(used, j.Chunk, slots),
		Positions:    statement.Positions(inverse, j.Chunk, slots),
		DataBlinding: d, UsedBlinding: u,
		Start:     uint64(j.Chunk * slots),
		Challenge: challenge,
	})
}

// order reads the leaves in fed order and the order itself, and holds them against each other.
func (s *session) order(j *job, leaves []fr.Element) (used []fr.Element, inverse []uint64, err error) {
	if used, err = s.elements("used", j.Used, j.Count); err != nil {
		return nil, nil, err
	}
	name := [3]string{j.Leaves, j.Used, j.Order}
	if s.checked[name] && len(s.inverses[j.Order]) == j.Count {
		return used, s.inverses[j.Order], nil
	}
	a, inverse, err := readOrder(j.Order, j.Count)
	if err != nil {
		return nil, nil, err
	}
	for h := range used {
		if !used[h].Equal(&leaves[a[h]]) {
			return nil, nil, fault.Differs(fault.Mismatch, "leaf fed at a position", "leaf order[position]", h).
				WithHint("the used file must hold the leaves in the order of the epoch; such an epoch cannot be proved")
		}
	}
	s.inverses[j.Order], s.checked[name] = inverse, true
	return used, inverse, nil
}

func (s *session) link(j *job) (*proof.Proof, error) {
	if j.Used != "" || j.Order != "" {
		return nil, fault.New(fault.BadRequest, "a link takes no used file and no order")
	}
	leaves, d, _, challenge, err := s.chunk(j)
	if err != nil {
		return nil, err
	}
	return epoch.Prove(s.key, epoch.Link(leaves, j.Chunk, s.key.Shape.Slots, d, challenge))
}

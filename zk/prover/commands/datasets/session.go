// SPDX-License-Identifier: Apache-2.0

package datasets

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/commands/request"
	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove/dataset"
	"provenance/zkprover/prove/epoch"
	"provenance/zkprover/server"
	"provenance/zkprover/statement"
	"provenance/zkprover/tree"
)

// ProveTree proves chunks of a dataset's tree.
func ProveTree(call *server.Call, text []byte) (any, error) {
	return proveAll(call, text, kinds.Tree, (*session).tree)
}

// ProveEpoch proves chunks of an epoch.
func ProveEpoch(call *server.Call, text []byte) (any, error) {
	return proveAll(call, text, kinds.Epoch, (*session).epoch)
}

// ProveLink proves chunks of a link: that D of an epoch key commits to the dataset's leaves.
func ProveLink(call *server.Call, text []byte) (any, error) {
	return proveAll(call, text, kinds.Epoch, (*session).link)
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
	return &session{
		key: key, lists: map[string][]fr.Element{}, inverses: map[string][]uint64{},
		checked: map[[3]string]bool{},
	}
}

// elements reads a file of count elements, once: later calls return the same elements.
func (s *session) elements(what, path string, count int) ([]fr.Element, error) {
	if known, ok := s.lists[path]; ok && len(known) == count {
		return known, nil
	}
	read, err := request.Elements(what, path, count)
	if err == nil {
		s.lists[path] = read
	}
	return read, err
}

func (s *session) tree(j *job) (prover, error) {
	challenge, err := request.Challenge(j.Gamma, j.Delta)
	if err != nil {
		return nil, err
	}
	built, err := s.leafTree(j)
	if err != nil {
		return nil, err
	}
	return func() (*proof.Proof, error) {
		return dataset.Tree(s.key, built, j.K, challenge)
	}, nil
}

// leafTree is the tree over the job's file of leaves.
func (s *session) leafTree(j *job) (*tree.Tree, error) {
	return s.grow(j, j.Leaves, func() ([]fr.Element, error) {
		return s.elements("leaves", j.Leaves, j.Count)
	})
}

// grow builds the tree over the leaves that read returns, once for each name: later calls return
// the same tree.
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
		return nil, fault.New(fault.BadRequest,
			"jobs name one file of leaves with different counts or depths")
	}
	return s.built, nil
}

// chunk is what epoch and link jobs share: the leaves, the challenge and the blindings of the
// chunk.
type chunk struct {
	number    int
	leaves    []fr.Element
	challenge statement.Challenge
	d, u      fr.Element // u of epochs only
}

// chunk checks the chunk's number and reads its inputs.
func (s *session) chunk(j *job) (*chunk, error) {
	chunks := statement.Chunks(j.Count, s.key.Shape.Slots)
	if j.Count < 1 || j.Chunk < 0 || j.Chunk >= chunks {
		return nil, fault.Differs(fault.BadRequest, "chunk", "a chunk that holds a record", j.Chunk)
	}
	c := &chunk{number: j.Chunk}
	var err error
	if c.challenge, err = request.Challenge(j.Gamma, j.Delta); err != nil {
		return nil, err
	}
	if c.leaves, err = s.elements("leaves", j.Leaves, j.Count); err != nil {
		return nil, err
	}
	secrets, err := request.ReadBlindings(j.Blindings)
	if err != nil {
		return nil, err
	}
	if c.d, err = request.Blinding("d", secrets.D, j.Chunk, chunks); err != nil {
		return nil, err
	}
	if j.Used != "" {
		c.u, err = request.Blinding("u", secrets.U, j.Chunk, chunks)
	}
	return c, err
}

func (s *session) epoch(j *job) (prover, error) {
	if j.Used == "" {
		return nil, fault.New(fault.BadRequest, "used: no file named")
	}
	c, err := s.chunk(j)
	if err != nil {
		return nil, err
	}
	used, inverse, err := s.order(j, c.leaves)
	if err != nil {
		return nil, err
	}
	d, err := j.Registered.read()
	if err != nil {
		return nil, err
	}
	slots := s.key.Shape.Slots
	witness := &epoch.Witness{
		Data:         statement.Window(c.leaves, c.number, slots),
		Used:         statement.Window(used, c.number, slots),
		Positions:    statement.Positions(inverse, c.number, slots),
		DataBlinding: c.d, UsedBlinding: c.u,
		Start:     uint64(c.number * slots),
		Challenge: c.challenge, Registered: d,
	}
	return func() (*proof.Proof, error) { return epoch.Prove(s.key, witness) }, nil
}

// read is the commitment of a job; nil if the job names none.
func (r *registered) read() (c *epoch.Commitment, err error) {
	if r == nil {
		return nil, nil
	}
	c = &epoch.Commitment{}
	if c.Point, err = proof.ParsePoint(r.Point); err == nil {
		c.Knowledge, err = proof.ParsePoint(r.Knowledge)
	}
	if err != nil {
		return nil, fault.New(fault.BadRequest, "registered: %v", err)
	}
	return c, nil
}

// order reads the leaves in the order they were fed and the order itself, and requires that they
// agree.
func (s *session) order(
	j *job, leaves []fr.Element,
) (used []fr.Element, inverse []uint64, err error) {
	if used, err = s.elements("used", j.Used, j.Count); err != nil {
		return nil, nil, err
	}
	name := [3]string{j.Leaves, j.Used, j.Order}
	if s.checked[name] && len(s.inverses[j.Order]) == j.Count {
		return used, s.inverses[j.Order], nil
	}
	a, inverse, err := request.Order(j.Order, j.Count)
	if err != nil {
		return nil, nil, err
	}
	for h := range used {
		if !used[h].Equal(&leaves[a[h]]) {
			return nil, nil, fault.Differs(fault.Mismatch, "leaf fed at a position",
				"leaf order[position]", h).
				WithHint("the used file must hold the leaves in the order of the epoch; " +
					"such an epoch cannot be proved")
		}
	}
	s.inverses[j.Order], s.checked[name] = inverse, true
	return used, inverse, nil
}

func (s *session) link(j *job) (prover, error) {
	if j.Used != "" || j.Order != "" || j.Registered != nil {
		return nil, fault.New(fault.BadRequest, "a link takes no used file, order or commitment")
	}
	c, err := s.chunk(j)
	if err != nil {
		return nil, err
	}
	witness := epoch.Link(c.leaves, c.number, s.key.Shape.Slots, c.d, c.challenge)
	return func() (*proof.Proof, error) { return epoch.Prove(s.key, witness) }, nil
}

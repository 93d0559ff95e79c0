// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/gadgets/integer"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove"
	"provenance/zkprover/statement"
	"provenance/zkprover/tree"
)

// Sorted proves that the leaves of chunk k open to increasing digests. digests and salts are those
// of all records of the tree, 32 and 31 bytes each, in the order of the leaves. k must be a
// non-empty chunk; the tree's depth must be the key's.
func Sorted(key *keys.Key, t *tree.Tree, digests, salts []byte, k int) (*proof.Proof, error) {
	if err := requireKey(key, kinds.Sorted, t); err != nil {
		return nil, err
	}
	slots := key.Shape.Slots
	if k < 0 || k >= statement.Chunks(t.Count(), slots) {
		return nil, fault.Differs(fault.BadRequest, "chunk k", "a non-empty chunk", k)
	}
	if len(digests) != t.Count()*tree.DigestBytes || len(salts) != t.Count()*tree.SaltBytes {
		return nil, fault.New(fault.BadRequest,
			"%d bytes of digests and %d of salts are not those of %d records",
			len(digests), len(salts), t.Count())
	}
	records, err := chunkRecords(t, digests, salts, k, slots)
	if err != nil {
		return nil, err
	}
	public := sortedPublic(t, k, slots)
	return prove.Statement(key, sortedAssignment(t, records, k, slots, public), public)
}

// chunkRecords returns the preimages of the chunk's leaves, and of the first leaf of the following
// chunk if there is one.
func chunkRecords(t *tree.Tree, digests, salts []byte, k, slots int) ([]tree.LeafPreimage, error) {
	from, to := k*slots, min(t.Count(), (k+1)*slots+1)
	records := make([]tree.LeafPreimage, to-from)
	for i := range records {
		at := from + i
		opened, err := tree.Open(digests[at*tree.DigestBytes:][:tree.DigestBytes],
			salts[at*tree.SaltBytes:][:tree.SaltBytes])
		if err != nil {
			return nil, fault.New(fault.BadRequest, "%v", err)
		}
		if leaf := t.Node(0, at); leaf != opened.Leaf() {
			return nil, fault.New(fault.Mismatch, "a record of chunk %d does not open its leaf", k).
				WithHint("digests and salts must be those of the leaves, in their order")
		}
		if i > 0 && records[i-1].High.Cmp(&opened.High) >= 0 {
			return nil, fault.New(fault.Unproven,
				"the first halves of the digests do not increase in or behind chunk %d", k)
		}
		records[i] = opened
	}
	return records, nil
}

// sortedPublic is R, k, used, more, first, next.
func sortedPublic(t *tree.Tree, k, slots int) []fr.Element {
	public := make([]fr.Element, 0, circuits.SortedPublic)
	public = append(public, t.Root(), number(k), number(statement.Used(t.Count(), k, slots)),
		number(0), t.Node(0, k*slots))
	if behind := (k + 1) * slots; behind < t.Count() {
		public[3].SetOne()
		return append(public, t.Node(0, behind))
	}
	return append(public, fr.Element{})
}

func sortedAssignment(
	t *tree.Tree, records []tree.LeafPreimage, k, slots int, public []fr.Element,
) *circuits.Sorted {
	c := circuits.NewSorted(slots, t.Depth())
	for i, to := range []*frontend.Variable{&c.Root, &c.Chunk, &c.Used, &c.More,
		&c.First, &c.Next} {
		*to = public[i]
	}
	opened := make([]tree.LeafPreimage, slots+1) // zeros where there is no record
	copy(opened, records)
	used := int(public[2].Uint64())
	for i := range c.Records {
		c.Records[i] = record(&opened[i])
		c.Selectors[i] = integer.OneIf(i < used)
	}
	c.Follower = record(&opened[slots])
	openPath(c.Path, t, circuits.Levels(slots), k)
	return c
}

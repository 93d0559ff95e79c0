// SPDX-License-Identifier: Apache-2.0

package datasets

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/commands/request"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove/dataset"
	"provenance/zkprover/server"
	"provenance/zkprover/tree"
)

// audit holds the fields of a job that opens records of a dataset. All but digest and position name
// files.
type audit struct {
	Digests    string `json:"digests"`
	Salts      string `json:"salts"`
	Digest     string `json:"digest"`
	Salt       string `json:"salt"`
	Position   *int   `json:"position"`
	Neighbours string `json:"neighbours"`
}

// ProveSorted proves chunks of a sorted dataset.
func ProveSorted(call *server.Call, text []byte) (any, error) {
	return proveAll(call, text, kinds.Sorted, (*session).sorted)
}

// ProveMember proves that a record is in a dataset.
func ProveMember(call *server.Call, text []byte) (any, error) {
	return proveAll(call, text, kinds.Member, (*session).member)
}

// ProveAbsent proves that a digest is not in a sorted dataset.
func ProveAbsent(call *server.Call, text []byte) (any, error) {
	return proveAll(call, text, kinds.Absent, (*session).absent)
}

// sorted builds the tree from the records themselves, so every leaf has its record.
func (s *session) sorted(j *job) (prover, error) {
	if s.digests == nil || s.records != [2]string{j.Digests, j.Salts} {
		digests, salts, err := readRecords(j.Digests, j.Salts)
		if err != nil {
			return nil, err
		}
		s.digests, s.salts, s.records, s.built = digests, salts, [2]string{j.Digests, j.Salts}, nil
	}
	built, err := s.grow(j, j.Digests, func() ([]fr.Element, error) {
		leaves, err := tree.Leaves(s.digests, s.salts)
		if err != nil {
			return nil, fault.New(fault.BadFile, "%v", err)
		}
		return leaves, nil
	})
	if err != nil {
		return nil, err
	}
	digests, salts := s.digests, s.salts
	return func() (*proof.Proof, error) {
		return dataset.Sorted(s.key, built, digests, salts, j.K)
	}, nil
}

func (s *session) member(j *job) (prover, error) {
	built, digest, err := s.asked(j)
	if err != nil {
		return nil, err
	}
	salt, err := request.Exactly("salt", j.Salt, tree.SaltBytes)
	if err != nil {
		return nil, err
	}
	opened, err := tree.Open(digest[:], salt)
	if err != nil {
		return nil, fault.New(fault.BadFile, "%v", err)
	}
	return func() (*proof.Proof, error) {
		return dataset.Member(s.key, built, *j.Position, &opened)
	}, nil
}

func (s *session) absent(j *job) (prover, error) {
	built, digest, err := s.asked(j)
	if err != nil {
		return nil, err
	}
	gap, err := readGap(j, built.Count())
	if err != nil {
		return nil, err
	}
	var high fr.Element
	high.SetBytes(digest[:tree.DigestBytes/2])
	return func() (*proof.Proof, error) { return dataset.Absent(s.key, built, high, gap) }, nil
}

// readGap reads the records beside the job's position among count records. At the start and at the
// end of the dataset there is only one.
func readGap(j *job, count int) (*dataset.Gap, error) {
	gap := &dataset.Gap{Position: *j.Position}
	sides := []**tree.LeafPreimage{&gap.Below, &gap.Above}
	if gap.Position == 0 {
		sides = sides[1:]
	}
	if gap.Position == count {
		sides = sides[:len(sides)-1]
	}
	const recordBytes = tree.DigestBytes + tree.SaltBytes
	data, err := request.Exactly("neighbours", j.Neighbours, len(sides)*recordBytes)
	if err != nil {
		return nil, err
	}
	for i, side := range sides {
		record := data[i*recordBytes : (i+1)*recordBytes]
		opened, err := tree.Open(record[:tree.DigestBytes], record[tree.DigestBytes:])
		if err != nil {
			return nil, fault.New(fault.BadFile, "%v", err)
		}
		*side = &opened
	}
	return gap, nil
}

// asked reads what member and absent jobs share: the tree and the digest. It requires that the job
// gives a position.
func (s *session) asked(j *job) (*tree.Tree, field.Word, error) {
	digest, err := field.ParseWord(j.Digest)
	if err != nil {
		return nil, digest, fault.New(fault.BadRequest, "digest: %v", err)
	}
	if j.Position == nil {
		return nil, digest, fault.New(fault.BadRequest, "position: none given")
	}
	built, err := s.leafTree(j)
	return built, digest, err
}

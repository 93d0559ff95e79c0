// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove/dataset"
	"provenance/zkprover/server"
	"provenance/zkprover/tree"
)

// audit holds the fields of a job that opens records of a dataset: files, but for the digest asked about and the position.
type audit struct {
	Digests    string `json:"digests"`
	Salts      string `json:"salts"`
	Digest     string `json:"digest"`
	Salt       string `json:"salt"`
	Position   *int   `json:"position"`
	Neighbours string `json:"neighbours"`
}

func proveSorted(call *server.Call, request []byte) (any, error) {
	return proveAll(call, request, circuits.KindSorted, (*session).sorted)
}
func proveMember(call *server.Call, request []byte) (any, error) {
	return proveAll(call, request, circuits.KindMember, (*session).member)
}
func proveAbsent(call *server.Call, request []byte) (any, error) {
	return proveAll(call, request, circuits.KindAbsent, (*session).absent)
}

// sorted makes the tree of the records themselves, so no leaf can be without its record.
func (s *session) sorted(j *job) (*proof.Proof, error) {
	if s.digests == nil || s.records != [2]string{j.Digests, j.Salts} {
		digests, err := readFile("digests", j.Digests, maxFileBytes)
		if err != nil {
			return nil, err
		}
		salts, err := readFile("salts", j.Salts, maxFileBytes)
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
	return dataset.Sorted(s.key, built, s.digests, s.salts, j.K)
}

func (s *session) member(j *job) (*proof.Proof, error) {
	built, digest, err := s.asked(j)
	if err != nil {
		return nil, err
	}
	salt, err := readRecords("salt", j.Salt, tree.SaltBytes)
	if err != nil {
		return nil, err
	}
	opened, err := tree.Open(digest[:], salt)
	if err != nil {
		return nil, fault.New(fault.BadFile, "%v", err)
	}
	return dataset.Member(s.key, built, *j.Position, &opened)
}

func (s *session) absent(j *job) (*proof.Proof, error) {
	built, digest, err := s.asked(j)
	if err != nil {
		return nil, err
	}
	gap := dataset.Gap{Position: *j.Position}
	sides := []**tree.Opening{&gap.Below, &gap.Above}
	if gap.Position == 0 {
		sides = sides[1:]
	}
	if gap.Position == built.Count() {
		sides = sides[:len(sides)-1]
	}
	const recordBytes = tree.DigestBytes + tree.SaltBytes
	data, err := readRecords("neighbours", j.Neighbours, len(sides)*recordBytes)
	if err != nil {
		return nil, err
	}
	for i, side := range sides {
		one := data[i*recordBytes : (i+1)*recordBytes]
		opened, err := tree.Open(one[:tree.DigestBytes], one[tree.DigestBytes:])
		if err != nil {
			return nil, fault.New(fault.BadFile, "%v", err)
		}
		*side = &opened
	}
	var high fr.Element
	high.SetBytes(digest[:tree.DigestBytes/2])
	return dataset.Absent(s.key, built, high, &gap)
}

// asked reads what member and absent jobs share: the tree, the digest asked about and that a position is given.
func (s *session) asked(j *job) (*tree.Tree, field.Word, error) {
	digest, err := field.ParseWord(j.Digest)
	if err != nil {
		return nil, digest, fault.New(fault.BadRequest, "digest: %v", err)
	}
	if j.Position == nil {
		return nil, digest, fault.New(fault.BadRequest, "position: none given")
	}
	built, err := s.grow(j, j.Leaves, func() ([]fr.Element, error) { return s.elements("leaves", j.Leaves, j.Count) })
	return built, digest, err
}

// readRecords reads a file of exactly n bytes.
func readRecords(what, path string, n int) ([]byte, error) {
	data, err := readFile(what, path, int64(n))
	if err != nil {
		return nil, err
	}
	if len(data) != n {
		return nil, fault.Differs(fault.BadFile, what+": bytes", n, len(data))
	}
	return data, nil
}

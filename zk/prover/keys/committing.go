// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/pedersen"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"provenance/zkprover/fault"
	"provenance/zkprover/field"
)

// Part says how much of a key folder is loaded.
type Part string

// With PartBases alone a key can commit, but cannot prove.
const (
	PartBases Part = "bases"
	PartWhole Part = "whole"
)

// LoadPart is [Load] or [LoadBases].
func LoadPart(dir string, part Part) (*Key, error) {
	if part == PartBases {
		return LoadBases(dir)
	}
	return Load(dir)
}

// LoadBases reads only the commitment keys, which are the last bytes of pk.bin. It does not check
// the digest of that file, since it covers much more than these bytes. Instead, the bases must be
// those that vk.words names. The other points are not checked: whoever commits must check the proof
// of knowledge made with them (verify.Knowledge), which fails if one of them is wrong.
//
// Layout of the end of pk.bin (gnark's raw encoding, numbers big-endian): count u32; per commitment
// key n u32, n points of 64 bytes (the bases), n u32, n points (the bases times sigma).
func LoadBases(dir string) (*Key, error) {
	key, err := loadFacts(dir)
	if err != nil {
		return nil, err
	}
	data, err := key.readEnd(dir)
	if err != nil {
		return nil, err
	}
	counts := key.Shape.Bases()
	if got := binary.BigEndian.Uint32(data); int(got) != len(counts) {
		return nil, fault.Differs(fault.BadKey, "commitment keys at the end of "+FileProver,
			len(counts), got)
	}
	data = data[4:]
	key.Proving = &groth16.ProvingKey{CommitmentKeys: make([]pedersen.ProvingKey, len(counts))}
	for i, n := range counts {
		to := &key.Proving.CommitmentKeys[i]
		for _, points := range []*[]bn254.G1Affine{&to.Basis, &to.BasisExpSigma} {
			if *points, data, err = parsePoints(data, n); err != nil {
				return nil, err
			}
		}
	}
	return key, key.checkBases()
}

// readEnd reads the end of pk.bin: the count of commitment keys, and all of them.
func (k *Key) readEnd(dir string) ([]byte, error) {
	size := int64(4)
	for _, n := range k.Shape.Bases() {
		size += 2 * (4 + int64(n)*field.G1Bytes)
	}
	file, err := os.Open(filepath.Join(dir, FileProver))
	if err != nil {
		return nil, fault.New(fault.BadFile, "%v", err)
	}
	defer file.Close()
	if _, err := file.Seek(-size, io.SeekEnd); err != nil {
		return nil, fault.New(fault.BadKey, "%s is shorter than its commitment keys: %v",
			FileProver, err)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, fault.New(fault.BadFile, "%s: %v", FileProver, err)
	}
	return data, nil
}

// parsePoints reads the number n, which must be as given, and n points, which must be on the curve.
// It returns the points and the bytes behind them.
func parsePoints(data []byte, n int) ([]bn254.G1Affine, []byte, error) {
	if got := binary.BigEndian.Uint32(data); int(got) != n {
		return nil, nil, fault.Differs(fault.BadKey, "points of a commitment key", n, got)
	}
	data = data[4:]
	points := make([]bn254.G1Affine, n)
	each := (n + runtime.NumCPU() - 1) / runtime.NumCPU()
	failures := make([]error, runtime.NumCPU())
	var wait sync.WaitGroup
	for worker := range failures {
		wait.Go(func() {
			for i := worker * each; i < min(n, (worker+1)*each); i++ {
				var err error
				points[i], err = field.ParseG1(data[i*field.G1Bytes:][:field.G1Bytes])
				if err != nil {
					failures[worker] = fault.New(fault.BadKey,
						"point %d of a commitment key: %v", i, err)
					return
				}
			}
		})
	}
	wait.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, nil, err
		}
	}
	return points, data[n*field.G1Bytes:], nil
}

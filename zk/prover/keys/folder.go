// SPDX-License-Identifier: Apache-2.0

// Package keys makes, stores, loads and refuses keys.
//
// A key is a folder named by the digest of its circuit, or of the transcript of its ceremony:
//
//	key.json   facts about the key and the SHA-256 of every other file
//	r1cs.bin   the constraint system; its SHA-256 is circuitDigest
//	pk.bin     gnark's proving key
//	vk.gnark   gnark's verifying key, for differential tests
//	vk.words   the key data contract's content (docs/formats/proofs.md); its keccak-256 is vkId
//	bases.bin  the bases of the commitment keys D, U, P, 64 bytes each (kind epoch)
//
// A folder appears by one rename after all its files are on disk. So there are no half-written
// keys, only leftovers named .making-*, which nothing reads.
package keys

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	groth16 "github.com/consensys/gnark/backend/groth16/bn254"
	"github.com/consensys/gnark/constraint"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/constraint/solver"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/files"
	"provenance/zkprover/kinds"
)

// The files of a key folder.
const (
	FileInfo   = "key.json"
	FileSystem = "r1cs.bin"
	FileProver = "pk.bin"
	FileGnark  = "vk.gnark"
	FileWords  = "vk.words"
	FileBases  = "bases.bin"

	format       = "provenance-key/1"
	gnarkVersion = "v0.16.0"
	digestPrefix = "sha256:"

	maxInfoBytes = 1 << 16
	maxKeyBytes  = 4 << 30 // the largest key has 1,032,198 constraints and some 0.5 GB
)

// Info is the content of key.json.
type Info struct {
	Format        string            `json:"format"`
	Kind          kinds.Kind        `json:"kind"`
	Slots         int               `json:"slots"`
	Depth         int               `json:"depth"`
	CircuitDigest string            `json:"circuitDigest"`
	VKID          string            `json:"vkId"`
	Class         string            `json:"class"`
	Constraints   int               `json:"constraints"`
	Gnark         string            `json:"gnark"`
	Files         map[string]string `json:"files"` // name to SHA-256 in hexadecimal
	Transcript    string            `json:"transcript,omitempty"`
	Beacon        *Beacon           `json:"beacon,omitempty"`
}

// Key is a loaded key folder.
type Key struct {
	Info      Info
	Shape     circuits.Shape
	Verifying *Verifying
	System    *cs.R1CS
	Proving   *groth16.ProvingKey
	Mask      solver.HintID // hint that draws commitment masks; of kind epoch only

	solving sync.Mutex
}

// Alone waits until no other goroutine solves with the key. The caller must call done to let the
// next one begin. gnark keeps the state of lookup tables in the constraint system itself, so two
// proofs of such a circuit must not be made at the same time. For other circuits it does not wait.
func (k *Key) Alone() (done func()) {
	for _, blueprint := range k.System.Blueprints {
		if _, ok := blueprint.(constraint.BlueprintStateful[constraint.U64]); ok {
			k.solving.Lock()
			return k.solving.Unlock
		}
	}
	return func() {}
}

// LoadInfo reads key.json and checks its form.
func LoadInfo(dir string) (*Info, error) {
	data, err := files.Read(FileInfo, filepath.Join(dir, FileInfo), maxInfoBytes)
	if err != nil {
		return nil, err
	}
	var info Info
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&info); err != nil {
		return nil, fault.New(fault.BadKey, "key.json: %v", err)
	}
	if info.Format != format {
		return nil, fault.Differs(fault.BadKey, "format of key.json", format, info.Format)
	}
	return &info, info.checkClass()
}

// Load reads a whole key folder. It checks the digest of every file before it parses the file. The
// constraint system must have the commitments of its shape, and the proving key's bases must be
// those named in vk.words.
func Load(dir string) (*Key, error) {
	key, err := loadFacts(dir)
	if err != nil {
		return nil, err
	}
	// Hashing the proving key takes as long as parsing the constraint system, so both run at the
	// same time.
	hashed := make(chan error, 1)
	go func() { hashed <- key.checkDigest(dir, FileProver) }()
	if err := errors.Join(key.loadSystem(dir), <-hashed); err != nil {
		return nil, err
	}
	return key, key.loadProving(dir)
}

// loadFacts reads key.json and vk.words, and requires that they agree.
func loadFacts(dir string) (*Key, error) {
	info, err := LoadInfo(dir)
	if err != nil {
		return nil, err
	}
	key := &Key{Info: *info, Shape: circuits.Shape{Kind: info.Kind, Slots: info.Slots,
		Depth: info.Depth}}
	if key.Verifying, err = LoadWords(filepath.Join(dir, FileWords)); err != nil {
		return nil, err
	}
	if id := key.Verifying.ID().Hex(); id != info.VKID {
		return nil, fault.Differs(fault.BadKey, "vkId", info.VKID, id)
	}
	if key.Verifying.Shape != key.Shape {
		return nil, fault.Differs(fault.BadKey, "shape of vk.words", key.Shape, key.Verifying.Shape)
	}
	if want := digestPrefix + info.Files[FileSystem]; want != info.CircuitDigest {
		return nil, fault.Differs(fault.BadKey, "digest of "+FileSystem, info.CircuitDigest, want)
	}
	return key, nil
}

// LoadWords reads vk.words.
func LoadWords(path string) (*Verifying, error) {
	data, err := files.Read(FileWords, path, MaxWordsBytes)
	if err != nil {
		return nil, err
	}
	return Parse(data)
}

func (k *Key) loadSystem(dir string) error {
	k.System = new(cs.R1CS)
	if err := k.checkCircuit(); err != nil {
		return err
	}
	if err := k.checkDigest(dir, FileSystem); err != nil {
		return err
	}
	if err := k.parseFile(dir, FileSystem, k.System.ReadFrom); err != nil {
		return err
	}
	constraints, public := k.System.GetNbConstraints(), k.System.GetNbPublicVariables()-1
	if constraints != k.Info.Constraints || public != k.Shape.Public() {
		return fault.Differs(fault.BadKey, "constraints and public inputs of "+FileSystem,
			fmt.Sprintf("%d and %d, as key.json states", k.Info.Constraints, k.Shape.Public()),
			fmt.Sprintf("%d and %d", constraints, public))
	}
	if err := circuits.CheckCommitments(k.System, k.Shape); err != nil {
		return fault.New(fault.BadKey, "%v", err)
	}
	if k.Shape.Kind != kinds.Epoch {
		return nil
	}
	var err error
	if k.Mask, err = circuits.MaskHint(k.System); err != nil {
		return fault.New(fault.BadKey, "%v", err)
	}
	return nil
}

// checkCircuit refuses keys of an earlier release's circuit, of kinds that have another one now: no
// witness of today satisfies it. The circuits of these kinds compile in less than a second.
func (k *Key) checkCircuit() error {
	if k.Shape.Check() != nil || !k.Shape.Renewed() {
		return nil // a shape that no circuit has is refused elsewhere
	}
	circuit, err := Compile(k.Shape)
	if err != nil {
		return err
	}
	if want := digestPrefix + circuit.Name(); k.Info.CircuitDigest != want {
		what := fmt.Sprintf("the key is of an older circuit of %s: digest", k.Shape.Kind)
		return fault.Differs(fault.BadKey, what, want, k.Info.CircuitDigest).
			WithHint("run setup, or a ceremony, for a key of today's circuit; " +
				"what this key proved still verifies")
	}
	return nil
}

func (k *Key) loadProving(dir string) error {
	k.Proving = new(groth16.ProvingKey)
	if err := k.parseFile(dir, FileProver, k.Proving.UnsafeReadFrom); err != nil {
		return err
	}
	return k.checkBases()
}

// checkBases requires that the bases of the commitment keys have the digests in vk.words.
func (k *Key) checkBases() error {
	if len(k.Proving.CommitmentKeys) != k.Shape.Commitments() {
		return fault.Differs(fault.BadKey, "commitment keys", k.Shape.Commitments(),
			len(k.Proving.CommitmentKeys))
	}
	for i, digest := range k.Verifying.BasesDigests {
		if got := field.Keccak(encodeBases(k.Proving.CommitmentKeys[i].Basis)); got != digest {
			return fault.Differs(fault.BadKey, "digest of the bases of a commitment",
				digest.Hex(), got.Hex())
		}
	}
	return nil
}

// fileDigest is the SHA-256 of a file of a key folder, in hexadecimal.
func fileDigest(dir, name string) (string, error) {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return "", fault.New(fault.BadFile, "%v", err)
	}
	defer file.Close()
	hash := sha256.New()
	if n, err := io.Copy(hash, io.LimitReader(file, maxKeyBytes)); err != nil || n == maxKeyBytes {
		return "", fault.New(fault.BadFile, "%s: %d bytes read, %v", name, n, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// checkDigest requires that a file has the SHA-256 that key.json states.
func (k *Key) checkDigest(dir, name string) error {
	got, err := fileDigest(dir, name)
	if err != nil {
		return err
	}
	if got != k.Info.Files[name] {
		return fault.Differs(fault.BadKey, "SHA-256 of "+name, k.Info.Files[name], got).
			WithHint("remove the key folder and run setup again")
	}
	return nil
}

// parseFile parses a file that passed checkDigest.
func (k *Key) parseFile(dir, name string, parse func(io.Reader) (int64, error)) error {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return fault.New(fault.BadFile, "%v", err)
	}
	defer file.Close()
	if _, err := parse(bufio.NewReaderSize(file, 1<<20)); err != nil {
		return fault.New(fault.BadKey, "%s: %v", name, err)
	}
	return nil
}

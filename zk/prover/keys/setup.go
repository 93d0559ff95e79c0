// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"
	cs "github.com/consensys/gnark/constraint/bn254"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
)

// Setup finds the key of a shape in the cache folder, or makes one. It returns the key's folder and whether it was there
// already. Processes that ask for the same key wait for each other.
//
// The setup is for development: the secrets it draws are only forgotten, not shown to be.
func Setup(shape circuits.Shape, cache string) (dir string, reused bool, err error) {
	system, err := circuits.Compile(shape)
	if err != nil {
		return "", false, fault.New(fault.BadRequest, "%v", err)
	}
	var serialized bytes.Buffer
	if _, err := system.WriteTo(&serialized); err != nil {
		return "", false, fault.New(fault.Internal, "%v", err)
	}
	digest := sha256.Sum256(serialized.Bytes())
	name := hex.EncodeToString(digest[:])
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", false, fault.New(fault.BadFile, "%v", err)
	}
	unlock, err := lock(filepath.Join(cache, "."+name+".lock"))
	if err != nil {
		return "", false, fault.New(fault.BadFile, "%v", err)
	}
	defer unlock()
	dir = filepath.Join(cache, name)
	if _, err := os.Stat(filepath.Join(dir, FileInfo)); err == nil {
		return dir, true, nil
	}
	info := Info{Format: format, Kind: shape.Kind, Slots: shape.Slots, Depth: shape.Depth, CircuitDigest: digestPrefix + name,
		Class: "dev", Constraints: system.GetNbConstraints(), Gnark: gnarkVersion, Files: map[string]string{}}
	return dir, false, makeFolder(dir, system, serialized.Bytes(), shape, info)
}

// makeFolder runs the setup and writes the folder beside its final place.
func makeFolder(dir string, system *cs.R1CS, serialized []byte, shape circuits.Shape, info Info) error {
	pk, vk, bases, err := generate(system)
	if err != nil {
		return err
	}
	verifying, err := FromGnark(vk, shape, bases)
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), ".making-")
	if err != nil {
		return fault.New(fault.BadFile, "%v", err)
	}
	defer os.RemoveAll(temporary) // after the rename there is nothing left to remove
	f := &folder{dir: temporary, digests: info.Files}
	f.write(FileSystem, writeBytes(serialized))
	f.write(FileProver, pk.WriteRawTo)
	f.write(FileGnark, vk.WriteRawTo)
	f.write(FileWords, writeBytes(verifying.Bytes()))
	f.writeBases(bases)
	info.VKID = verifying.ID().Hex()
	f.writeInfo(info)
	if f.err != nil {
		return fault.New(fault.BadFile, "%v", f.err)
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return fault.New(fault.BadFile, "%v", err)
	}
	// The key exists from this rename on; everything in it has been synced.
	if err := os.Rename(temporary, dir); err != nil {
		return fault.New(fault.BadFile, "%v", err).WithHint("an incomplete folder of that name may be in the way")
	}
	return syncFolder(filepath.Dir(dir))
}

func generate(system *cs.R1CS) (*groth16.ProvingKey, *groth16.VerifyingKey, [][]bn254.G1Affine, error) {
	pk, vk := new(groth16.ProvingKey), new(groth16.VerifyingKey)
	if err := groth16.Setup(system, pk, vk); err != nil {
		return nil, nil, nil, fault.New(fault.Internal, "setup: %v", err)
	}
	var bases [][]bn254.G1Affine
	for i := range pk.CommitmentKeys {
		bases = append(bases, pk.CommitmentKeys[i].Basis)
	}
	return pk, vk, bases, nil
}

// folder writes files, records their digests and keeps the first error.
type folder struct {
	dir     string
	digests map[string]string
	err     error
}

func (f *folder) write(name string, content func(io.Writer) (int64, error)) {
	if f.err != nil {
		return
	}
	file, err := os.OpenFile(filepath.Join(f.dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		f.err = err
		return
	}
	defer file.Close()
	hash := sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(file, hash), 1<<20)
	if _, f.err = content(buffered); f.err != nil {
		return
	}
	if f.err = buffered.Flush(); f.err != nil {
		return
	}
	if f.err = file.Sync(); f.err == nil && name != FileInfo {
		f.digests[name] = hex.EncodeToString(hash.Sum(nil))
	}
}

func (f *folder) writeBases(bases [][]bn254.G1Affine) {
	if len(bases) == 0 {
		return
	}
	var all []byte
	for _, b := range bases {
		all = append(all, encodeBases(b)...)
	}
	f.write(FileBases, writeBytes(all))
}

// writeInfo comes last: it holds the digests of the other files.
func (f *folder) writeInfo(info Info) {
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil && f.err == nil {
		f.err = err
	}
	f.write(FileInfo, writeBytes(append(text, '\n')))
}

func writeBytes(data []byte) func(io.Writer) (int64, error) {
	return func(w io.Writer) (int64, error) {
		n, err := w.Write(data)
		return int64(n), err
	}
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fault.New(fault.BadFile, "%v", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fault.New(fault.BadFile, "%v", err)
	}
	return nil
}

// lock waits for the exclusive lock on a file, which the system releases if the process dies.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/files"
)

// Setup finds the key of a shape in the cache folder, or makes one. It returns the key's folder and
// whether it was there already. Processes that ask for the same key wait for each other.
//
// The setup is for development: it forgets the secrets that it draws, but nobody can check that.
func Setup(shape circuits.Shape, cache string) (dir string, reused bool, err error) {
	circuit, err := Compile(shape)
	if err != nil {
		return "", false, err
	}
	return circuit.store(cache, circuit.Name(), Info{Class: ClassDevelopment},
		func() (*Material, error) {
			pk, vk := new(groth16.ProvingKey), new(groth16.VerifyingKey)
			if err := groth16.Setup(circuit.System, pk, vk); err != nil {
				return nil, fault.New(fault.Internal, "setup: %v", err)
			}
			return circuit.Material(pk, vk)
		})
}

// store finds the folder of this name in the cache, or writes it from what make returns. origin
// holds the facts of key.json that do not follow from circuit and key.
func (c *Circuit) store(
	cache, name string, origin Info, make func() (*Material, error),
) (dir string, reused bool, err error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", false, fault.New(fault.BadFile, "%v", err)
	}
	unlock, err := files.Lock(filepath.Join(cache, "."+name+".lock"))
	if err != nil {
		return "", false, err
	}
	defer unlock()
	dir = filepath.Join(cache, name)
	if _, err := os.Stat(filepath.Join(dir, FileInfo)); err == nil {
		return dir, true, nil
	}
	material, err := make()
	if err != nil {
		return "", false, err
	}
	return dir, false, material.writeFolder(dir, origin)
}

// writeFolder writes the folder under a temporary name, and renames it when it is complete.
func (m *Material) writeFolder(dir string, origin Info) error {
	temporary, err := os.MkdirTemp(filepath.Dir(dir), files.TemporaryPrefix)
	if err != nil {
		return fault.New(fault.BadFile, "%v", err)
	}
	defer os.RemoveAll(temporary) // after the rename there is nothing left to remove
	f := &folder{dir: temporary, digests: map[string]string{}}
	for _, file := range m.files() {
		f.write(file.name, file.content)
	}
	f.writeInfo(m.info(origin, f.digests))
	if f.err != nil {
		return fault.New(fault.BadFile, "%v", f.err)
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return fault.New(fault.BadFile, "%v", err)
	}
	// The key exists from this rename on; everything in it has been synced.
	if err := os.Rename(temporary, dir); err != nil {
		return fault.New(fault.BadFile, "%v", err).
			WithHint("an incomplete folder of that name may be in the way")
	}
	return files.SyncFolder(filepath.Dir(dir))
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

// writeInfo writes key.json. It must be called last, since key.json holds the other files' digests.
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

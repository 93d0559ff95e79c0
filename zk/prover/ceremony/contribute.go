// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"github.com/consensys/gnark/backend/groth16/bn254/mpcsetup"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/files"
	"provenance/zkprover/keys"
)

// Begin makes a transcript folder with the start of phase 1. The folder must not exist.
func Begin(shape circuits.Shape, dir string) (*Manifest, error) {
	circuit, err := keys.Compile(shape)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fault.New(fault.BadFile, "%v", err)
	}
	start := mpcsetup.NewPhase1(uint64(domain(circuit)))
	if err := writeState(filepath.Join(dir, fileName(phase1, 0)), circuit, header{phase: phase1},
		start); err != nil {
		return nil, err
	}
	m := newManifest(circuit)
	return m, files.Write(filepath.Join(dir, FileManifest), m.encode(), files.Public)
}

func writeState(path string, circuit *keys.Circuit, h header, s state) error {
	h.shape, h.circuit = circuit.Shape, circuit.Digest
	return files.Write(path, append(h.encode(), encode(s)...), files.Public)
}

// Receipt is what a contributor publishes.
type Receipt struct {
	Phase  int    `json:"phase"`
	Index  int    `json:"index"`
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // of the file made
}

// Contribute reads a state file and writes the next one. Its secrets are drawn from the system's
// generator and exist in this process's memory only. The file read is not verified here: if it is
// false, [Accept] refuses the contribution made from it.
func Contribute(in, out, name string) (*Receipt, error) {
	if err := checkText("contributor's name", name, maxNameBytes); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(out); err == nil {
		return nil, fault.New(fault.BadFile, "%s exists already", out)
	}
	circuit, h, err := circuitOf(in)
	if err != nil {
		return nil, err
	}
	last, err := load(in, circuit, header{phase: h.phase, index: h.index})
	if err != nil {
		return nil, err
	}
	if h.index == MaxContributions {
		return nil, fault.New(fault.BadFile, "phase %d has %d contributions, which is the limit",
			h.phase, h.index)
	}
	if err := guarded(func() error { last.state.Contribute(); return nil }); err != nil {
		return nil, err
	}
	next := header{phase: h.phase, index: h.index + 1, name: name}
	if err := writeState(out, circuit, next, last.state); err != nil {
		return nil, err
	}
	made, err := load(out, circuit, header{phase: next.phase, index: next.index})
	if err != nil {
		return nil, err
	}
	return made.receipt(), nil
}

func (l *loaded) receipt() *Receipt {
	return &Receipt{Phase: l.phase, Index: l.index, Name: l.name, SHA256: fmt.Sprintf("%x", l.file)}
}

// circuitOf compiles the circuit that a state file names. Its digest must be the one in the file.
func circuitOf(path string) (*keys.Circuit, *header, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fault.New(fault.BadFile, "%v", err)
	}
	defer file.Close()
	begin := make([]byte, headerBytes+255)
	n, err := file.Read(begin)
	if err != nil {
		return nil, nil, fault.New(fault.BadFile, "%v", err)
	}
	h, err := parseHeader(begin[:n])
	if err != nil {
		return nil, nil, err
	}
	circuit, err := keys.Compile(h.shape)
	if err != nil {
		return nil, nil, fault.New(fault.BadFile, "%v", err)
	}
	if circuit.Digest != h.circuit {
		return nil, nil, fault.Differs(fault.BadFile, "circuit digest", circuit.Name(),
			fmt.Sprintf("%x", h.circuit)).
			WithHint("the file was made by another version of this program")
	}
	return circuit, h, nil
}

// openTranscript locks a transcript folder and loads it. One of its phases must be open.
func openTranscript(dir string) (m *Manifest, circuit *keys.Circuit, unlock func(), err error) {
	unlock, err = files.Lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return nil, nil, nil, err
	}
	m, circuit, err = loadManifest(dir)
	if err == nil && m.open() == 0 {
		err = fault.New(fault.BadRequest, "both phases of this ceremony are closed")
	}
	if err != nil {
		unlock()
		return nil, nil, nil, err
	}
	return m, circuit, unlock, nil
}

// reread reads the file of a verified contribution a second time, to copy it. A file that changed
// meanwhile is an error.
func (l *loaded) reread(path string, expected *layout) ([]byte, error) {
	data, err := files.Read("contribution", path, expected.fileBytes(l.index))
	if err != nil {
		return nil, err
	}
	if sha256.Sum256(data) != l.file {
		return nil, fault.New(fault.BadFile, "%s changed while it was read", path)
	}
	return data, nil
}

// Accept verifies a contribution against the last one of the open phase and takes it into the
// transcript.
func Accept(dir, path string) (*Receipt, error) {
	m, circuit, unlock, err := openTranscript(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	number := m.open()
	p := m.phase(number)
	last, err := load(filepath.Join(dir, fileName(number, len(p.Contributions))), circuit,
		header{phase: number, index: len(p.Contributions)})
	if err != nil {
		return nil, err
	}
	next, err := load(path, circuit, header{phase: number, index: len(p.Contributions) + 1})
	if err != nil {
		return nil, err
	}
	if err := follows(last.state, last.digest, next); err != nil {
		return nil, err
	}
	p.Contributions = append(p.Contributions, Contribution{Name: next.name,
		SHA256: fmt.Sprintf("%x", next.file)})
	if err := m.check(); err != nil {
		return nil, err
	}
	data, err := next.reread(path, layoutOf(circuit, number))
	if err != nil {
		return nil, err
	}
	// The contribution counts from the rename of the manifest on. After a crash before that, its
	// file is not listed, and is written again.
	if err := files.Write(filepath.Join(dir, fileName(number, next.index)), data,
		files.Public); err != nil {
		return nil, err
	}
	return next.receipt(), files.Write(filepath.Join(dir, FileManifest), m.encode(), files.Public)
}

// SPDX-License-Identifier: Apache-2.0

package tensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/files"
	"provenance/zkprover/weights"
)

const (
	stateFormat   = "provenance-weights-state/1"
	maxStateBytes = 1 << 30
)

// stateHead is the first line of a state file. It names the files that the roots below are of.
type stateHead struct {
	Format string      `json:"format"`
	Files  []stateFile `json:"files"`
}

type stateFile struct {
	Name     string `json:"name"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // nanoseconds
	Header   string `json:"header"`   // SHA-256
}

// state is a file of finished tensors, one JSON object a line. Each line is on disk when it was
// added. Without a path, nothing is kept. If a crash cut off the last line, it is dropped. A file
// is refused if this program would not have written it for these files and plans: an empty one, or
// that of another or a changed model.
type state struct {
	file  *os.File
	known map[int]bool
}

// openState opens or begins a state file and fills in the roots that it holds.
func openState(path string, model *weights.Model, plans []plan) (*state, error) {
	s := &state{known: map[int]bool{}}
	if path == "" {
		return s, nil
	}
	head := stateHead{Format: stateFormat}
	for _, f := range model.Files {
		head.Files = append(head.Files, stateFile{filepath.Base(f.Path), f.Size,
			f.Modified, f.Header})
	}
	first, err := json.Marshal(head)
	if err != nil {
		return nil, fault.New(fault.Internal, "%v", err)
	}
	data, err := files.Read("state", path, maxStateBytes)
	if _, absent := os.Lstat(path); errors.Is(absent, fs.ErrNotExist) {
		data, err = append(first, '\n'), files.Write(path, append(first, '\n'), files.Private)
	}
	if err != nil {
		return nil, err
	}
	whole := bytes.LastIndexByte(data, '\n') + 1
	lines := bytes.Split(data[:max(0, whole-1)], []byte{'\n'})
	if !bytes.Equal(lines[0], first) {
		return nil, foreign("its first line is not that of these files")
	}
	for n, line := range lines[1:] {
		if err := s.resume(line, plans); err != nil {
			return nil, foreign(fmt.Sprintf("line %d: %v", n+2, err))
		}
	}
	return s, s.append(path, int64(whole))
}

func foreign(why string) error {
	return fault.Differs(fault.Mismatch, "state file", "one of these files and tensors", why).
		WithHint("delete the state file to begin anew")
}

// append opens the file for writing behind its last whole line.
func (s *state) append(path string, at int64) error {
	var err error
	if s.file, err = os.OpenFile(path, os.O_WRONLY, 0); err == nil {
		err = s.file.Truncate(at)
	}
	if err == nil {
		_, err = s.file.Seek(at, 0)
	}
	if err != nil {
		return fault.New(fault.BadFile, "state: %v", err)
	}
	return nil
}

// resume takes a finished tensor's root from a line that agrees with the tensor's plan in all else.
// Lines of tensors that no plan asks for stay in the file and are not used.
func (s *state) resume(line []byte, plans []plan) error {
	var found tensorResult
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&found); err != nil {
		return err
	}
	if _, err := field.ParseScalar(found.Root); err != nil {
		return fmt.Errorf("root: %w", err)
	}
	for i := range plans {
		want := plans[i].result
		want.Root = found.Root
		if found == want {
			plans[i].result.Root = found.Root
			s.known[i] = true
		}
	}
	return nil
}

func (s *state) has(i int) bool { return s.known[i] }

// add writes a result to the file; it is on disk when the call returns.
func (s *state) add(i int, result *tensorResult) error {
	s.known[i] = true
	if s.file == nil {
		return nil
	}
	line, err := json.Marshal(result)
	if err == nil {
		_, err = s.file.Write(append(line, '\n'))
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return fault.New(fault.BadFile, "state: %v", err)
	}
	return nil
}

func (s *state) close() {
	if s.file != nil {
		s.file.Close() // every line was flushed
	}
}

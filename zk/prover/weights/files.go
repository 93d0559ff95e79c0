// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sort"

	"provenance/zkprover/fault"
)

const (
	maxHeaderBytes = 100_000_000
	maxTensors     = 1 << 20
)

// Entry is a tensor of a file: its type as the file spells it, and the place of its bytes,
// [Start, End).
type Entry struct {
	Name       string
	Type       string
	Shape      []uint64 // row-major
	Start, End int64

	file *File
}

// File is an open file of tensors. Size, time of modification and SHA-256 of the header identify
// its content, so that results about it can be kept.
type File struct {
	Path     string
	Size     int64
	Modified int64 // nanoseconds
	Header   string
	Entries  []Entry

	handle *os.File
}

// Model is the tensors of all shards, by name.
type Model struct {
	Files   []*File
	entries map[string]*Entry
}

// OpenModel opens shards of safetensors, or one GGUF file, and reads their headers. It refuses a
// tensor that is in two files.
func OpenModel(paths []string) (*Model, error) {
	if len(paths) == 0 {
		return nil, fault.New(fault.BadRequest, "files: none named")
	}
	m := &Model{entries: map[string]*Entry{}}
	for _, path := range paths {
		file, err := openFile(path)
		if err != nil {
			m.Close()
			return nil, err
		}
		m.Files = append(m.Files, file)
		for i := range file.Entries {
			e := &file.Entries[i]
			if other, ok := m.entries[e.Name]; ok {
				m.Close()
				return nil, fault.Differs(fault.BadFile, "file of tensor "+clipped(e.Name),
					other.file.Path, path).
					WithHint("a tensor stands in two files; name the shards of one model only")
			}
			m.entries[e.Name] = e
		}
	}
	return m, nil
}

// Close closes the files; trees of their tensors cannot be opened any more.
func (m *Model) Close() {
	for _, file := range m.Files {
		file.handle.Close() // the error does not matter: nothing was written
	}
}

// Names are the tensors in the order of their names' bytes.
func (m *Model) Names() []string {
	names := make([]string, 0, len(m.entries))
	for name := range m.entries {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Entry is the tensor of this name.
func (m *Model) Entry(name string) (*Entry, error) {
	e, ok := m.entries[name]
	if !ok {
		return nil, fault.Differs(fault.BadFile, "tensor", "one of the files'", clipped(name))
	}
	return e, nil
}

// File is the file that holds the tensor.
func (e *Entry) File() *File { return e.file }

// Bytes is the length of the tensor's values.
func (e *Entry) Bytes() int64 { return e.End - e.Start }

// Grid is the tensor's shape in a layout. Rank 0 means the one that follows from the shape. A
// vector has one row.
func (e *Entry) Grid(layout Layout, rank int) (Grid, error) {
	dtype, ok := map[string]DType{"BF16": BF16, "F16": F16, "F32": F32}[e.Type]
	if !ok {
		return Grid{}, fault.Differs(fault.BadFile, "type of tensor "+clipped(e.Name),
			"BF16, F16 or F32", e.Type)
	}
	shape := e.Shape
	if len(shape) == 1 {
		shape = []uint64{1, shape[0]}
	}
	if len(shape) != 2 {
		return Grid{}, fault.Differs(fault.BadFile, "dimensions of tensor "+clipped(e.Name),
			"1 or 2", len(e.Shape))
	}
	// their product is bounded by the file's size
	g, err := NewGrid(dtype, layout, int(shape[0]), int(shape[1]), rank)
	if known, ok := err.(*fault.Error); ok {
		known.What += " of tensor " + clipped(e.Name)
	}
	return g, err
}

// Values reads the tensor's bytes.
func (e *Entry) Values() io.ReaderAt {
	return io.NewSectionReader(e.file.handle, e.Start, e.Bytes())
}

func openFile(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.New(fault.BadFile, "%v", err)
	}
	if !info.Mode().IsRegular() { // reading a pipe could block, and a device has no size
		return nil, fault.Differs(fault.BadFile, path, "a regular file", info.Mode().Type())
	}
	handle, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.BadFile, "%v", err)
	}
	f := &File{Path: path, handle: handle}
	if err := f.readHeader(); err != nil {
		handle.Close()
		return nil, err
	}
	return f, nil
}

func (f *File) readHeader() error {
	info, err := f.handle.Stat()
	if err != nil {
		return fault.New(fault.BadFile, "%v", err)
	}
	f.Size, f.Modified = info.Size(), info.ModTime().UnixNano()
	var magic [4]byte
	if _, err := f.handle.ReadAt(magic[:], 0); err != nil {
		return fault.Differs(fault.BadFile, f.Path, "a safetensors or GGUF file",
			fmt.Sprintf("%d bytes", f.Size))
	}
	digest := sha256.New()
	limit := min(f.Size, maxHeaderBytes)
	header := io.TeeReader(io.NewSectionReader(f.handle, 0, limit), digest)
	if string(magic[:]) == ggufMagic {
		f.Entries, err = readGGUF(header, limit, f.Size)
	} else {
		f.Entries, err = readSafetensors(header, f.Size)
	}
	if err != nil {
		if known, ok := err.(*fault.Error); ok {
			known.What = f.Path + ": " + known.What
		}
		return err
	}
	f.Header = hex.EncodeToString(digest.Sum(nil))
	for i := range f.Entries {
		f.Entries[i].file = f
	}
	return nil
}

// product is the number of values of a shape; false if it is more than limit.
func product(shape []uint64, limit uint64) (uint64, bool) {
	total := uint64(1)
	for _, n := range shape {
		if n == 0 {
			return 0, true
		}
	}
	for _, n := range shape {
		if total > limit/n {
			return 0, false
		}
		total *= n
	}
	return total, total <= limit
}

// clipped quotes at most 80 characters of a name, which may come from a hostile file.
func clipped(name string) string { return fmt.Sprintf("%.80q", name) }

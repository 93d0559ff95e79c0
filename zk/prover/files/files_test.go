// SPDX-License-Identifier: Apache-2.0

package files

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"provenance/zkprover/fault"
)

func TestWritingAndReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, mode := range []os.FileMode{Private, Public} {
		if err := Write(path, []byte("content"), mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != mode {
			t.Errorf("mode %v, want %v; %v", info.Mode(), mode, err)
		}
	}
	if data, err := Read("file", path, 7); err != nil || !bytes.Equal(data, []byte("content")) {
		t.Errorf("%q, %v", data, err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%v beside the file; %v", left, err)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := Write(path, []byte("content"), Private); err != nil {
		t.Fatal(err)
	}
	read := func(path string) error { _, err := Read("what", path, 6); return err }
	for name, c := range map[string]struct {
		err  error
		code fault.Code
	}{
		"no path to read":    {read(""), fault.BadRequest},
		"no such file":       {read(path + "x"), fault.BadFile},
		"a folder":           {read(dir), fault.BadFile},
		"one byte too large": {read(path), fault.BadFile},
		"no path to write":   {Write("", nil, Private), fault.BadRequest},
		"no folder": {Write(filepath.Join(dir, "none", "file"), nil, Private),
			fault.BadFile},
		"a folder in its way": {Write(dir, nil, Private), fault.BadFile},
	} {
		if c.err == nil || fault.Of(c.err).Code != c.code {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

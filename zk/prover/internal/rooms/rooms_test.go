// SPDX-License-Identifier: Apache-2.0

// Package rooms checks the rules of the module's form: which package may import which, how large a
// folder may be, and how long a line.
package rooms

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	root   = "../.."
	module = "provenance/zkprover/"

	maxFiles   = 15  // of a folder, tests included
	maxColumns = 100 // of a line
	tabColumns = 4
)

// layers are the packages from the bottom up. A package imports packages of layers below its own
// only.
var layers = [][]string{
	{
		"fault", "field", "kinds", "order", "statement", "gadgets/integer", "gadgets/poseidon",
		"gadgets/rankone", "internal/iden3",
	},
	{"files", "tree", "gadgets/bfloat16", "gadgets/quantized"},
	{"gadgets/merkle", "gadgets/page", "weights"},
	{"circuits"},
	{"keys", "proof"},
	{"ceremony", "server", "verify"},
	{"prove"},
	{"prove/blocks", "prove/dataset", "prove/epoch"},
	{"commands/request"},
	{"commands/datasets", "commands/keymaking", "commands/tensors", "commands/verifying"},
	{"cmd/vectors/draw", "cmd/vectors/frozen"},
	{"cmd/vectors/mutations", "cmd/vectors/plain", "cmd/vectors/proofs"},
	{"cmd/peers", "cmd/vectors", "cmd/zkprover"},
}

// forTests are the packages that tests alone import, from the bottom up. They may import any
// package.
var forTests = []string{"internal/fixture", "internal/gnark", "internal/wires", "internal/rooms"}

// sources are the module's Go files by folder.
func sources(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".go" {
			folder, relErr := filepath.Rel(root, filepath.Dir(path))
			found[filepath.ToSlash(folder)] = append(found[filepath.ToSlash(folder)], path)
			return relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// imports are the packages of this module that a file imports.
func imports(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := strings.CutPrefix(imported, module); ok {
			names = append(names, name)
		}
	}
	return names
}

// wrongImports are the imports of files outside tests that do not go to a layer below.
func wrongImports(
	files map[string][]string, importsOf func(path string) []string,
) (wrong []string) {
	layerOf := map[string]int{}
	for layer, packages := range layers {
		for _, name := range packages {
			layerOf[name] = layer
		}
	}
	for layer, name := range forTests {
		layerOf[name] = len(layers) + layer
	}
	for folder, paths := range files {
		own, known := layerOf[folder]
		if !known {
			wrong = append(wrong, folder+" stands in no layer")
			continue
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			for _, name := range importsOf(path) {
				if layer, known := layerOf[name]; !known || layer >= own {
					wrong = append(wrong, folder+" imports "+name)
				}
			}
		}
	}
	return wrong
}

func TestImportsGoDownwards(t *testing.T) {
	files := sources(t)
	for _, fault := range wrongImports(files, func(path string) []string {
		return imports(t, path)
	}) {
		t.Errorf("%s: an import must go to a layer below", fault)
	}
	for _, packages := range layers {
		for _, name := range packages {
			if len(files[name]) == 0 {
				t.Errorf("the layers name %s, which has no files", name)
			}
		}
	}
}

// The check finds an import of a higher layer, one within a layer, one of a package for tests, and
// an unknown package.
func TestWrongArrowsAreSeen(t *testing.T) {
	for _, c := range []struct{ from, to string }{
		{"keys", "prove"}, {"keys", "proof"}, {"circuits", "circuits"},
		{"server", "internal/fixture"},
		{"keys", "nowhere"}, {"nowhere", "fault"},
	} {
		file := map[string][]string{c.from: {c.from + "/file.go"}}
		if wrong := wrongImports(file, func(string) []string {
			return []string{c.to}
		}); len(wrong) != 1 {
			t.Errorf("%s imports %s: %v", c.from, c.to, wrong)
		}
		test := map[string][]string{"keys": {"keys/file_test.go"}}
		if wrong := wrongImports(test, func(string) []string {
			return []string{c.to}
		}); len(wrong) != 0 {
			t.Errorf("a test of keys imports %s: %v", c.to, wrong)
		}
	}
}

func TestFoldersAreSmall(t *testing.T) {
	for folder, paths := range sources(t) {
		if len(paths) > maxFiles {
			t.Errorf("%s has %d files, want at most %d: split it by subject", folder,
				len(paths), maxFiles)
		}
	}
}

func TestLinesAreShort(t *testing.T) {
	for _, paths := range sources(t) {
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(string(text), "\n") {
				columns := utf8.RuneCountInString(line) + (tabColumns-1)*strings.Count(line, "\t")
				if columns > maxColumns {
					t.Errorf("%s:%d: %d columns, want at most %d", path, i+1, columns, maxColumns)
				}
			}
		}
	}
}

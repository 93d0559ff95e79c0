// Checks an exported log with golang.org/x/mod/sumdb/tlog, which was written by others: that the
// tiles hash to each checkpoint's root, that entries are included, and that every checkpoint
// extends those before it.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8
	width  = 1 << height
)

// folder reads tiles of height 8 where C2SP's tlog-tiles puts them.
type folder string

func (f folder) Height() int { return height }

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, t := range tiles {
		data, err := f.read(strconv.Itoa(t.L), t.N)
		if err != nil {
			return nil, err
		}
		if len(data) < t.W*tlog.HashSize {
			return nil, fmt.Errorf("tile %v has %d bytes", t, len(data))
		}
		found = append(found, data[:t.W*tlog.HashSize])
	}
	return found, nil
}

// read returns a tile, whole or as far as the log goes.
func (f folder) read(level string, n int64) ([]byte, error) {
	name := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	path := filepath.Join(string(f), "tile", level, name)
	if data, err := os.ReadFile(path); err == nil {
		return data, nil
	}
	partial, err := filepath.Glob(path + ".p/*")
	if err != nil || len(partial) != 1 {
		return nil, fmt.Errorf("%s: no tile, and %d partial ones", path, len(partial))
	}
	return os.ReadFile(partial[0])
}

func (f folder) entries(size int64) [][]byte {
	var all [][]byte
	for n := int64(0); n*width < size; n++ {
		data, err := f.read("entries", n)
		check(err)
		for len(data) > 0 {
			end := 2 + int(binary.BigEndian.Uint16(data))
			all, data = append(all, data[2:end]), data[end:]
		}
	}
	return all
}

func (f folder) checkpoint(name string) tlog.Tree {
	data, err := os.ReadFile(filepath.Join(string(f), name))
	check(err)
	lines := strings.Split(string(data), "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	f := folder(os.Args[1])
	newest := f.checkpoint("checkpoint")
	entries := f.entries(newest.N)
	if int64(len(entries)) != newest.N {
		log.Fatalf("%d entries, the checkpoint has %d", len(entries), newest.N)
	}
	names, err := filepath.Glob(filepath.Join(string(f), "checkpoints", "*"))
	check(err)
	var trees []tlog.Tree
	for _, name := range names {
		trees = append(trees, f.checkpoint(filepath.Join("checkpoints", filepath.Base(name))))
	}
	sort.Slice(trees, func(i, j int) bool { return trees[i].N < trees[j].N })
	included, consistent := 0, 0
	for _, tree := range trees {
		reader := tlog.TileHashReader(tree, f)
		for i := int64(0); i < tree.N; i += 1 + tree.N/50 {
			proof, err := tlog.ProveRecord(tree.N, i, reader)
			check(err)
			check(tlog.CheckRecord(proof, tree.N, tree.Hash, i, tlog.RecordHash(entries[i])))
			included++
		}
		for _, older := range trees {
			if older.N > tree.N {
				break
			}
			proof, err := tlog.ProveTree(tree.N, older.N, reader)
			check(err)
			check(tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash))
			consistent++
		}
	}
	fmt.Println(len(trees), included, consistent)
}

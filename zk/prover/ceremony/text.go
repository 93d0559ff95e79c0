// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
)

const (
	maxNameBytes   = 64
	maxSourceBytes = 200
	beaconBytes    = 32
)

func checkText(what, text string, limit int) error {
	printable := utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
	if text == "" || len(text) > limit || !printable || strings.TrimSpace(text) != text {
		return fault.New(fault.BadFile, "%s is not 1 to %d bytes of printable text without space around it", what, limit)
	}
	return nil
}

func checkBeacon(b keys.Beacon) error {
	value, err := hex.DecodeString(b.Value)
	if err != nil || len(value) != beaconBytes || strings.ToLower(b.Value) != b.Value || strings.Trim(b.Value, "0") == "" {
		return fault.Differs(fault.BadFile, "beacon", "64 lower-case hex digits, not all zero", b.Value)
	}
	return checkText("beacon's source", b.Source, maxSourceBytes)
}

// beaconValue is the beacon's 32 bytes; its form was checked.
func beaconValue(b *keys.Beacon) []byte {
	value, err := hex.DecodeString(b.Value)
	if err != nil {
		panic(err)
	}
	return value
}

func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.BadFile, "%v", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fault.New(fault.BadFile, "%v", err)
	}
	if int64(len(data)) > limit {
		return nil, fault.New(fault.BadFile, "%s is larger than %d bytes", filepath.Base(path), limit)
	}
	return data, nil
}

// writeFile writes a file beside its place and renames it, so that a reader sees it whole or not at all.
func writeFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".making-")
	if err != nil {
		return fault.New(fault.BadFile, "%v", err)
	}
	defer os.Remove(file.Name()) // fails after the rename, when there is nothing to remove
	_, err = file.Write(data)
	if err == nil {
		err = file.Chmod(0o644)
	}
	if err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fault.New(fault.BadFile, "%v", err)
	}
	return nil
}

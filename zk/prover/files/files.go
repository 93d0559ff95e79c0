// SPDX-License-Identifier: Apache-2.0

// Package files reads files of bounded size, and writes files so that they are whole or absent.
//
// It may import fault only. Errors name a file by `what`, the caller's word for it. Paths come from
// requests; contents may be an attacker's.
package files

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"provenance/zkprover/fault"
)

// Modes of the files that this program writes.
const (
	Private fs.FileMode = 0o600 // results, which may hold secrets
	Public  fs.FileMode = 0o644 // keys and transcripts
)

// TemporaryPrefix begins the names of unfinished files and folders, which no command reads.
const TemporaryPrefix = ".making-"

// Read reads a file of at most limit bytes. Faults: bad_request if no path is given, bad_file for
// everything else.
func Read(what, path string, limit int64) ([]byte, error) {
	if path == "" {
		return nil, fault.New(fault.BadRequest, "%s: no file named", what)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.BadFile, "%s: %v", what, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fault.New(fault.BadFile, "%s: %v", what, err)
	}
	if int64(len(data)) > limit {
		return nil, fault.New(fault.BadFile, "%s: file is larger than %d bytes", what, limit)
	}
	return data, nil
}

// Write writes a temporary file beside its final place and renames it, so that a reader sees it
// whole or not at all.
func Write(path string, data []byte, mode fs.FileMode) error {
	if path == "" {
		return fault.New(fault.BadRequest, "no output file named")
	}
	file, err := os.CreateTemp(filepath.Dir(path), TemporaryPrefix)
	if err != nil {
		return fault.New(fault.BadFile, "%v", err)
	}
	defer os.Remove(file.Name()) // after the rename this fails: nothing is left to remove
	_, err = file.Write(data)
	if err == nil {
		err = file.Chmod(mode)
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

// SyncFolder makes renames within a folder durable.
func SyncFolder(path string) error {
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

// Lock waits for the exclusive lock on a file, which the system releases if the process dies.
func Lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, Public)
	if err != nil {
		return nil, fault.New(fault.BadFile, "%v", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, fault.New(fault.BadFile, "lock %s: %v", path, err)
	}
	return func() { file.Close() }, nil
}

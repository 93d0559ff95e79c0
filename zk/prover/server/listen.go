// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"provenance/zkprover/fault"
)

const (
	minSecretBytes = 32
	maxSecretBytes = 1 << 10
)

// listen opens "unix:PATH" with mode 0600, or "tcp:HOST:PORT". Requests name files that this
// process reads and writes, so whoever can connect acts as its user. Therefore TCP needs a shared
// secret, on loopback, too, since other users of the machine can connect there.
func listen(address string, secret []byte) (net.Listener, error) {
	network, where, _ := strings.Cut(address, ":")
	switch {
	case network == "unix" && where != "":
		return listenUnix(where)
	case network == "tcp" && where != "" && secret == nil:
		return nil, fault.New(fault.BadRequest, "a tcp address needs a secret").
			WithHint(`"secret": a file of mode 0600 with at least 32 bytes, ` +
				"known to server and clients")
	case network == "tcp" && where != "":
		listener, err := net.Listen("tcp", where)
		return listener, asFault(err)
	}
	return nil, fault.Differs(fault.BadRequest, "listen", "unix:PATH or tcp:HOST:PORT", address)
}

func listenUnix(path string) (net.Listener, error) {
	if old, err := os.Lstat(path); err == nil {
		if old.Mode().Type() != fs.ModeSocket {
			return nil, fault.Differs(fault.BadRequest, "listen", "a socket or nothing at "+path,
				old.Mode().Type())
		}
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, fault.New(fault.BadRequest, "another server listens at %s", path)
		}
		if err := os.Remove(path); err != nil { // the socket of a server that was killed
			return nil, asFault(err)
		}
	}
	before := syscall.Umask(0o177) // so that nobody else can connect, not even for a moment
	listener, err := net.Listen("unix", path)
	syscall.Umask(before)
	return listener, asFault(err)
}

func asFault(err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.BadRequest, "listen: %v", err)
}

// readSecret refuses a secret that others can read, or that could be guessed.
func readSecret(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.New(fault.BadFile, "secret: %v", err)
	}
	if info.Mode().Perm()&0o077 != 0 || !info.Mode().IsRegular() {
		return nil, fault.Differs(fault.BadFile, "mode of the secret's file",
			"-rw-------", info.Mode())
	}
	if info.Size() < minSecretBytes || info.Size() > maxSecretBytes {
		return nil, fault.Differs(fault.BadFile, "size of the secret in bytes",
			"32 to 1024", info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.BadFile, "secret: %v", err)
	}
	return data, nil
}

// answer is what a client that knows the secret replies to a challenge.
func answer(secret, challenge []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("provenance/v1/prover"))
	mac.Write(challenge)
	return hex.EncodeToString(mac.Sum(nil))
}

// isOver tells whether an error is just the end of a connection, and not a failure to report.
func isOver(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}

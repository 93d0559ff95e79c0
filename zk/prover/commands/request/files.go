// SPDX-License-Identifier: Apache-2.0

package request

import (
	"bytes"
	"encoding/json"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/files"
	"provenance/zkprover/order"
)

// MaxFileBytes is the size of the largest list, 16^6 elements of 32 bytes.
const MaxFileBytes = order.MaxCount * field.WordBytes

// List reads a file that holds a list, of at most [MaxFileBytes].
func List(what, path string) ([]byte, error) { return files.Read(what, path, MaxFileBytes) }

// Elements reads a file of count field elements of 32 bytes; count -1 allows any number.
func Elements(what, path string, count int) ([]fr.Element, error) {
	data, err := List(what, path)
	if err != nil {
		return nil, err
	}
	elements, err := field.ParseScalars(data)
	if err != nil {
		return nil, fault.New(fault.BadFile, "%s: %v", what, err)
	}
	if count >= 0 && len(elements) != count {
		return nil, fault.Differs(fault.BadFile, what+": number of elements", count, len(elements))
	}
	return elements, nil
}

// Exactly reads a file of exactly n bytes.
func Exactly(what, path string, n int) ([]byte, error) {
	data, err := files.Read(what, path, int64(n))
	if err != nil {
		return nil, err
	}
	if len(data) != n {
		return nil, fault.Differs(fault.BadFile, what+": bytes", n, len(data))
	}
	return data, nil
}

// Order reads the list a of an epoch and its inverse.
func Order(path string, count int) (a, inverse []uint64, err error) {
	data, err := List("order", path)
	if err != nil {
		return nil, nil, err
	}
	if a, err = order.Parse(data); err != nil {
		return nil, nil, fault.New(fault.BadFile, "%v", err)
	}
	if len(a) != count {
		return nil, nil, fault.Differs(fault.BadFile, "order: number of entries", count, len(a))
	}
	if inverse, err = order.Invert(a); err != nil {
		return nil, nil, fault.New(fault.BadFile, "%v", err)
	}
	return a, inverse, nil
}

// Blindings is the content of a blindings file: one element per chunk.
type Blindings struct {
	D []string `json:"d"`
	U []string `json:"u"`
}

// ReadBlindings reads a file of secrets.
func ReadBlindings(path string) (*Blindings, error) {
	data, err := files.Read("blindings", path, MaxBytes)
	if err != nil {
		return nil, err
	}
	var b Blindings
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&b) != nil { // its message is dropped: it could quote a secret
		return nil, fault.New(fault.BadFile, `blindings: want {"d": [..], "u": [..]}`)
	}
	return &b, nil
}

// Blinding is the entry of a chunk in a list with one entry for each chunk. Zero is refused, since
// it hides nothing.
func Blinding(what string, list []string, chunk, chunks int) (fr.Element, error) {
	if len(list) != chunks {
		return fr.Element{}, fault.Differs(fault.BadFile, "blindings "+what, chunks, len(list))
	}
	e, err := field.ParseScalar(list[chunk])
	if err != nil || e.IsZero() { // the parser's message is dropped: it could quote a secret
		return fr.Element{}, fault.New(fault.BadFile,
			"blindings %s: entry %d is not canonical, or zero", what, chunk)
	}
	return e, nil
}

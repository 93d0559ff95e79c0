// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/order"
)

// maxFileBytes is the size of the largest list, 16^6 elements of 32 bytes.
const maxFileBytes = order.MaxCount * field.WordBytes

// parseRequest refuses unknown fields, so that a misspelt option is an error and not a default.
func parseRequest(request []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(request))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fault.New(fault.BadRequest, "request: %v", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fault.New(fault.BadRequest, "text after the request")
	}
	return nil
}

func readFile(what, path string, limit int64) ([]byte, error) {
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

// readElements reads field elements of 32 bytes; count -1 takes any number.
func readElements(what, path string, count int) ([]fr.Element, error) {
	data, err := readFile(what, path, maxFileBytes)
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

// readOrder reads the list a and its inverse.
func readOrder(path string, count int) (a, inverse []uint64, err error) {
	data, err := readFile("order", path, maxFileBytes)
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

// blindings is the content of a blindings file: one element per chunk.
type blindings struct {
	D []string `json:"d"`
	U []string `json:"u"`
}

func readBlindings(path string) (*blindings, error) {
	data, err := readFile("blindings", path, maxRequestBytes)
	if err != nil {
		return nil, err
	}
	var b blindings
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&b) != nil { // the decoder's message could quote a secret
		return nil, fault.New(fault.BadFile, `blindings: want {"d": [..], "u": [..]}`)
	}
	return &b, nil
}

// blinding is entry chunk of a list; zero is refused, for it hides nothing.
func blinding(what string, list []string, chunk, chunks int) (fr.Element, error) {
	if len(list) != chunks {
		return fr.Element{}, fault.Differs(fault.BadFile, "blindings "+what, chunks, len(list))
	}
	e, err := field.ParseScalar(list[chunk])
	if err != nil || e.IsZero() { // the parser's message could quote a secret
		return fr.Element{}, fault.New(fault.BadFile, "blindings %s: entry %d is not canonical, or zero", what, chunk)
	}
	return e, nil
}

// writeFile replaces a file by rename, so that a reader sees it whole or not at all.
func writeFile(path string, data []byte) error {
	if path == "" {
		return fault.New(fault.BadRequest, "no output file named")
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".zkprover-")
	if err != nil {
		return fault.New(fault.BadFile, "%v", err)
	}
	defer os.Remove(file.Name()) // fails after the rename, when there is nothing to remove
	_, err = file.Write(data)
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

// SPDX-License-Identifier: Apache-2.0

// Package request reads the requests of zkprover's commands: their JSON and the files that it
// names.
//
// It may import files, field, order, proof and statement. Requests and files come from the caller
// and may be wrong in any way; errors are faults that the caller can act on. Secrets come from
// files only, and no error quotes one.
package request

import (
	"bytes"
	"encoding/json"
	"io"
	"time"

	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/files"
	"provenance/zkprover/order"
	"provenance/zkprover/proof"
	"provenance/zkprover/statement"
)

// MaxBytes is the largest size of a request, and of a file of blindings.
const MaxBytes = 16 << 20

// Parse reads a request's JSON. It refuses unknown fields, so that a misspelt option is an error
// and not silently a default.
func Parse(request []byte, into any) error {
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

// Require refuses a request if one of these fields is empty; fields maps names to values.
func Require(fields map[string]string) error {
	for name, value := range fields {
		if value == "" {
			return fault.New(fault.BadRequest, "%s: nothing named", name)
		}
	}
	return nil
}

// Count refuses a number of records that no dataset can have.
func Count(count int) error {
	if count < 1 || count > order.MaxCount {
		return fault.Differs(fault.BadRequest, "count", "1..16^6", count)
	}
	return nil
}

// Challenge reads gamma and delta.
func Challenge(gamma, delta string) (statement.Challenge, error) {
	var c statement.Challenge
	var err error
	if c.Gamma, err = field.ParseScalar(gamma); err != nil {
		return c, fault.New(fault.BadRequest, "gamma: %v", err)
	}
	if c.Delta, err = field.ParseScalar(delta); err != nil {
		return c, fault.New(fault.BadRequest, "delta: %v", err)
	}
	return c, nil
}

// WriteProof writes a proof's file and returns its public inputs.
func WriteProof(path string, p *proof.Proof) (public []string, err error) {
	text, err := p.Marshal()
	if err != nil {
		return nil, err
	}
	for i := range p.Public {
		public = append(public, field.ScalarHex(&p.Public[i]))
	}
	return public, files.Write(path, append(text, '\n'), files.Private)
}

// Since is the time since begin in seconds, to the millisecond.
func Since(begin time.Time) float64 {
	return float64(time.Since(begin).Milliseconds()) / float64(time.Second/time.Millisecond)
}

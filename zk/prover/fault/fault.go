// SPDX-License-Identifier: Apache-2.0

// Package fault holds the error that crosses package borders and reaches the caller of the command
// line as JSON.
package fault

import (
	"errors"
	"fmt"
)

// Code says who must act.
type Code string

// The codes. BadRequest and BadFile ask the caller to correct the input, BadKey means that key
// material must not be used, Mismatch that two inputs contradict each other, Unproven that the
// statement is false for the witness given, TooLarge that the job can never fit the memory limit,
// Busy that the same request may succeed later, Cancelled that it was given up as asked, Internal a
// defect or an environment that failed (disk, memory).
const (
	BadRequest Code = "bad_request"
	BadFile    Code = "bad_file"
	BadKey     Code = "bad_key"
	Mismatch   Code = "mismatch"
	Unproven   Code = "unproven"
	TooLarge   Code = "too_large"
	Busy       Code = "busy"
	Cancelled  Code = "cancelled"
	Internal   Code = "internal"
)

// Error carries facts; advice is in Hint only.
type Error struct {
	Code     Code   `json:"code"`
	What     string `json:"what"`
	Expected string `json:"expected,omitempty"`
	Actual   string `json:"actual,omitempty"`
	Hint     string `json:"hint,omitempty"`
}

// Error joins the facts in one line.
func (e *Error) Error() string {
	text := string(e.Code) + ": " + e.What
	if e.Expected != "" || e.Actual != "" {
		text += fmt.Sprintf(" (expected %s, actual %s)", e.Expected, e.Actual)
	}
	return text
}

// New is an error without expectation.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, What: fmt.Sprintf(format, args...)}
}

// Differs is an error about a value that is not the expected one.
func Differs(code Code, what string, expected, actual any) *Error {
	return &Error{Code: code, What: what, Expected: fmt.Sprint(expected),
		Actual: fmt.Sprint(actual)}
}

// Of is the fault within an error; what is none is Internal.
func Of(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return New(Internal, "%v", err)
}

// Status is the exit status for a code: 2 when the caller can act, 3 when not.
func (c Code) Status() int {
	if c == Internal {
		return 3
	}
	return 2
}

// WithHint returns a copy with advice.
func (e *Error) WithHint(hint string) *Error {
	copied := *e
	copied.Hint = hint
	return &copied
}

// At puts the place before what went wrong there; facts and code stay.
func At(place string, err error) error {
	var known *Error
	if !errors.As(err, &known) {
		return fmt.Errorf("%s: %w", place, err)
	}
	copied := *known
	copied.What = place + ": " + copied.What
	return &copied
}

// SPDX-License-Identifier: Apache-2.0

// Package fault holds the error type that this module's packages return, and that the caller of a
// command gets as JSON.
package fault

import (
	"errors"
	"fmt"
)

// Code says who must act.
type Code string

// The codes. BadRequest and BadFile: the caller must correct the input. BadKey: key material must
// not be used. Mismatch: two inputs contradict each other. Unproven: the statement is false for the
// witness given. TooLarge: the job can never fit the memory limit. Busy: the same request may
// succeed later. Cancelled: the caller gave the job up, or the server stopped. Internal: a defect,
// or disk or memory failed.
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

// Error carries facts. Only Hint gives advice.
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

// New is an error without an expected and an actual value.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, What: fmt.Sprintf(format, args...)}
}

// Differs is an error about a value that is not the expected one.
func Differs(code Code, what string, expected, actual any) *Error {
	return &Error{Code: code, What: what, Expected: fmt.Sprint(expected),
		Actual: fmt.Sprint(actual)}
}

// Of is the fault within an error. An error without one becomes an Internal fault.
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

// At puts the place before an error's text; code and facts do not change.
func At(place string, err error) error {
	var known *Error
	if !errors.As(err, &known) {
		return fmt.Errorf("%s: %w", place, err)
	}
	copied := *known
	copied.What = place + ": " + copied.What
	return &copied
}

// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"

	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
)

// ErrFalse is returned together with the result of a verification in which a proof did not verify.
var ErrFalse = errors.New("a proof does not verify")

// Command is one entry of the table of commands.
type Command struct {
	Run func(call *Call, request []byte) (any, error)
	// part of the key named by the request that Run asks for; empty if it takes none
	Key    keys.Part
	Proves bool // whether Run makes proofs, which takes memory beside the key
	// runs as a process of its own only, because its memory cannot be predicted from a key
	Alone bool
}

// Call is what a command gets besides its request.
type Call struct {
	context context.Context
	load    func(dir string, part keys.Part) (*keys.Key, error)
	report  func(line string)
	second  func() (done func(), ok bool)
}

// NewCall is the call of a process that runs one command. It loads keys when they are asked for.
func NewCall(report func(line string)) *Call {
	none := func() (func(), bool) { return nil, false }
	return &Call{context.Background(), keys.LoadPart, report, none}
}

// Key is the whole key in a folder, shared with other calls: it must not be changed.
func (c *Call) Key(dir string) (*keys.Key, error) { return c.load(dir, keys.PartWhole) }

// Bases is a key that can commit; see [keys.LoadBases].
func (c *Call) Bases(dir string) (*keys.Key, error) { return c.load(dir, keys.PartBases) }

// Second asks for the memory of a second proof beside the one that the call makes. If it is there,
// the call must give it back with done. A process that runs one command has none to spare.
func (c *Call) Second() (done func(), ok bool) { return c.second() }

// Progress tells people how far the call is. Lines hold no secrets.
func (c *Call) Progress(text string, args ...any) { c.report(fmt.Sprintf(text, args...)) }

// Stopped returns a fault if nobody wants the result any more. Commands ask between stages. gnark's
// prover cannot be interrupted, so a proof under way is finished and then thrown away.
func (c *Call) Stopped() error {
	if c.context.Err() != nil {
		return fault.New(fault.Cancelled, "job was cancelled")
	}
	return nil
}

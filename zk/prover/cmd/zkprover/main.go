// SPDX-License-Identifier: Apache-2.0

// Command zkprover makes keys, commitments and proofs and verifies them.
//
//	zkprover COMMAND < request.json > result.json
//
// It reads one JSON object on stdin and writes one on stdout; stderr carries progress for people.
// Exit status: 0 done, 1 a proof does not verify, 2 the request or its files cannot be used, 3 a
// failure that is not the caller's. With status 2 and 3 the object is {"error": {"code", "what",
// "expected", "actual", "hint"}}. Secrets (blindings, salts, leaves, neighbouring records) are read
// from files only and appear in no output. `zkprover serve` answers the same commands over a socket
// (package server).
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sort"
	"strings"

	"github.com/consensys/gnark/logger"

	"provenance/zkprover/commands/datasets"
	"provenance/zkprover/commands/keymaking"
	"provenance/zkprover/commands/request"
	"provenance/zkprover/commands/tensors"
	"provenance/zkprover/commands/verifying"
	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/server"
)

// commands is the table of all commands but serve, which serves them.
var commands = map[string]server.Command{
	"setup":               {Run: keymaking.Setup, Alone: true},
	"inspect":             {Run: verifying.Inspect},
	"dataset":             {Run: datasets.Dataset},
	"leaf-root":           {Run: datasets.LeafRoot},
	"order":               {Run: datasets.Order},
	"commit":              {Run: datasets.Commit, Key: keys.PartBases},
	"prove-tree":          {Run: datasets.ProveTree, Key: keys.PartWhole, Proves: true},
	"prove-epoch":         {Run: datasets.ProveEpoch, Key: keys.PartWhole, Proves: true},
	"prove-link":          {Run: datasets.ProveLink, Key: keys.PartWhole, Proves: true},
	"prove-sorted":        {Run: datasets.ProveSorted, Key: keys.PartWhole, Proves: true},
	"prove-member":        {Run: datasets.ProveMember, Key: keys.PartWhole, Proves: true},
	"prove-absent":        {Run: datasets.ProveAbsent, Key: keys.PartWhole, Proves: true},
	"prove-merge":         {Run: tensors.ProveMerge, Key: keys.PartWhole, Proves: true},
	"prove-q8_0":          {Run: tensors.ProveQ8_0, Key: keys.PartWhole, Proves: true},
	"prove-int8":          {Run: tensors.ProveInt8, Key: keys.PartWhole, Proves: true},
	"weights":             {Run: tensors.Commit},
	"verify":              {Run: verifying.Verify},
	"products":            {Run: datasets.Products},
	"ceremony-begin":      {Run: keymaking.CeremonyBegin, Alone: true},
	"ceremony-contribute": {Run: keymaking.CeremonyContribute, Alone: true},
	"ceremony-accept":     {Run: keymaking.CeremonyAccept, Alone: true},
	"ceremony-seal":       {Run: keymaking.CeremonySeal, Alone: true},
	"ceremony-verify":     {Run: keymaking.CeremonyVerify, Alone: true},
}

// softMemoryBytes is the soft memory limit: near it the garbage collector works harder, so that the
// largest key stays below 4 GB. GOMEMLIMIT replaces it.
const softMemoryBytes = 3 << 30

func main() {
	logger.Disable() // gnark logs to stdout, which carries results only
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemoryBytes)
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout))
}

func run(args []string, stdin io.Reader, stdout io.Writer) int {
	result, err := dispatch(args, stdin, stdout)
	status := 0
	switch {
	case errors.Is(err, server.ErrFalse):
		status = 1
	case err != nil:
		known := fault.Of(err)
		result, status = map[string]any{"error": known}, known.Code.Status()
	}
	if err := write(stdout, result); err != nil {
		fmt.Fprintln(os.Stderr, "zkprover:", err)
		return 3
	}
	return status
}

func write(stdout io.Writer, result any) error {
	encoder := json.NewEncoder(stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(result)
}

func dispatch(args []string, stdin io.Reader, stdout io.Writer) (any, error) {
	if len(args) == 1 && args[0] == serveName {
		return serve(stdin, stdout)
	}
	if len(args) != 1 || commands[args[0]].Run == nil {
		return nil, fault.Differs(fault.BadRequest, "command", strings.Join(names(), " "),
			strings.Join(args, " "))
	}
	text, err := io.ReadAll(io.LimitReader(stdin, request.MaxBytes+1))
	if err != nil {
		return nil, fault.New(fault.BadRequest, "stdin: %v", err)
	}
	if len(text) > request.MaxBytes {
		return nil, fault.New(fault.BadRequest, "request is longer than %d bytes", request.MaxBytes)
	}
	return commands[args[0]].Run(server.NewCall(report), text)
}

// report writes a progress line for people.
func report(line string) { fmt.Fprintln(os.Stderr, "zkprover:", line) }

func names() []string {
	out := []string{serveName}
	for name := range commands {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

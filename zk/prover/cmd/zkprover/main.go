// SPDX-License-Identifier: Apache-2.0

// Command zkprover makes keys, commitments and proofs and verifies them.
//
//	zkprover COMMAND < request.json > result.json
//
// It reads one JSON object on stdin and writes one on stdout; stderr carries progress for people. Exit status: 0 done,
// 1 a proof does not verify, 2 the request or its files cannot be used, 3 a failure that is not the caller's. With
// status 2 and 3 the object is {"error": {"code", "what", "expected", "actual", "hint"}}. Secrets (blindings, salts,
// leaves, neighbouring records) are read from files only and appear in no output.
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

	"provenance/zkprover/fault"
)

const maxRequestBytes = 16 << 20

// errFalse makes the process exit with 1 after its result was written.
var errFalse = errors.New("a proof does not verify")

// command turns a request into a result.
type command func(request []byte) (any, error)

var commands = map[string]command{
	"setup":        setup,
	"inspect":      inspect,
	"dataset":      dataset,
	"leaf-root":    leafRoot,
	"order":        makeOrder,
	"commit":       commit,
	"prove-tree":   proveTree,
	"prove-epoch":  proveEpoch,
	"prove-link":   proveLink,
	"prove-sorted": proveSorted,
	"prove-member": proveMember,
	"prove-absent": proveAbsent,
	"verify":       verifyProofs,
	"products":     products,
}

// softMemoryBytes makes the collector work harder before the largest key's 4 GB are reached; GOMEMLIMIT replaces it.
const softMemoryBytes = 3 << 30

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemoryBytes)
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout))
}

func run(args []string, stdin io.Reader, stdout io.Writer) int {
	result, err := dispatch(args, stdin)
	status := 0
	switch {
	case errors.Is(err, errFalse):
		status = 1
	case err != nil:
		result, status = failure(err)
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(result); err != nil {
		fmt.Fprintln(os.Stderr, "zkprover:", err)
		return 3
	}
	return status
}

func dispatch(args []string, stdin io.Reader) (any, error) {
	if len(args) != 1 || commands[args[0]] == nil {
		return nil, fault.Differs(fault.BadRequest, "command", strings.Join(names(), " "), strings.Join(args, " "))
	}
	request, err := io.ReadAll(io.LimitReader(stdin, maxRequestBytes+1))
	if err != nil {
		return nil, fault.New(fault.BadRequest, "stdin: %v", err)
	}
	if len(request) > maxRequestBytes {
		return nil, fault.New(fault.BadRequest, "request is longer than %d bytes", maxRequestBytes)
	}
	return commands[args[0]](request)
}

func names() []string {
	out := make([]string, 0, len(commands))
	for name := range commands {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

func failure(err error) (any, int) {
	var known *fault.Error
	if !errors.As(err, &known) {
		known = fault.New(fault.Internal, "%v", err)
	}
	status := 2
	if known.Code == fault.Internal {
		status = 3
	}
	return map[string]any{"error": known}, status
}

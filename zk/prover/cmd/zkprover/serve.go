// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"syscall"

	"provenance/zkprover/commands/request"
	"provenance/zkprover/fault"
	"provenance/zkprover/server"
)

const serveName = "serve"

// serve runs until SIGTERM or SIGINT; with until_stdin_closes it also ends when stdin is closed. It
// writes {"listening", "pid"} when clients can connect, and its result at the end.
func serve(stdin io.Reader, stdout io.Writer) (any, error) {
	config, err := readConfig(stdin)
	if err != nil {
		return nil, err
	}
	s, err := server.New(config, commands)
	if err != nil {
		return nil, err
	}
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if err := write(stdout, map[string]any{"listening": s.Address(),
		"pid": os.Getpid()}); err != nil {
		return nil, fault.New(fault.Internal, "stdout: %v", err)
	}
	if config.UntilStdinCloses {
		go func() { // without the parent nobody waits for the running jobs
			_, _ = io.Copy(io.Discard, stdin) // closed or broken: the parent is gone
			stop <- syscall.SIGTERM
			stop <- syscall.SIGTERM
		}()
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve() }()
	select {
	case err := <-failed:
		return nil, err
	case <-stop:
	}
	if left := s.Stop(stop); left > 0 {
		return nil, fault.New(fault.Internal, "%d running jobs were abandoned", left)
	}
	return map[string]any{"stopped": true}, nil
}

// readConfig reads the first JSON value of stdin, which may stay open afterwards.
func readConfig(stdin io.Reader) (server.Config, error) {
	config := server.Defaults
	decoder := json.NewDecoder(io.LimitReader(stdin, request.MaxBytes))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&config); err != nil {
		return config, fault.New(fault.BadRequest, "request: %v", err)
	}
	return config, nil
}

// SPDX-License-Identifier: Apache-2.0

// Package server answers the commands of zkprover over a socket, from one long-lived process that
// reads each key once.
//
// The process keeps no durable state: if it dies, clients ask again. Requests name files, which
// this process reads and writes as its own user. Frames hold paths, public values and results,
// never secrets.
//
// A client cancels a job, or closes the connection by which it came. A waiting job then ends at
// once. A running job ends between two stages: reading the key, reading the lists, each proof of
// the request. gnark's prover cannot be interrupted. The proof under way is finished and then
// thrown away, and its memory stays reserved until then.
//
// SIGTERM ends the process. Waiting jobs are answered `busy`; running jobs may finish for
// grace_seconds. Jobs that still run then are answered `cancelled`, and the process ends with
// status 3. A second SIGTERM ends the grace at once. If the process is killed, connections break,
// and the files that it was writing are absent or whole.
package server

import (
	"net"
	"os"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"time"

	"provenance/zkprover/fault"
)

// Config is the request of the command serve.
type Config struct {
	Listen  string `json:"listen"`  // unix:PATH, or tcp:HOST:PORT with a secret
	Secret  string `json:"secret"`  // file of mode 0600, 32 to 1024 bytes
	Workers int    `json:"workers"` // jobs that run at a time
	Queue   int    `json:"queue"`   // jobs that may wait
	// limit for the process, its keys and its jobs
	MemoryBytes      int64 `json:"memory_bytes"`
	KeyCacheBytes    int64 `json:"key_cache_bytes"`    // of keys kept when no job uses them
	GraceSeconds     int   `json:"grace_seconds"`      // for running jobs at a shutdown
	UntilStdinCloses bool  `json:"until_stdin_closes"` // a child that ends with its parent
}

// Defaults are the values of fields that the request leaves out.
var Defaults = Config{Workers: 1, Queue: 256, MemoryBytes: 4 << 30, KeyCacheBytes: 2 << 30,
	GraceSeconds: 30}

const maxConnections = 64

// Server is one listening process.
type Server struct {
	config   Config
	commands map[string]Command
	secret   []byte
	listener net.Listener
	queue    *queue

	mu          sync.Mutex
	connections map[net.Conn]struct{}
}

// New opens the address.
func New(config Config, commands map[string]Command) (*Server, error) {
	for what, n := range map[string]int64{"workers": int64(config.Workers),
		"queue": int64(config.Queue), "memory_bytes": config.MemoryBytes} {
		if n < 1 {
			return nil, fault.Differs(fault.BadRequest, what, "at least 1", n)
		}
	}
	if config.KeyCacheBytes < 0 || config.GraceSeconds < 0 {
		return nil, fault.New(fault.BadRequest,
			"key_cache_bytes and grace_seconds must not be negative")
	}
	secret, err := readSecret(config.Secret)
	if err != nil {
		return nil, err
	}
	listener, err := listen(config.Listen, secret)
	if err != nil {
		return nil, err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		// Garbage must not take memory that was predicted for jobs.
		debug.SetMemoryLimit(config.MemoryBytes)
	}
	s := &Server{config: config, commands: commands, secret: secret, listener: listener,
		connections: map[net.Conn]struct{}{}}
	s.queue = &queue{workers: config.Workers, length: config.Queue, limit: config.MemoryBytes,
		running: map[*job]struct{}{},
		keys: store{entries: map[name]*entry{},
			limit: config.KeyCacheBytes}, idle: make(chan struct{})}
	return s, nil
}

// Address is where clients connect, with the port that was chosen for port 0.
func (s *Server) Address() string {
	return s.listener.Addr().Network() + ":" + s.listener.Addr().String()
}

// Serve accepts connections until [Server.Stop] is called.
func (s *Server) Serve() error {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			if isOver(err) {
				return nil
			}
			return fault.New(fault.Internal, "accept: %v", err)
		}
		if !s.add(c) {
			c.Close()
			continue
		}
		go func() {
			defer s.remove(c)
			(&connection{server: s, net: c}).serve()
		}()
	}
}

// add counts a connection. If there are too many, it returns false, and the caller closes it.
func (s *Server) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.connections) >= maxConnections {
		return false
	}
	s.connections[c] = struct{}{}
	return true
}

func (s *Server) remove(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, c)
}

// Stop refuses new work, and lets running jobs finish until the grace is over or hurry gets a
// signal. It returns how many jobs were abandoned. The caller must then end the process, since an
// abandoned job may still be in gnark's prover.
func (s *Server) Stop(hurry <-chan os.Signal) int {
	s.listener.Close()
	idle := s.queue.close(fault.New(fault.Busy, "server is shutting down").
		WithHint("ask another server, or again when it is back"))
	select {
	case <-idle:
		return 0
	case <-time.After(time.Duration(s.config.GraceSeconds) * time.Second):
	case <-hurry:
	}
	return s.queue.abandon(fault.New(fault.Cancelled, "server stopped before the job was finished").
		WithHint("ask again"))
}

func (s *Server) names() string {
	out := []string{"cancel", "stats"}
	for name, command := range s.commands {
		if !command.Alone {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}

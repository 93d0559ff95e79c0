// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
)

const (
	stateWaiting = "waiting"
	stateRunning = "running"

	protocol = "zkprover/1"
)

// connection answers the requests of one client, several at a time.
type connection struct {
	server  *Server
	net     net.Conn
	context context.Context // ends with the connection
	writing sync.Mutex
}

// hello is the first frame: the protocol, and a challenge if clients must know a secret.
type hello struct {
	Protocol  string `json:"protocol"`
	Challenge string `json:"challenge,omitempty"`
}

// serve answers requests until the client disconnects, and then cancels its jobs.
func (c *connection) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.context = ctx
	defer c.net.Close()
	if err := c.greet(); err != nil {
		c.send(response{Error: fault.Of(err)})
		return
	}
	for {
		frame, err := readFrame(c.net)
		if err == nil {
			err = c.accept(frame)
		}
		var refused *fault.Error
		if errors.As(err, &refused) { // after a bad frame it is unknown where the next one starts
			c.send(response{Error: refused})
		}
		if err != nil {
			return
		}
	}
}

// greet sends the challenge and checks the client's answer.
func (c *connection) greet() error {
	if c.server.secret == nil {
		return c.write(hello{Protocol: protocol})
	}
	challenge := make([]byte, 32)
	if _, err := rand.Read(challenge); err != nil {
		return err
	}
	if err := c.write(hello{protocol, hex.EncodeToString(challenge)}); err != nil {
		return err
	}
	if err := c.net.SetReadDeadline(time.Now().Add(helloTime)); err != nil {
		return err
	}
	frame, err := readFrame(c.net)
	if err != nil {
		return fault.New(fault.BadRequest, "no answer to the challenge")
	}
	var given struct {
		Answer string `json:"answer"`
	}
	if json.Unmarshal(frame, &given) != nil || !hmac.Equal([]byte(given.Answer),
		[]byte(answer(c.server.secret, challenge))) {
		return fault.New(fault.BadRequest, "wrong answer to the challenge").
			WithHint("server and client must share one secret")
	}
	return nil
}

func (c *connection) write(value any) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return writeFrame(c.net, value)
}

// send writes an answer. If the client does not read it in time, it closes the connection, which
// cancels the client's jobs.
func (c *connection) send(r response) {
	if c.write(r) != nil {
		c.net.Close()
	}
}

// accept handles one frame. It returns an error if the frame is not a request.
func (c *connection) accept(frame []byte) error {
	var r request
	if err := json.Unmarshal(frame, &r); err != nil || r.ID == "" {
		return fault.New(fault.BadRequest, `frame: want {"id", "command", "request"}`)
	}
	switch r.Command {
	case "stats":
		c.reply(r.ID, 0, c.server.queue.stats(), nil)
	case "cancel":
		result, err := c.cancel(r.Request)
		c.reply(r.ID, 0, result, err)
	default:
		if err := c.submit(&r); err != nil {
			c.reply(r.ID, 0, nil, err)
		}
	}
	return nil
}

// reply ends a request.
func (c *connection) reply(id string, job uint64, result any, err error) {
	status := 0
	out := response{ID: id, Job: job, Status: &status, Result: result}
	switch {
	case errors.Is(err, ErrFalse):
		status = 1
	case err != nil:
		out.Result, out.Error = nil, fault.Of(err)
		status = out.Error.Code.Status()
	}
	c.send(out)
}

func (c *connection) cancel(text []byte) (any, error) {
	var r struct {
		Job uint64 `json:"job"`
	}
	if err := json.Unmarshal(text, &r); err != nil || r.Job == 0 {
		return nil, fault.New(fault.BadRequest, `cancel: want {"job": number}`)
	}
	state := c.server.queue.cancel(r.Job, fault.New(fault.Cancelled, "job was cancelled"))
	if state == "" {
		return nil, fault.Differs(fault.BadRequest, "job", "one that waits or runs", r.Job)
	}
	return map[string]string{"state": state}, nil
}

func (c *connection) submit(r *request) error {
	command, ok := c.server.commands[r.Command]
	if !ok || command.Alone {
		return fault.Differs(fault.BadRequest, "command", c.server.names(), r.Command)
	}
	need, err := predict(command, r.Request)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.context)
	j := &job{need: need, context: ctx, cancel: cancel}
	admitted := make(chan struct{}) // the job's number must be sent before anything else about it
	j.started = func() {
		<-admitted
		c.send(response{ID: r.ID, Job: j.number, State: stateRunning})
	}
	var once sync.Once // an abandoned job may still finish, and must not answer twice
	end := func(result any, err error) { once.Do(func() { c.reply(r.ID, j.number, result, err) }) }
	j.dropped = func(why *fault.Error) { end(nil, why) }
	j.run = func(j *job) { end(run(command, c.call(r.ID, j), r.Request)) }
	if err := c.server.queue.submit(j); err != nil {
		cancel()
		return err
	}
	// If the client disconnects, its job is cancelled.
	context.AfterFunc(ctx, func() {
		c.server.queue.cancel(j.number, fault.New(fault.Cancelled, "client is gone"))
	})
	c.send(response{ID: r.ID, Job: j.number, State: stateWaiting})
	close(admitted)
	return nil
}

// call is what the job's command gets: its key, and progress lines to its client.
func (c *connection) call(id string, j *job) *Call {
	load := func(dir string, part keys.Part) (*keys.Key, error) {
		if j.key == nil || dir != j.need.key.dir ||
			(part == keys.PartWhole && j.key.name.part != part) {
			return nil, fault.New(fault.BadRequest,
				"a served request names its key in the field `key`")
		}
		return j.key.load(keys.LoadPart)
	}
	report := func(line string) { c.send(response{ID: id, Job: j.number, Progress: line}) }
	return &Call{j.context, load, report, func() (func(), bool) { return c.server.queue.second(j) }}
}

// run calls the command. A panic in it, such as gnark's for an impossible witness, becomes a fault
// of this job alone.
func run(command Command, call *Call, text []byte) (result any, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			call.report("panic: " + string(debug.Stack()))
			result, err = nil, fault.New(fault.Internal, "the command failed: %v", reason)
		}
	}()
	if err := call.Stopped(); err != nil {
		return nil, err
	}
	return command.Run(call, text)
}

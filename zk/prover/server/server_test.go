// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/binary"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/keys"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// stage lets a test hold the command `hold` between two stages.
type stage struct {
	entered, proceed chan struct{}
}

func newStage() *stage { return &stage{make(chan struct{}, 16), make(chan struct{})} }

// table has commands that take no proving time: `echo`, `hold`, `load` of a key's bases, `prove` of
// a whole key, `panic`, and `second`, which asks for the memory of a second proof.
func table(s *stage) map[string]Command {
	keyOf := func(text []byte) string {
		var r struct {
			Key string `json:"key"`
		}
		_ = json.Unmarshal(text, &r)
		return r.Key
	}
	return map[string]Command{
		"echo": {Run: func(_ *Call, text []byte) (any, error) {
			return json.RawMessage(text), nil
		}},
		"false": {Run: func(_ *Call, _ []byte) (any, error) {
			return map[string]bool{"ok": false}, ErrFalse
		}},
		"panic": {Run: func(_ *Call, _ []byte) (any, error) { panic("broken") }},
		"alone": {Run: func(_ *Call, _ []byte) (any, error) { return "", nil }, Alone: true},
		"hold": {Run: func(call *Call, _ []byte) (any, error) {
			call.Progress("held")
			s.entered <- struct{}{}
			<-s.proceed
			if err := call.Stopped(); err != nil {
				return nil, err
			}
			return map[string]bool{"held": true}, nil
		}},
		"load": {Key: keys.PartBases, Run: func(call *Call, text []byte) (any, error) {
			key, err := call.Bases(keyOf(text))
			if err != nil {
				return nil, err
			}
			return map[string]any{"vkId": key.Info.VKID, "whole": key.System != nil}, nil
		}},
		"prove": {Key: keys.PartWhole, Proves: true,
			Run: func(call *Call, text []byte) (any, error) {
				key, err := call.Key(keyOf(text))
				if err != nil {
					return nil, err
				}
				return map[string]any{"vkId": key.Info.VKID}, nil
			}},
		"second": {Key: keys.PartWhole, Proves: true, Run: func(call *Call, _ []byte) (any, error) {
			done, ok := call.Second()
			s.entered <- struct{}{}
			<-s.proceed
			if ok {
				done()
			}
			return map[string]bool{"second": ok}, nil
		}},
	}
}

// open serves on a socket of the test's folder until the test ends.
func open(t *testing.T, s *stage, change func(*Config)) *Server {
	t.Helper()
	config := Defaults
	config.Listen, config.GraceSeconds = "unix:"+filepath.Join(t.TempDir(), "s"), 5
	if change != nil {
		change(&config)
	}
	server, err := New(config, table(s))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	t.Cleanup(func() {
		hurry := make(chan os.Signal, 1)
		hurry <- os.Interrupt
		server.Stop(hurry)
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return server
}

// client is one connection of a test.
type client struct {
	t *testing.T
	net.Conn
}

func dial(t *testing.T, server *Server) *client {
	t.Helper()
	network, where, _ := strings.Cut(server.Address(), ":")
	c, err := net.Dial(network, where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &client{t, c}
}

// connect dials and reads the greeting.
func connect(t *testing.T, server *Server) *client {
	t.Helper()
	c := dial(t, server)
	if greeting := c.read(); greeting["protocol"] != protocol {
		t.Fatalf("greeting %v", greeting)
	}
	return c
}

func (c *client) raw(size uint32, data []byte) {
	c.t.Helper()
	if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, size), data...)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) send(id, command string, request any) {
	c.t.Helper()
	text, err := json.Marshal(map[string]any{"id": id, "command": command, "request": request})
	if err != nil {
		c.t.Fatal(err)
	}
	c.raw(uint32(len(text)), text)
}

func (c *client) read() map[string]any {
	c.t.Helper()
	data, err := readFrame(c.Conn)
	if err != nil {
		c.t.Fatalf("reading a frame: %v", err)
	}
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		c.t.Fatal(err)
	}
	var frame map[string]any
	if err := json.Unmarshal(data, &frame); err != nil {
		c.t.Fatal(err)
	}
	return frame
}

// answer reads frames until the one that ends a request.
func (c *client) answer(id string) map[string]any {
	c.t.Helper()
	for {
		if frame := c.read(); frame["id"] == id && frame["status"] != nil {
			return frame
		}
	}
}

func (c *client) ask(command string, request any) map[string]any {
	c.t.Helper()
	c.send("ask", command, request)
	return c.answer("ask")
}

// one is a request, which `echo` returns.
var one = map[string]any{"n": 1}

func echoed(frame map[string]any) bool {
	result, _ := frame["result"].(map[string]any)
	return result["n"] == 1.0
}

func code(frame map[string]any) fault.Code {
	failure, _ := frame["error"].(map[string]any)
	text, _ := failure["code"].(string)
	return fault.Code(text)
}

func (c *client) refused(what string, frame map[string]any, want fault.Code) {
	c.t.Helper()
	if code(frame) != want || frame["result"] != nil {
		c.t.Errorf("%s: %v, want %s", what, frame, want)
	}
}

// ends requires that the server has closed the connection.
func (c *client) ends(what string) {
	c.t.Helper()
	if frame, err := readFrame(c.Conn); err == nil {
		c.t.Errorf("%s: connection goes on with %s", what, frame)
	}
}

func TestAnswers(t *testing.T) {
	c := connect(t, open(t, newStage(), nil))
	if frame := c.ask("echo", one); frame["status"] != 0.0 || !echoed(frame) {
		t.Errorf("echo: %v", frame)
	}
	c.refused("a request that is no object", c.ask("echo", 1), fault.BadRequest)
	if frame := c.ask("false", nil); frame["status"] != 1.0 ||
		frame["result"].(map[string]any)["ok"] != false {
		t.Errorf("false: %v", frame)
	}
	panicked := c.ask("panic", nil)
	c.refused("a command that panics", panicked, fault.Internal)
	if panicked["status"] != 3.0 {
		t.Errorf("panic: %v", panicked)
	}
	c.refused("an unknown command", c.ask("nothing", nil), fault.BadRequest)
	c.refused("a command that runs alone", c.ask("alone", one), fault.BadRequest)
	c.refused("cancelling nothing", c.ask("cancel", map[string]int{"job": 999}), fault.BadRequest)
	c.refused("cancelling without a number", c.ask("cancel", nil), fault.BadRequest)
	c.refused("a key that is not there", c.ask("load", map[string]string{"key": t.TempDir()}),
		fault.BadFile)
	if frame := c.ask("echo", one); !echoed(frame) {
		t.Errorf("after refusals: %v", frame)
	}
}

// After a frame that cannot be read the connection ends, and others go on.
func TestBadFrames(t *testing.T) {
	server := open(t, newStage(), nil)
	witness := connect(t, server)
	for name, send := range map[string]func(c *client){
		"too long":     func(c *client) { c.raw(MaxFrameBytes+1, nil) },
		"longest":      func(c *client) { c.raw(1<<32-1, nil) },
		"no JSON":      func(c *client) { c.raw(3, []byte("abc")) },
		"empty":        func(c *client) { c.raw(0, nil) },
		"no object":    func(c *client) { c.raw(2, []byte("[]")) },
		"without id":   func(c *client) { c.raw(18, []byte(`{"command":"echo"}`)) },
		"id of a kind": func(c *client) { c.raw(9, []byte(`{"id":12}`)) },
	} {
		c := connect(t, server)
		send(c)
		c.refused(name, c.read(), fault.BadRequest)
		c.ends(name)
	}
	cut := connect(t, server)
	cut.raw(100, []byte("{"))
	cut.Close()
	if frame := witness.ask("echo", one); !echoed(frame) {
		t.Errorf("another connection: %v", frame)
	}
}

func TestQueueIsBounded(t *testing.T) {
	s := newStage()
	server := open(t, s, func(c *Config) { c.Workers, c.Queue = 1, 1 })
	c := connect(t, server)
	c.send("runs", "hold", nil)
	<-s.entered
	c.send("waits", "echo", one)
	for server.queue.stats().Waiting == 0 {
		time.Sleep(time.Millisecond)
	}
	other := connect(t, server)
	other.refused("a job beyond the queue", other.ask("echo", one), fault.Busy)
	close(s.proceed)
	if frame := c.answer("waits"); !echoed(frame) {
		t.Errorf("the job that waited: %v", frame)
	}
	if frame := other.ask("echo", one); !echoed(frame) {
		t.Errorf("asking again: %v", frame)
	}
}

// jobOf reads the number of a job.
func (c *client) jobOf(id string) float64 {
	c.t.Helper()
	for {
		if frame := c.read(); frame["id"] == id && frame["job"] != nil {
			return frame["job"].(float64)
		}
	}
}

func TestCancel(t *testing.T) {
	s := newStage()
	server := open(t, s, nil)
	c := connect(t, server)
	c.send("runs", "hold", nil)
	running := c.jobOf("runs")
	<-s.entered
	c.send("waits", "echo", one)
	waiting := c.jobOf("waits")
	other := connect(t, server)
	if frame := other.ask("cancel",
		map[string]any{"job": waiting}); frame["result"].(map[string]any)["state"] != stateWaiting {
		t.Errorf("cancelling a waiting job: %v", frame)
	}
	c.refused("the waiting job", c.answer("waits"), fault.Cancelled)
	if frame := other.ask("cancel",
		map[string]any{"job": running}); frame["result"].(map[string]any)["state"] != stateRunning {
		t.Errorf("cancelling a running job: %v", frame)
	}
	if stats := server.queue.stats(); stats.Running != 1 {
		t.Errorf("a job within a stage has ended: %+v", stats)
	}
	close(s.proceed)
	c.refused("the running job, at its next stage", c.answer("runs"), fault.Cancelled)
}

// A client that goes takes its jobs with it.
func TestDisconnect(t *testing.T) {
	s := newStage()
	server := open(t, s, nil)
	c := connect(t, server)
	c.send("runs", "hold", nil)
	<-s.entered
	c.send("waits", "hold", nil)
	for server.queue.stats().Waiting == 0 {
		time.Sleep(time.Millisecond)
	}
	c.Close()
	for server.queue.stats().Waiting != 0 {
		time.Sleep(time.Millisecond)
	}
	close(s.proceed)
	rest(server)
	if len(s.entered) != 0 {
		t.Error("the waiting job was run for nobody")
	}
}

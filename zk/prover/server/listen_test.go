// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"provenance/zkprover/fault"
)

func TestSocketIsPrivate(t *testing.T) {
	server := open(t, newStage(), nil)
	path := strings.TrimPrefix(server.Address(), "unix:")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	config := Defaults
	config.Listen = server.Address()
	if _, err := New(config, nil); fault.Of(err).Code != fault.BadRequest {
		t.Errorf("a second server on the socket: %v", err)
	}
}

// A socket whose server was killed is replaced; any other file is not.
func TestWhatIsAtThePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	config := Defaults
	config.Listen = "unix:" + path
	dead, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	dead.Close()
	server, err := New(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	server.Stop(nil)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(config, nil); fault.Of(err).Code != fault.BadRequest {
		t.Errorf("a file at the path: %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, make([]byte, size), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	socket := "unix:" + filepath.Join(dir, "s")
	for name, change := range map[string]func(*Config){
		"no address":      func(c *Config) { c.Listen = "" },
		"no path":         func(c *Config) { c.Listen = "unix:" },
		"another network": func(c *Config) { c.Listen = "udp:127.0.0.1:0" },
		"tcp, no secret":  func(c *Config) { c.Listen = "tcp:127.0.0.1:0" },
		"readable secret": func(c *Config) {
			c.Listen, c.Secret = "tcp:127.0.0.1:0", write("readable", 32, 0o640)
		},
		"short secret": func(c *Config) {
			c.Listen, c.Secret = "tcp:127.0.0.1:0", write("short", 31, 0o600)
		},
		"absent secret": func(c *Config) {
			c.Listen, c.Secret = "tcp:127.0.0.1:0", filepath.Join(dir, "absent")
		},
		"no workers":     func(c *Config) { c.Workers = 0 },
		"no queue":       func(c *Config) { c.Queue = -1 },
		"no memory":      func(c *Config) { c.MemoryBytes = 0 },
		"negative cache": func(c *Config) { c.KeyCacheBytes = -1 },
		"negative grace": func(c *Config) { c.GraceSeconds = -1 },
	} {
		config := Defaults
		config.Listen = socket
		change(&config)
		if server, err := New(config, nil); err == nil {
			server.Stop(nil)
			t.Errorf("%s is accepted", name)
		}
	}
}

// On TCP a client that does not know the secret gets nothing done, whatever it answers; a used
// answer is of no use.
func TestSecret(t *testing.T) {
	secret := []byte(strings.Repeat("s", minSecretBytes))
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	server := open(t, newStage(), func(c *Config) { c.Listen, c.Secret = "tcp:127.0.0.1:0", path })
	var used string
	for name, reply := range map[string]func(challenge []byte) string{
		"right": func(challenge []byte) string {
			used = answer(secret, challenge)
			return used
		},
		"another secret": func(challenge []byte) string {
			return answer([]byte(strings.Repeat("t", minSecretBytes)), challenge)
		},
		"empty":    func([]byte) string { return "" },
		"a replay": func([]byte) string { return used },
	} {
		c := dial(t, server)
		challenge, err := hex.DecodeString(c.read()["challenge"].(string))
		if err != nil || len(challenge) != 32 {
			t.Fatalf("challenge %x, %v", challenge, err)
		}
		text, err := json.Marshal(map[string]string{"answer": reply(challenge)})
		if err != nil {
			t.Fatal(err)
		}
		c.raw(uint32(len(text)), text)
		if name == "right" {
			if frame := c.ask("echo", one); !echoed(frame) {
				t.Errorf("%s: %v", name, frame)
			}
			continue
		}
		c.refused(name, c.read(), fault.BadRequest)
		c.ends(name)
	}
	c := dial(t, server)
	c.read()
	c.send("x", "echo", one)
	c.refused("a request in the place of an answer", c.read(), fault.BadRequest)
	c.ends("a request in the place of an answer")
}

// At a shutdown running jobs finish within the grace, waiting ones are sent away, and new ones are
// refused.
func TestStop(t *testing.T) {
	s := newStage()
	server := open(t, s, func(c *Config) { c.GraceSeconds = 60 })
	c := connect(t, server)
	c.send("runs", "hold", nil)
	<-s.entered
	c.send("waits", "echo", one)
	c.jobOf("waits")
	stopped := make(chan int, 1)
	go func() { stopped <- server.Stop(nil) }()
	c.refused("the waiting job", c.answer("waits"), fault.Busy)
	c.refused("a new job", c.ask("echo", one), fault.Busy)
	close(s.proceed)
	if frame := c.answer("runs"); frame["result"] == nil {
		t.Errorf("the running job: %v", frame)
	}
	if left := <-stopped; left != 0 {
		t.Errorf("%d jobs left", left)
	}
}

// What still runs when the grace is over is reported.
func TestStopAbandons(t *testing.T) {
	s := newStage()
	server := open(t, s, func(c *Config) { c.GraceSeconds = 0 })
	c := connect(t, server)
	c.send("runs", "hold", nil)
	<-s.entered
	if left := server.Stop(nil); left != 1 {
		t.Errorf("%d jobs left, want 1", left)
	}
	c.refused("the abandoned job", c.answer("runs"), fault.Cancelled)
	close(s.proceed)
}

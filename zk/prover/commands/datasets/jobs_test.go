// SPDX-License-Identifier: Apache-2.0

package datasets

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
	"provenance/zkprover/proof"
	"provenance/zkprover/server"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// scene has three jobs, whose provers end when the test lets them.
type scene struct {
	running  running
	begun    chan int
	proceed  [3]chan error
	progress []string
}

func newScene(t *testing.T, most int) *scene {
	s := &scene{begun: make(chan int, 3)}
	call := server.NewCall(func(line string) { s.progress = append(s.progress, line) })
	key := fixture.Key(t, fixture.EpochShape)
	s.running = running{call: call, session: newSession(key), most: most}
	for i := range s.proceed {
		s.proceed[i] = make(chan error, 1)
		out := filepath.Join(t.TempDir(), fmt.Sprint(i))
		s.running.jobs = append(s.running.jobs, job{Chunk: i, Out: out})
	}
	return s
}

func (s *scene) statement(_ *session, j *job) (prover, error) {
	return func() (*proof.Proof, error) {
		s.begun <- j.Chunk
		if err := <-s.proceed[j.Chunk]; err != nil {
			return nil, err
		}
		return &proof.Proof{Kind: s.running.session.key.Shape.Kind}, nil
	}, nil
}

// written tells which jobs have a proof on disk.
func (s *scene) written() (out [3]bool) {
	for i, j := range s.running.jobs {
		_, err := os.Stat(j.Out)
		out[i] = err == nil
	}
	return out
}

func TestTheNextProofBeginsBeforeTheOneBeforeItIsDone(t *testing.T) {
	s := newScene(t, 2)
	go func() {
		first, second := <-s.begun, <-s.begun // neither has gone on
		s.proceed[max(first, second)] <- nil  // the second one ends first
		s.proceed[min(first, second)] <- nil
		s.proceed[<-s.begun] <- nil
	}()
	results, err := s.running.all(s.statement)
	if err != nil || len(results) != 3 || s.written() != [3]bool{true, true, true} {
		t.Fatalf("%v, %v", results, err)
	}
	for i, result := range results {
		if result.Chunk != i || result.Out != s.running.jobs[i].Out {
			t.Errorf("result %d is of chunk %d", i, result.Chunk)
		}
	}
	if len(s.progress) != 3 {
		t.Errorf("progress %v", s.progress)
	}
}

func TestOneAtATimeWithoutMemoryForTwo(t *testing.T) {
	s := newScene(t, 1)
	go func() {
		for range 3 {
			s.proceed[<-s.begun] <- nil
		}
	}()
	if _, err := s.running.all(s.statement); err != nil {
		t.Fatal(err)
	}
	if len(s.running.begun) != 0 {
		t.Error("a job was left")
	}
}

// A job that fails ends the request; what was written before it stays, and what runs beside it
// ends before the request does.
func TestAFailingJobEndsTheRequest(t *testing.T) {
	s := newScene(t, 2)
	s.proceed[0] <- nil
	s.proceed[1] <- fault.New(fault.Unproven, "the statement is false")
	s.proceed[2] <- nil
	_, err := s.running.all(s.statement)
	if f, ok := err.(*fault.Error); !ok || f.Code != fault.Unproven {
		t.Fatal(err)
	}
	if written := s.written(); !written[0] || written[1] {
		t.Errorf("written %v", written)
	}
	if started := len(s.begun); started != 2 && started != 3 {
		t.Errorf("%d jobs began", started)
	}
}

func TestAPanicOfAProofReachesTheRequest(t *testing.T) {
	s := newScene(t, 2)
	defer func() {
		if reason := recover(); reason != "impossible witness" {
			t.Errorf("recovered %v", reason)
		}
	}()
	_, _ = s.running.all(func(*session, *job) (prover, error) {
		return func() (*proof.Proof, error) { panic("impossible witness") }, nil
	})
}

// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"sync"

	"provenance/zkprover/fault"
)

// job is one request between its admission and its answer.
type job struct {
	number  uint64
	need    need
	context context.Context
	cancel  context.CancelFunc
	run     func(*job)
	started func()
	// called when the job was cancelled or refused; without the lock, since it writes to a client
	dropped func(*fault.Error)
	key     *entry
}

// queue admits jobs and starts them in the order in which they came. It keeps the memory predicted
// for them below the limit: the first job in line waits until it fits. Those behind it wait, too,
// so that a large job is not passed over for ever.
type queue struct {
	mu       sync.Mutex
	workers  int
	length   int
	limit    int64 // bytes
	keys     store
	waiting  []*job
	running  map[*job]struct{}
	reserved int64 // by running jobs, without their keys
	number   uint64
	done     uint64
	closed   bool
	idle     chan struct{} // closed once the queue is closed and nothing runs
}

// submit queues a job, or refuses it: TooLarge if it can never fit, Busy if the queue is full or
// closing.
func (q *queue) submit(j *job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if total := processBytes + j.need.bytes + j.need.job; total > q.limit {
		return fault.Differs(fault.TooLarge, "memory predicted for the job in bytes",
			q.limit, total).
			WithHint("serve with a higher memory_bytes, or use a key with fewer slots")
	}
	if q.closed {
		return fault.New(fault.Busy, "server is shutting down").
			WithHint("ask another server, or again when it is back")
	}
	if len(q.waiting) >= q.length {
		return fault.Differs(fault.Busy, "jobs waiting", q.length, len(q.waiting)+1).
			WithHint("ask again later")
	}
	q.number++
	j.number = q.number
	q.waiting = append(q.waiting, j)
	q.start()
	return nil
}

// start starts waiting jobs while there is room. The caller holds the lock.
func (q *queue) start() {
	for len(q.waiting) > 0 && len(q.running) < q.workers && q.fits(q.waiting[0]) {
		j := q.waiting[0]
		q.waiting = q.waiting[1:]
		if j.need.key.dir != "" {
			j.key = q.keys.take(j.need.key, j.need.bytes)
		}
		q.reserved += j.need.job
		q.running[j] = struct{}{}
		go func() {
			j.started()
			j.run(j)
			q.finish(j)
		}()
	}
}

// fits tells whether a job can start now. It drops idle keys to make room.
func (q *queue) fits(j *job) bool {
	want := processBytes + q.reserved + j.need.job
	var own *entry
	if j.need.key.dir != "" {
		if own = q.keys.find(j.need.key); own == nil {
			want += j.need.bytes
		}
	}
	return q.keys.evict(q.limit-want, own)
}

// second reserves the memory of one more proof for a running job, if it is there and nobody waits.
// No key is dropped for it: reading one takes longer than a second proof saves.
func (q *queue) second(j *job) (done func(), ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	want := processBytes + q.reserved + j.need.proof + q.keys.bytes()
	if len(q.waiting) > 0 || want > q.limit {
		return nil, false
	}
	q.reserved += j.need.proof
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.reserved -= j.need.proof
		q.start()
	}, true
}

func (q *queue) finish(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.cancel()
	q.done++
	q.reserved -= j.need.job
	delete(q.running, j)
	if j.key != nil {
		q.keys.release(j.key, q.done)
	}
	q.start()
	if q.closed && len(q.running) == 0 {
		close(q.idle)
	}
}

// cancel gives up a job: at once if it waits, at its next stage if it runs. It returns the job's
// state, empty if there is no such job.
func (q *queue) cancel(number uint64, why *fault.Error) string {
	state, dropped := q.find(number)
	if dropped != nil {
		dropped.dropped(why)
	}
	return state
}

func (q *queue) find(number uint64) (state string, dropped *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, j := range q.waiting {
		if j.number == number {
			q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
			j.cancel()
			q.start() // the jobs behind it may fit now
			return stateWaiting, j
		}
	}
	for j := range q.running {
		if j.number == number {
			j.cancel()
			return stateRunning, nil
		}
	}
	return "", nil
}

// close refuses the jobs that wait and all that come later. It returns a channel that is closed
// when no job runs any more.
func (q *queue) close(why *fault.Error) <-chan struct{} {
	q.mu.Lock()
	waiting := q.waiting
	q.waiting = nil
	if !q.closed && len(q.running) == 0 {
		close(q.idle)
	}
	q.closed = true
	q.mu.Unlock()
	for _, j := range waiting {
		j.cancel()
		j.dropped(why)
	}
	return q.idle
}

// abandon sends the client of every running job this fault, and returns how many there are. The
// caller then ends the process.
func (q *queue) abandon(why *fault.Error) int {
	q.mu.Lock()
	var left []*job
	for j := range q.running {
		left = append(left, j)
	}
	q.mu.Unlock()
	for _, j := range left {
		j.cancel()
		j.dropped(why)
	}
	return len(left)
}

// keyStats is a key in memory, for [Stats].
type keyStats struct {
	VKID  string `json:"vkId"`
	Part  string `json:"part"`
	Bytes int64  `json:"bytes"`
	Users int    `json:"users"`
}

// Stats is the answer to the command `stats`.
type Stats struct {
	Workers int   `json:"workers"`
	Queue   int   `json:"queue"`
	Limit   int64 `json:"memoryBytes"`
	// memory predicted for the process, its keys and its running jobs
	Reserved int64      `json:"reservedBytes"`
	Running  int        `json:"running"`
	Waiting  int        `json:"waiting"`
	Done     uint64     `json:"done"`
	KeyLoads int        `json:"keyLoads"`
	Keys     []keyStats `json:"keys"`
}

func (q *queue) stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := Stats{Workers: q.workers, Queue: q.length, Limit: q.limit, Running: len(q.running),
		Waiting: len(q.waiting),
		Reserved: processBytes + q.reserved +
			q.keys.bytes(), Done: q.done, KeyLoads: q.keys.loads, Keys: []keyStats{}}
	for _, e := range q.keys.entries {
		out.Keys = append(out.Keys, keyStats{e.name.id, string(e.name.part), e.bytes, e.users})
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"time"

	"provenance/zkprover/fault"
)

// MaxFrameBytes is the largest size of a frame, which carries a request of at most 16 MiB.
const MaxFrameBytes = 16<<20 + 1<<10

const (
	// frameTime is how long the rest of a frame may take after its length was read, and how long a
	// client may take to read an answer.
	frameTime = 30 * time.Second
	// helloTime is how long a client may take to answer the challenge.
	helloTime = 10 * time.Second
)

// A frame is the number of bytes that follow, as a big-endian u32, and then one JSON object.

// request is what a client sends.
type request struct {
	ID      string          `json:"id"`
	Command string          `json:"command"`
	Request json.RawMessage `json:"request"`
}

// response is what a client gets. A request is answered by any number of frames with state or
// progress, and then one with the result or an error.
type response struct {
	ID       string       `json:"id"`
	Job      uint64       `json:"job,omitempty"`
	State    string       `json:"state,omitempty"`
	Progress string       `json:"progress,omitempty"`
	Status   *int         `json:"status,omitempty"`
	Result   any          `json:"result,omitempty"`
	Error    *fault.Error `json:"error,omitempty"`
}

// readFrame reads one frame. It checks the length before it allocates anything for it.
func readFrame(c net.Conn) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:1]); err != nil {
		return nil, err
	}
	if err := c.SetReadDeadline(time.Now().Add(frameTime)); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c, head[1:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > MaxFrameBytes {
		return nil, fault.Differs(fault.BadRequest, "length of a frame in bytes",
			MaxFrameBytes, size)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(c, data); err != nil {
		return nil, err
	}
	return data, c.SetReadDeadline(time.Time{})
}

// writeFrame writes one frame. It fails if the client does not read it in time.
func writeFrame(c net.Conn, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(text)), uint32(len(text)))
	if err := c.SetWriteDeadline(time.Now().Add(frameTime)); err != nil {
		return err
	}
	_, err = c.Write(append(frame, text...))
	return err
}

// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"path/filepath"

	"provenance/zkprover/fault"
	"provenance/zkprover/files"
	"provenance/zkprover/keys"
)

// Seal verifies the open phase and closes it with a beacon: a value that nobody could know when the
// last contribution was made. When it closes phase 1, it writes the start of phase 2 and returns
// nil. When it closes phase 2, the ceremony ends, and it returns what [Verify] returns from then
// on.
func Seal(dir string, minimum int, beacon keys.Beacon) (*Result, error) {
	if minimum < MinContributions {
		return nil, fault.Differs(fault.BadRequest, "minimum of contributions",
			MinContributions, minimum)
	}
	m, circuit, unlock, err := openTranscript(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	number := m.open()
	if err := m.requireContributions(number, minimum); err != nil {
		return nil, err
	}
	m.phase(number).Beacon = &beacon
	if err := m.check(); err != nil {
		return nil, err
	}
	var result *Result
	if number == phase1 {
		err = startPhase2(dir, m, circuit)
	} else if err = m.requireFiles(dir); err == nil {
		result, err = recompute(dir, m, circuit)
	}
	if err != nil {
		return nil, err
	}
	// The phase is closed from this rename on. After a crash before it, the start of phase 2 is
	// written again.
	return result, files.Write(filepath.Join(dir, FileManifest), m.encode(), files.Public)
}

func startPhase2(dir string, m *Manifest, circuit *keys.Circuit) error {
	commons, err := verifyPhase1(dir, m, circuit)
	if err != nil {
		return err
	}
	start, _ := newSecondPhase(circuit, commons)
	return writeState(filepath.Join(dir, fileName(phase2, 0)), circuit,
		header{phase: phase2}, start)
}

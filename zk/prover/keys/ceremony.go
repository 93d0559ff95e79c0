// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"reflect"

	"provenance/zkprover/fault"
)

// The classes of keys.
const (
	ClassDevelopment = "dev"      // whoever ran the setup can forge proofs
	ClassCeremony    = "ceremony" // only all contributors together could
)

// Beacon is the public randomness that closed a ceremony: 32 bytes in hexadecimal, and where anyone
// can look them up.
type Beacon struct {
	Value  string `json:"value"`
	Source string `json:"source"`
}

// StoreCeremony writes the key of a ceremony into the cache, unless it is there already. transcript
// is the digest of the ceremony's transcript, and names the folder. If a folder of that name holds
// another key, it returns an error.
func StoreCeremony(
	m *Material, transcript string, beacon Beacon, cache string,
) (dir string, reused bool, err error) {
	origin := Info{Class: ClassCeremony, Transcript: transcript, Beacon: &beacon}
	name := ClassCeremony + "-" + transcript[len(digestPrefix):]
	dir, reused, err = m.circuit.store(cache, name, origin, func() (*Material, error) {
		return m, nil
	})
	if err == nil && reused {
		err = RequireSame(m, transcript, beacon, dir)
	}
	return dir, reused, err
}

// RequireSame requires (mismatch) that every file of a key folder is what the ceremony gives:
// verifying key, proving key, circuit, bases, and the facts of key.json.
func RequireSame(m *Material, transcript string, beacon Beacon, dir string) error {
	info, err := LoadInfo(dir)
	if err != nil {
		return err
	}
	digests := map[string]string{}
	for _, file := range m.files() {
		hash := sha256.New()
		if _, err := file.content(hash); err != nil {
			return fault.New(fault.Internal, "%v", err)
		}
		digests[file.name] = hex.EncodeToString(hash.Sum(nil))
		if err := requireDigest(dir, file.name, digests[file.name]); err != nil {
			return err
		}
	}
	want := m.info(Info{Class: ClassCeremony, Transcript: transcript, Beacon: &beacon}, digests)
	if !reflect.DeepEqual(*info, want) {
		return fault.New(fault.Mismatch, "%s does not state what the transcript gives",
			filepath.Join(dir, FileInfo))
	}
	return nil
}

func requireDigest(dir, name, want string) error {
	got, err := fileDigest(dir, name)
	if err != nil {
		return err
	}
	if got != want {
		return fault.Differs(fault.Mismatch, "SHA-256 of "+name+", which the transcript gives",
			want, got)
	}
	return nil
}

// checkClass requires that key.json names a transcript and a beacon exactly when the key is of a
// ceremony.
func (i *Info) checkClass() error {
	of := i.Transcript != "" && i.Beacon != nil
	none := i.Transcript == "" && i.Beacon == nil
	if i.Class == ClassCeremony && of || i.Class == ClassDevelopment && none {
		return nil
	}
	return fault.Differs(fault.BadKey, "class of key.json",
		"dev, or ceremony with transcript and beacon", i.Class)
}

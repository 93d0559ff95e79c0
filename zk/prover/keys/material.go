// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"
	cs "github.com/consensys/gnark/constraint/bn254"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
)

// Circuit is a compiled circuit and its serialization. The SHA-256 of the latter names the circuit.
type Circuit struct {
	Shape  circuits.Shape
	System *cs.R1CS
	Digest [sha256.Size]byte

	serialized []byte
}

// Compile compiles the circuit of a shape.
func Compile(shape circuits.Shape) (*Circuit, error) {
	system, err := circuits.Compile(shape)
	if err != nil {
		return nil, fault.New(fault.BadRequest, "%v", err)
	}
	var serialized bytes.Buffer
	if _, err := system.WriteTo(&serialized); err != nil {
		return nil, fault.New(fault.Internal, "%v", err)
	}
	digest := sha256.Sum256(serialized.Bytes())
	return &Circuit{Shape: shape, System: system, Digest: digest,
		serialized: serialized.Bytes()}, nil
}

// Name is the digest in hexadecimal.
func (c *Circuit) Name() string { return hex.EncodeToString(c.Digest[:]) }

// Material is everything that a key folder is written from.
type Material struct {
	Verifying *Verifying

	circuit *Circuit
	proving *groth16.ProvingKey
	gnark   *groth16.VerifyingKey
	bases   [][]bn254.G1Affine
}

// Material joins a circuit and its keys. It refuses (bad_key) what [FromGnark] refuses.
func (c *Circuit) Material(pk *groth16.ProvingKey, vk *groth16.VerifyingKey) (*Material, error) {
	m := &Material{circuit: c, proving: pk, gnark: vk}
	for i := range pk.CommitmentKeys {
		m.bases = append(m.bases, pk.CommitmentKeys[i].Basis)
	}
	var err error
	m.Verifying, err = FromGnark(vk, c.Shape, m.bases)
	return m, err
}

// content is one file of a key folder.
type content struct {
	name    string
	content func(io.Writer) (int64, error)
}

// files are the files of the key folder, without key.json.
func (m *Material) files() []content {
	list := []content{
		{FileSystem, writeBytes(m.circuit.serialized)},
		{FileProver, m.proving.WriteRawTo},
		{FileGnark, m.gnark.WriteRawTo},
		{FileWords, writeBytes(m.Verifying.Bytes())},
	}
	if len(m.bases) == 0 {
		return list
	}
	var all []byte
	for _, b := range m.bases {
		all = append(all, encodeBases(b)...)
	}
	return append(list, content{FileBases, writeBytes(all)})
}

func (m *Material) info(origin Info, digests map[string]string) Info {
	shape := m.circuit.Shape
	return Info{Format: format, Kind: shape.Kind, Slots: shape.Slots, Depth: shape.Depth,
		CircuitDigest: digestPrefix + m.circuit.Name(), VKID: m.Verifying.ID().Hex(),
		Class:       origin.Class,
		Constraints: m.circuit.System.GetNbConstraints(), Gnark: gnarkVersion, Files: digests,
		Transcript: origin.Transcript, Beacon: origin.Beacon}
}

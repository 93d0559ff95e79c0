// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"runtime"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	cmpc "github.com/consensys/gnark-crypto/ecc/bn254/mpcsetup"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"
	"github.com/consensys/gnark/backend/groth16/bn254/mpcsetup"
	gnarkio "github.com/consensys/gnark/io"

	"provenance/zkprover/keys"
)

// secondPhase is a state of phase 2. Parameters, start, the proof of delta and the last step with
// the beacon are gnark's; contributions to sigma are proved and verified here ([sigmaProof]).
// gnark's own proofs of sigma stay empty and are not written.
type secondPhase struct {
	gnark  mpcsetup.Phase2
	sigmas []sigmaProof
}

// newSecondPhase is the start of phase 2 of a circuit: delta and each sigma are 1.
func newSecondPhase(
	circuit *keys.Circuit, commons *mpcsetup.SrsCommons,
) (*secondPhase, *mpcsetup.Phase2Evaluations) {
	s := new(secondPhase)
	evaluations := s.gnark.Initialize(circuit.System, commons)
	s.sigmas = make([]sigmaProof, len(s.gnark.Sigmas))
	return s, &evaluations
}

// Contribute multiplies the secrets by fresh ones from the system's generator.
func (s *secondPhase) Contribute() {
	secrets := make(fr.Vector, 1+len(s.sigmas))
	secrets.MustSetRandom()
	s.multiply(secrets)
	clear(secrets)
}

// multiply multiplies delta by the first secret, and each sigma by one of the others.
func (s *secondPhase) multiply(secrets []fr.Element) {
	digest := sha256.Sum256(encode(s))
	p := &s.gnark.Parameters
	s.gnark.Challenge = digest[:]
	delta, sigmas := secrets[0], secrets[1:]
	s.gnark.Delta = cmpc.UpdateValues(&delta, digest[:], mpcsetup.DST_DELTA, &p.G1.Delta,
		&p.G2.Delta)
	delta.Inverse(&delta)
	scale(p.G1.Z, &delta)
	scale(p.G1.PKK, &delta)
	for i := range sigmas {
		u := &sigmaUpdate{state: digest[:], index: i, before: p.G2.Sigma[i]}
		p.G2.Sigma[i] = *timesG2(&u.before, &sigmas[i])
		scale(p.G1.SigmaCKK[i], &sigmas[i])
		u.next = p.G2.Sigma[i]
		s.sigmas[i] = proveSigma(&sigmas[i], u)
	}
}

// verify requires that next (attacker-controlled, but read with [parseState] and of this circuit)
// was made from s by someone who knew the secrets. The caller compares the digests.
func (s *secondPhase) verify(next *secondPhase) error {
	before, after := &s.gnark.Parameters, &next.gnark.Parameters
	for i := range s.sigmas {
		p := &next.sigmas[i]
		err := p.verify(&sigmaUpdate{state: next.gnark.Challenge, index: i,
			before: before.G2.Sigma[i], next: after.G2.Sigma[i]})
		if err == nil {
			err = p.verifyBases(before.G1.SigmaCKK[i], after.G1.SigmaCKK[i])
		}
		if err != nil {
			return fmt.Errorf("sigma %d: %w", i, err)
		}
	}
	// Z and PKK have delta in their denominators, so they are compared the other way round.
	err := next.gnark.Delta.Verify(next.gnark.Challenge, mpcsetup.DST_DELTA,
		cmpc.ValueUpdate{Previous: &before.G1.Delta, Next: &after.G1.Delta},
		cmpc.ValueUpdate{Previous: &before.G2.Delta, Next: &after.G2.Delta},
		cmpc.ValueUpdate{Previous: after.G1.Z, Next: before.G1.Z},
		cmpc.ValueUpdate{Previous: after.G1.PKK, Next: before.G1.PKK})
	if err != nil {
		return fmt.Errorf("delta: %w", err)
	}
	return nil
}

// seal applies the beacon and returns the keys. The state is of no use afterwards. gnark hashes the
// beacon with its own serialization, which the digest of ours is made a part of.
func (s *secondPhase) seal(
	commons *mpcsetup.SrsCommons, evaluations *mpcsetup.Phase2Evaluations, beacon []byte,
) (*groth16.ProvingKey, *groth16.VerifyingKey) {
	digest := sha256.Sum256(encode(s))
	s.gnark.Challenge = digest[:]
	pk, vk := s.gnark.Seal(commons, evaluations, beacon)
	return pk.(*groth16.ProvingKey), vk.(*groth16.VerifyingKey)
}

// parts are the parameters and proofs in the order of the serialization ([layoutOfPhase2]).
func (s *secondPhase) parts() (parameters []any, proofs []readWriter) {
	p := &s.gnark.Parameters
	parameters = []any{&p.G1.Delta, &p.G1.PKK, &p.G1.Z, &p.G2.Delta}
	for i := range p.G1.SigmaCKK {
		parameters = append(parameters, &p.G1.SigmaCKK[i])
	}
	for i := range p.G2.Sigma {
		parameters = append(parameters, &p.G2.Sigma[i])
	}
	proofs = []readWriter{&s.gnark.Delta}
	for i := range s.sigmas {
		proofs = append(proofs, &s.sigmas[i])
	}
	return parameters, proofs
}

type readWriter interface {
	io.WriterTo
	io.ReaderFrom
}

// WriteTo implements io.WriterTo.
func (s *secondPhase) WriteTo(to io.Writer) (n int64, err error) {
	count := binary.BigEndian.AppendUint16(nil, uint16(len(s.sigmas)))
	if _, err := to.Write(count); err != nil {
		return 0, err
	}
	encoder := bn254.NewEncoder(to)
	parameters, proofs := s.parts()
	for _, part := range parameters {
		if err := encoder.Encode(part); err != nil {
			return 0, err
		}
	}
	n = int64(len(count)) + encoder.BytesWritten()
	for _, part := range proofs {
		written, err := part.WriteTo(to)
		if n += written; err != nil {
			return n, err
		}
	}
	written, err := gnarkio.WriteBytesShort(s.gnark.Challenge, to)
	return n + written, err
}

// ReadFrom implements io.ReaderFrom. The caller compared all lengths with the circuit's layout.
func (s *secondPhase) ReadFrom(from io.Reader) (n int64, err error) {
	var count [2]byte
	if _, err := io.ReadFull(from, count[:]); err != nil {
		return 0, err
	}
	sigmas := int(binary.BigEndian.Uint16(count[:]))
	s.gnark.Sigmas = make([]cmpc.UpdateProof, sigmas)
	s.gnark.Parameters.G1.SigmaCKK = make([][]bn254.G1Affine, sigmas)
	s.gnark.Parameters.G2.Sigma = make([]bn254.G2Affine, sigmas)
	s.sigmas = make([]sigmaProof, sigmas)
	decoder := bn254.NewDecoder(from)
	parameters, proofs := s.parts()
	for _, part := range parameters {
		if err := decoder.Decode(part); err != nil {
			return 0, err
		}
	}
	n = int64(len(count)) + decoder.BytesRead()
	for _, part := range proofs {
		read, err := part.ReadFrom(from)
		if n += read; err != nil {
			return n, err
		}
	}
	challenge, read, err := gnarkio.ReadBytesShort(from)
	s.gnark.Challenge = challenge
	return n + read, err
}

// scale multiplies each point by a number, on all cores.
func scale(points []bn254.G1Affine, by *fr.Element) {
	factor := by.BigInt(new(big.Int))
	each := (len(points) + runtime.NumCPU() - 1) / runtime.NumCPU()
	var wait sync.WaitGroup
	for begin := 0; begin < len(points); begin += each {
		wait.Go(func() {
			for i := begin; i < min(len(points), begin+each); i++ {
				points[i].ScalarMultiplication(&points[i], factor)
			}
		})
	}
	wait.Wait()
}

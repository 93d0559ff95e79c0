// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/big"
	"path/filepath"
	"sync"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	cmpc "github.com/consensys/gnark-crypto/ecc/bn254/mpcsetup"
	"github.com/consensys/gnark/backend/groth16/bn254/mpcsetup"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/internal/gnark"
	"provenance/zkprover/keys"
	"provenance/zkprover/kinds"
	"provenance/zkprover/proof"
	"provenance/zkprover/verify"
)

var colludedShape = circuits.Shape{Kind: kinds.Epoch, Slots: 4}

// collusion is a ceremony in whose second phase Mallory, who stands for all contributors but one,
// keeps her secrets and contributes first. Ada is honest and contributes last.
type collusion struct {
	folder  string
	key     *keys.Key
	payload []byte       // of Ada's contribution: public
	factors []fr.Element // of each sigma, without Ada's: Mallory knows them
	ada     []fr.Element // of each sigma: Ada forgot them, the test did not
}

var colluded = sync.OnceValues(func() (*collusion, error) {
	c := new(collusion)
	err := c.run()
	return c, err
})

func collude(t *testing.T) *collusion {
	t.Helper()
	c, err := colluded()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *collusion) run() (err error) {
	if c.folder, err = temporary(); err != nil {
		return err
	}
	dir := filepath.Join(c.folder, "transcript")
	if _, err := Begin(colludedShape, dir); err != nil {
		return err
	}
	for i, name := range []string{"Ada", "Berta"} {
		if err := contribute(dir, phase1, i, name); err != nil {
			return err
		}
	}
	if _, err := Seal(dir, 2, beacons[1]); err != nil {
		return err
	}
	for i, name := range []string{"Mallory", "Ada"} {
		secrets := make(fr.Vector, 1+circuits.EpochCommitments)
		secrets.MustSetRandom()
		if err := contributeWith(dir, i, name, secrets); err != nil {
			return err
		}
		c.factors, c.ada = c.ada, secrets[1:]
	}
	if err := c.addBeacon(dir); err != nil {
		return err
	}
	result, err := Seal(dir, 2, beacons[2])
	if err != nil {
		return err
	}
	folder, _, err := result.Store(filepath.Join(c.folder, "cache"))
	if err == nil {
		c.folder = folder
		c.key, err = keys.Load(folder)
	}
	return err
}

// contributeWith contributes to phase 2 with the given secrets, delta's first, and submits it.
func contributeWith(dir string, index int, name string, secrets []fr.Element) error {
	return contributeChanged(dir, index, name, func(s *secondPhase) { s.multiply(secrets) })
}

func contributeChanged(dir string, index int, name string, change func(s *secondPhase)) error {
	circuit, h, err := circuitOf(filepath.Join(dir, fileName(phase2, index)))
	if err != nil {
		return err
	}
	last, err := load(filepath.Join(dir, fileName(phase2, index)), circuit,
		header{phase: phase2, index: index})
	if err != nil {
		return err
	}
	change(last.state.(*secondPhase))
	out := filepath.Join(dir, ".mine")
	h.index, h.name = index+1, name
	if err := writeState(out, circuit, *h, last.state); err != nil {
		return err
	}
	_, err = Accept(dir, out)
	return err
}

// addBeacon multiplies Mallory's factors by those of the beacon, which everybody can compute.
func (c *collusion) addBeacon(dir string) error {
	path := filepath.Join(dir, fileName(phase2, 2))
	circuit, _, err := circuitOf(path)
	if err != nil {
		return err
	}
	last, err := load(path, circuit, header{phase: phase2, index: 2})
	if err != nil {
		return err
	}
	s := last.state.(*secondPhase)
	c.payload = encode(s)
	digest := sha256.Sum256(c.payload)
	s.gnark.Challenge = digest[:]
	hash := sha256.New()
	if _, err := s.gnark.WriteTo(hash); err != nil {
		return err
	}
	public := cmpc.BeaconContributions(hash.Sum(nil), []byte("Groth16 MPC Setup - Phase2"),
		beaconValue(&beacons[2]), 1+len(c.factors))
	for i := range c.factors {
		c.factors[i].Mul(&c.factors[i], &public[1+i])
	}
	return nil
}

func timesG1(p bn254.G1Affine, by ...*fr.Element) (q bn254.G1Affine) {
	q.Set(&p)
	for _, factor := range by {
		q.ScalarMultiplication(&q, factor.BigInt(new(big.Int)))
	}
	return q
}

// candidates are the sigmas that Mallory can derive from a file: of every point of G1 that stands
// anywhere in it, or its negative, she tries whether it is [x]_1 for Ada's factor x of a sigma. The
// answer is [sigma]_1 by the number of the commitment.
func (c *collusion) candidates(t *testing.T, payload []byte) map[int]bn254.G1Affine {
	t.Helper()
	found := map[int]bn254.G1Affine{}
	_, _, _, one := bn254.Generators()
	for offset := 0; offset+g1Bytes <= len(payload); offset++ {
		var point bn254.G1Affine
		if _, err := point.SetBytes(payload[offset : offset+g1Bytes]); err != nil ||
			point.IsInfinity() {
			continue
		}
		for i := range c.factors {
			sigma := timesG1(point, &c.factors[i])
			k := &c.key.Verifying.Knowledge[i]
			same, err := bn254.Pair([]bn254.G1Affine{sigma}, []bn254.G2Affine{one})
			if err != nil {
				t.Fatal(err)
			}
			if same.Equal(c.target(t, k, false)) || same.Equal(c.target(t, k, true)) {
				found[i] = sigma
			}
		}
	}
	return found
}

var targets = map[bn254.G2Affine][2]bn254.GT{}

// target is e([1]_1, -sigma) of a commitment's key, or its inverse.
func (c *collusion) target(t *testing.T, k *keys.Knowledge, inverse bool) *bn254.GT {
	t.Helper()
	pair, ok := targets[k.SigmaNeg]
	if !ok {
		_, _, one, _ := bn254.Generators()
		value, err := bn254.Pair([]bn254.G1Affine{one}, []bn254.G2Affine{k.SigmaNeg})
		if err != nil {
			t.Fatal(err)
		}
		pair[0] = value
		pair[1].Inverse(&value)
		targets[k.SigmaNeg] = pair
	}
	if inverse {
		return &pair[1]
	}
	return &pair[0]
}

// sigmas are [sigma]_1 of all commitments, which needs Ada's secrets.
func (c *collusion) sigmas() (points []bn254.G1Affine) {
	_, _, one, _ := bn254.Generators()
	for i := range c.ada {
		points = append(points, timesG1(one, &c.factors[i], &c.ada[i]))
	}
	return points
}

// shift adds by [1]_1 to a commitment, and by [sigma]_1 to its proof of knowledge.
func shift(p *proof.Proof, i int, sigma *bn254.G1Affine, by *fr.Element) {
	_, _, one, _ := bn254.Generators()
	more, known := timesG1(one, by), timesG1(*sigma, by)
	p.Commitments[i].Add(&p.Commitments[i], &more)
	p.Knowledge[i].Add(&p.Knowledge[i], &known)
}

// All contributors but one try to learn a sigma and to show knowledge of D + c[1]_1 and P - c[1]_1.
// With gnark's contributions, which publish [x]_1, they did.
func TestAllButOneDoNotLearnSigma(t *testing.T) {
	c := collude(t)
	if found := c.candidates(t, c.payload); len(found) != 0 {
		t.Errorf("Mallory learns [sigma]_1 of commitments %v", found)
	}
	_, _, one, _ := bn254.Generators()
	for i := range c.ada {
		leak := timesG1(one, &c.ada[i])
		encoded := leak.Bytes()
		found := c.candidates(t, append(bytes.Clone(c.payload[:9]), encoded[:]...))
		if len(found) != 1 || found[i] != c.sigmas()[i] {
			t.Errorf("the search does not see [x]_1 of commitment %d: %v", i, found)
		}
	}
	vk, err := gnark.Load(c.folder)
	if err != nil {
		t.Fatal(err)
	}
	p, constant := honestProof(t, c), fr.NewElement(5)
	guess := make([]bn254.G1Affine, len(c.factors))
	for i := range guess {
		guess[i] = timesG1(one, &c.factors[i])
	}
	shift(p, keys.VectorData, &guess[keys.VectorData], &constant)
	shift(p, keys.VectorPosition, &guess[keys.VectorPosition], constant.Neg(&constant))
	if err := verify.Verify(c.key.Verifying, p, verify.MaskAll); !errors.Is(err,
		verify.ErrKnowledge) {
		t.Errorf("D + c, P - c with what Mallory has: %v", err)
	}
	if gnark.Verify(vk, p) == nil {
		t.Error("gnark accepts D + c, P - c with what Mallory has")
	}
}

// A contribution as gnark makes it is refused, under the old name of the format and the new one.
func TestContributionThatPublishesSigma(t *testing.T) {
	dir := transcript(t, epochShape)
	rewrite(t, dir, func(m *Manifest) {
		m.Phase2 = Phase{Contributions: []Contribution{}}
	})
	circuit := circuitOfShape(t, epochShape)
	last, err := load(filepath.Join(dir, fileName(phase2, 0)), circuit, header{phase: phase2})
	if err != nil {
		t.Fatal(err)
	}
	var p mpcsetup.Phase2 = last.state.(*secondPhase).gnark
	p.Contribute()
	var payload bytes.Buffer
	if _, err := p.WriteTo(&payload); err != nil {
		t.Fatal(err)
	}
	h := header{phase: phase2, index: 1, shape: epochShape, circuit: circuit.Digest, name: "old"}
	file := append(h.encode(), payload.Bytes()...)
	put(t, dir, ".old", file)
	_, err = Accept(dir, filepath.Join(dir, ".old"))
	requireFault(t, "gnark's contribution", err, fault.BadFile, "bytes of")
	put(t, dir, ".old", append([]byte("provenance-mpc/1"), file[len(magic):]...))
	_, err = Accept(dir, filepath.Join(dir, ".old"))
	requireFault(t, "gnark's contribution in its format", err, fault.BadFile, "first bytes")
}

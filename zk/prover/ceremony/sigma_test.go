// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/internal/fixture"
)

// secondPhaseOpen is a transcript whose second phase has no contribution yet.
func secondPhaseOpen(t *testing.T) string {
	t.Helper()
	dir := transcript(t, epochShape)
	rewrite(t, dir, func(m *Manifest) { m.Phase2 = Phase{Contributions: []Contribution{}} })
	return dir
}

func randomSecrets() []fr.Element {
	secrets := make(fr.Vector, 1+circuits.EpochCommitments)
	secrets.MustSetRandom()
	return secrets
}

func TestSigmaProofIsAboutItsUpdateAlone(t *testing.T) {
	_, _, _, g := bn254.Generators()
	x, s, other := fixture.Scalar(), fixture.Scalar(), fixture.Scalar()
	before := *timesG2(&g, &s)
	honest := sigmaUpdate{state: make([]byte, 32), index: 1, before: before,
		next: *timesG2(&before, &x)}
	for name, change := range map[string]func(p *sigmaProof, u *sigmaUpdate){
		"honest":        func(*sigmaProof, *sigmaUpdate) {},
		"X":             func(p *sigmaProof, _ *sigmaUpdate) { p.factor = *timesG2(&g, &other) },
		"challenge":     func(p *sigmaProof, _ *sigmaUpdate) { p.challenge = other },
		"response":      func(p *sigmaProof, _ *sigmaUpdate) { p.response = other },
		"another state": func(_ *sigmaProof, u *sigmaUpdate) { u.state = []byte{31: 1} },
		"another sigma": func(_ *sigmaProof, u *sigmaUpdate) { u.index = 0 },
		"before":        func(_ *sigmaProof, u *sigmaUpdate) { u.before = g },
		"next":          func(_ *sigmaProof, u *sigmaUpdate) { u.next = *timesG2(&before, &other) },
		"X alone is proved": func(p *sigmaProof, u *sigmaUpdate) {
			u.next = *timesG2(&before, &other)
			*p = proveSigma(&x, u)
		},
		"next alone is proved": func(p *sigmaProof, u *sigmaUpdate) {
			*p = proveSigma(&x, u)
			p.factor = *timesG2(&g, &other)
			p.challenge = p.hash(u, &g, &g)
		},
	} {
		u := honest
		p := proveSigma(&x, &u)
		change(&p, &u)
		if err := p.verify(&u); (err == nil) != (name == "honest") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The parts of a contribution may differ in their factors from the one that is proved, one by one.
func TestContributionWithAnUnprovedFactor(t *testing.T) {
	for i := range circuits.EpochCommitments {
		last := epochShape.Bases()[i] - 1
		for name, change := range map[string]func(s *secondPhase, by *fr.Element){
			"sigma in G2": func(s *secondPhase, by *fr.Element) {
				p := &s.gnark.Parameters.G2.Sigma[i]
				*p = *timesG2(p, by)
			},
			"all bases": func(s *secondPhase, by *fr.Element) {
				scale(s.gnark.Parameters.G1.SigmaCKK[i], by)
			},
			"last base": func(s *secondPhase, by *fr.Element) {
				scale(s.gnark.Parameters.G1.SigmaCKK[i][last:], by)
			},
			"sigma and bases": func(s *secondPhase, by *fr.Element) {
				p := &s.gnark.Parameters.G2.Sigma[i]
				*p = *timesG2(p, by)
				scale(s.gnark.Parameters.G1.SigmaCKK[i], by)
			},
		} {
			by := fixture.Scalar()
			err := contributeChanged(secondPhaseOpen(t), 0, "Mallory", func(s *secondPhase) {
				s.multiply(randomSecrets())
				change(s, &by)
			})
			requireFault(t, name, err, fault.BadFile, fmt.Sprintf("sigma %d", i))
		}
	}
}

// delta and its points are proved as gnark does it, which [secondPhase.verify] has to ask for.
func TestContributionWithAnUnprovedDelta(t *testing.T) {
	for name, change := range map[string]func(s *secondPhase, by *fr.Element){
		"delta in G1": func(s *secondPhase, by *fr.Element) {
			s.gnark.Parameters.G1.Delta = timesG1(s.gnark.Parameters.G1.Delta, by)
		},
		"delta in G2": func(s *secondPhase, by *fr.Element) {
			s.gnark.Parameters.G2.Delta = *timesG2(&s.gnark.Parameters.G2.Delta, by)
		},
		"Z":   func(s *secondPhase, by *fr.Element) { scale(s.gnark.Parameters.G1.Z[1:2], by) },
		"PKK": func(s *secondPhase, by *fr.Element) { scale(s.gnark.Parameters.G1.PKK[1:2], by) },
	} {
		by := fixture.Scalar()
		err := contributeChanged(secondPhaseOpen(t), 0, "Mallory", func(s *secondPhase) {
			s.multiply(randomSecrets())
			change(s, &by)
		})
		requireFault(t, name, err, fault.BadFile, "delta")
	}
}

func TestSecretOfPhase2ThatAddsNothing(t *testing.T) {
	for i := range 1 + circuits.EpochCommitments {
		for name, value := range map[string]int64{"1": 1, "-1": -1} {
			secrets := randomSecrets()
			secrets[i].SetInt64(value)
			err := contributeWith(secondPhaseOpen(t), 0, "idle", secrets)
			requireFault(t, fmt.Sprintf("secret %d is %s", i, name), err, fault.BadFile,
				"it adds nothing")
		}
	}
	for i := range circuits.EpochCommitments {
		secrets := randomSecrets()
		secrets[1+i].SetZero()
		err := contributeWith(secondPhaseOpen(t), 0, "idle", secrets)
		requireFault(t, fmt.Sprintf("sigma %d is 0", i), err, fault.BadFile, "it adds nothing")
	}
}

// Secrets of the two groups are compared with each other, too.
func TestSecretOfPhase2UsedTwice(t *testing.T) {
	for name, change := range map[string]func(first, second []fr.Element){
		"delta and a sigma":   func(first, _ []fr.Element) { first[2] = first[0] },
		"two sigmas":          func(first, _ []fr.Element) { first[3] = first[1] },
		"a sigma, once more":  func(first, second []fr.Element) { second[1] = first[1] },
		"delta, once more":    func(first, second []fr.Element) { second[0] = first[0] },
		"delta, then a sigma": func(first, second []fr.Element) { second[2] = first[0] },
	} {
		dir := secondPhaseOpen(t)
		for i := 1; i <= 2; i++ { // files of the phase that were there before
			if err := os.Remove(filepath.Join(dir, fileName(phase2, i))); err != nil {
				t.Fatal(err)
			}
		}
		first, second := randomSecrets(), randomSecrets()
		change(first, second)
		for i, secrets := range [][]fr.Element{first, second} {
			if err := contributeWith(dir, i, fmt.Sprint("party ", i), secrets); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Seal(dir, 2, beacons[2])
		requireFault(t, name, err, fault.BadFile, "repeats a secret")
	}
}

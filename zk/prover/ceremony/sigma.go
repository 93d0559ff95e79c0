// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"errors"
	"io"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// sigmaTag separates the hash of [sigmaProof] from every other hash to the field.
const sigmaTag = "provenance-mpc/2 sigma"

// sigmaProof shows that the maker of a contribution knew the x by which it multiplied a sigma. It
// holds no point of G1, and so no multiple of [1]_1 or of any other point by x.
//
// gnark's own proof of update publishes [x]_1. Whoever knows all other factors of a sigma then has
// [sigma]_1, and with it "knows" the commitment C + c[1]_1 for every c, which holds c[1]_1 beside
// the committed vector. A proof of knowledge with a base hashed to G1 would publish x times that
// base, and so allow the same with the base in the place of [1]_1.
//
// With X = [x]_2, S the sigma in G2 before and S' = xS after: log_G X = log_S S', where G is the
// generator of G2. Response z = w + cx for a fresh w, and challenge c, hashed from the state
// before, the number of the sigma, X, S, S', wG and wS.
//
// Source: Chaum and Pedersen, CRYPTO '92, section 3.2, made non-interactive with a hash to the
// field (RFC 9380, section 5.2) as in Fiat and Shamir, CRYPTO '86. Why it suffices:
// docs/formats/ceremony.md, "Why the proofs of sigma are in G2".
type sigmaProof struct {
	factor              bn254.G2Affine // X
	challenge, response fr.Element     // c, z
}

const sigmaProofBytes = g2Bytes + 2*fr.Bytes

// sigmaUpdate is what a sigmaProof is about. All of it may be attacker-controlled.
type sigmaUpdate struct {
	state        []byte // SHA-256 of the serialization of the state before, 32 bytes
	index        int    // of the commitment, 0..255
	before, next bn254.G2Affine
}

// proveSigma makes the proof for next = x before. The nonce is drawn from the system's generator.
func proveSigma(x *fr.Element, u *sigmaUpdate) (p sigmaProof) {
	var nonce fr.Element
	nonce.MustSetRandom()
	_, _, _, generator := bn254.Generators()
	p.factor = *timesG2(&generator, x)
	p.challenge = p.hash(u, timesG2(&generator, &nonce), timesG2(&u.before, &nonce))
	p.response.Mul(&p.challenge, x).Add(&p.response, &nonce)
	return p
}

// verify requires the proof to hold for the update. Points must be in their subgroup.
func (p *sigmaProof) verify(u *sigmaUpdate) error {
	_, _, _, generator := bn254.Generators()
	// zG - cX = wG and zS - cS' = wS
	commitment := func(base, image *bn254.G2Affine) *bn254.G2Affine {
		point := timesG2(base, &p.response)
		return point.Sub(point, timesG2(image, &p.challenge))
	}
	expected := p.hash(u, commitment(&generator, &p.factor), commitment(&u.before, &u.next))
	if !p.challenge.Equal(&expected) {
		return errors.New("the proof that its maker knew the factor of sigma does not hold")
	}
	return nil
}

// verifyBases requires next_i = x before_i for all i, with the x of the proof:
// e(sum r_i next_i, G) = e(sum r_i before_i, X) for random r_i of this process.
//
// Source: Bellare, Garay and Rabin, EUROCRYPT '98, section 3 (random linear combination).
func (p *sigmaProof) verifyBases(before, next []bn254.G1Affine) error {
	weights := make(fr.Vector, len(before))
	weights.MustSetRandom()
	var sumBefore, sumNext bn254.G1Affine
	if _, err := sumBefore.MultiExp(before, weights, ecc.MultiExpConfig{}); err != nil {
		return err
	}
	if _, err := sumNext.MultiExp(next, weights, ecc.MultiExpConfig{}); err != nil {
		return err
	}
	_, _, _, generator := bn254.Generators()
	ok, err := bn254.PairingCheck([]bn254.G1Affine{sumNext, *sumBefore.Neg(&sumBefore)},
		[]bn254.G2Affine{generator, p.factor})
	if err == nil && !ok {
		err = errors.New("the bases were not multiplied by the factor of sigma")
	}
	return err
}

func (p *sigmaProof) hash(u *sigmaUpdate, nonces ...*bn254.G2Affine) fr.Element {
	message := append(append([]byte{}, u.state...), byte(u.index))
	for _, point := range append([]*bn254.G2Affine{&p.factor, &u.before, &u.next}, nonces...) {
		message = append(message, point.Marshal()...)
	}
	challenge, err := fr.Hash(message, []byte(sigmaTag), 1)
	if err != nil {
		panic(err) // only lengths can fail, and these are constant
	}
	return challenge[0]
}

func timesG2(point *bn254.G2Affine, by *fr.Element) *bn254.G2Affine {
	return new(bn254.G2Affine).ScalarMultiplication(point, by.BigInt(new(big.Int)))
}

// WriteTo implements io.WriterTo: X compressed, c, z.
func (p *sigmaProof) WriteTo(to io.Writer) (int64, error) {
	encoder := bn254.NewEncoder(to)
	for _, value := range []any{&p.factor, &p.challenge, &p.response} {
		if err := encoder.Encode(value); err != nil {
			return encoder.BytesWritten(), err
		}
	}
	return encoder.BytesWritten(), nil
}

// ReadFrom implements io.ReaderFrom. X must be in its subgroup, c and z below r.
func (p *sigmaProof) ReadFrom(from io.Reader) (int64, error) {
	decoder := bn254.NewDecoder(from)
	for _, value := range []any{&p.factor, &p.challenge, &p.response} {
		if err := decoder.Decode(value); err != nil {
			return decoder.BytesRead(), err
		}
	}
	return decoder.BytesRead(), nil
}

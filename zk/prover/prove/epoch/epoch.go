// SPDX-License-Identifier: Apache-2.0

package epoch

import (
	"errors"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/circuits"
	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove"
	"provenance/zkprover/statement"
)

// Witness is one chunk: vectors of `slots` values each, the blindings of D and U,
// start = chunk*slots.
type Witness struct {
	Data, Used, Positions      []fr.Element
	DataBlinding, UsedBlinding fr.Element
	Start                      uint64
	Challenge                  statement.Challenge
	// Registered is the commitment to Data that was made when the dataset was registered; nil if it
	// is to be made again, which takes a tenth of the proof's time.
	Registered *Commitment
}

// Link is the witness of a link proof for one chunk of the dataset: U is all zero with blinding 0,
// and each position is the leaf's own index.
func Link(
	leaves []fr.Element, chunk, slots int, blinding fr.Element, challenge statement.Challenge,
) *Witness {
	return &Witness{
		Data:         statement.Window(leaves, chunk, slots),
		Used:         make([]fr.Element, slots),
		Positions:    statement.IdentityPositions(chunk, slots),
		DataBlinding: blinding,
		Start:        uint64(chunk * slots),
		Challenge:    challenge,
	}
}

// Prove proves one chunk. The proof's commitments are the same points that [Commit] gives for these
// vectors and blindings. They and their proofs of knowledge are made here, not by gnark. The
// products are computed here, too, so no false statement can be asked for.
func Prove(key *keys.Key, w *Witness) (*proof.Proof, error) {
	openings, err := w.openings(key)
	if err != nil {
		return nil, err
	}
	// Made at the same time, since gnark's solver leaves cores idle.
	committed := make(chan error, 1)
	commitments := newCommitments(key, openings)
	if w.Registered != nil {
		if err := commitments.take(key, keys.VectorData, w.Registered); err != nil {
			return nil, err
		}
	}
	go func() { committed <- commitments.make(key, openings) }()
	public := w.public()
	p, err := prove.Groth16(key, w.assignment(public))
	if failed := <-committed; failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, err
	}
	for i := range commitments {
		p.Commitments = append(p.Commitments, commitments[i].made.Point)
		p.Knowledge = append(p.Knowledge, commitments[i].made.Knowledge)
	}
	p.Public = public
	err = prove.Check(key, p)
	commitments.remember(err == nil)
	if err != nil && w.Registered != nil {
		return nil, requireSame(key, openings[keys.VectorData], w.Registered, err)
	}
	return p, err
}

// requireSame says why a proof with a registered D does not verify: that is of other values, or
// something else is wrong, as `other` says.
func requireSame(key *keys.Key, opening []fr.Element, registered *Commitment, other error) error {
	made, err := commit(key, keys.VectorData, opening)
	if err != nil || made.Point.Equal(&registered.Point) {
		return errors.Join(other, err)
	}
	return fault.New(fault.Mismatch,
		"the registered commitment is not one to these leaves with this blinding").
		WithHint("the dataset's registration and its private folder must belong together")
}

// openings are what the commitments hold, in order.
func (w *Witness) openings(key *keys.Key) ([][]fr.Element, error) {
	out := make([][]fr.Element, circuits.EpochCommitments)
	for vector, in := range []struct {
		values   []fr.Element
		blinding *fr.Element
	}{{w.Data, &w.DataBlinding}, {w.Used, &w.UsedBlinding}, {w.Positions, nil}} {
		var err error
		if out[vector], err = open(key, vector, in.values, in.blinding); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// public is gamma, delta, start, a, b.
func (w *Witness) public() []fr.Element {
	var start fr.Element
	start.SetUint64(w.Start)
	return []fr.Element{
		w.Challenge.Gamma, w.Challenge.Delta, start,
		w.Challenge.ProductAt(w.Data, w.Positions), w.Challenge.ProductFrom(w.Used, w.Start),
	}
}

func (w *Witness) assignment(public []fr.Element) *circuits.Epoch {
	return &circuits.Epoch{
		Gamma: public[0], Delta: public[1], Start: public[2], ProductData: public[3],
		ProductUsed: public[4],
		Data:        variables(w.Data), DataBlinding: w.DataBlinding,
		Used: variables(w.Used), UsedBlinding: w.UsedBlinding,
		Position: variables(w.Positions),
	}
}

func variables(values []fr.Element) []frontend.Variable {
	out := make([]frontend.Variable, len(values))
	for i := range values {
		out[i] = values[i]
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

package datasets

import (
	"time"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/commands/request"
	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
	"provenance/zkprover/proof"
	"provenance/zkprover/prove/epoch"
	"provenance/zkprover/server"
	"provenance/zkprover/statement"
)

type commitRequest struct {
	Key       string `json:"key"`
	Words     string `json:"words"` // with bases: recompute P without a proving key
	Bases     string `json:"bases"`
	Vector    string `json:"vector"`
	Values    string `json:"values"`
	Order     string `json:"order"`
	Count     int    `json:"count"`
	Blindings string `json:"blindings"`
}

type commitResult struct {
	Points  [][]string `json:"points"`
	Poks    [][]string `json:"poks,omitempty"`
	Slots   int        `json:"slots"`
	VKID    string     `json:"vkId"`
	Seconds float64    `json:"seconds"`
}

// Commit commits to the vector D, U or P of each chunk.
func Commit(call *server.Call, text []byte) (any, error) {
	var r commitRequest
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	if err := request.Count(r.Count); err != nil {
		return nil, err
	}
	begin := time.Now()
	if r.Key == "" {
		return r.recompute(begin)
	}
	key, err := call.Bases(r.Key)
	if err != nil {
		return nil, err
	}
	chunkOf, err := r.chunks(key.Shape.Slots)
	if err != nil {
		return nil, err
	}
	result := commitResult{Slots: key.Shape.Slots, VKID: key.Info.VKID}
	for c := range statement.Chunks(r.Count, key.Shape.Slots) {
		if err := call.Stopped(); err != nil {
			return nil, err
		}
		in, err := chunkOf(c)
		if err != nil {
			return nil, err
		}
		made, err := epoch.Commit(key, in.vector, in.values, in.blinding)
		if err != nil {
			return nil, err
		}
		result.Points = append(result.Points, proof.PointHex(&made.Point))
		result.Poks = append(result.Poks, proof.PointHex(&made.Knowledge))
	}
	result.Seconds = request.Since(begin)
	return result, nil
}

// opening is what one chunk's commitment holds. blinding is nil for positions.
type opening struct {
	vector   int
	values   []fr.Element
	blinding *fr.Element
}

// chunks returns what to commit to in chunk c.
func (r *commitRequest) chunks(slots int) (chunkOf func(c int) (opening, error), err error) {
	if r.Vector == "P" {
		_, inverse, err := request.Order(r.Order, r.Count)
		return func(c int) (opening, error) {
			return opening{keys.VectorPosition, statement.Positions(inverse, c, slots), nil}, nil
		}, err
	}
	if r.Vector != "D" && r.Vector != "U" {
		return nil, fault.Differs(fault.BadRequest, "vector", "D, U or P", r.Vector)
	}
	values, err := request.Elements("values", r.Values, r.Count)
	if err != nil {
		return nil, err
	}
	secrets, err := request.ReadBlindings(r.Blindings)
	if err != nil {
		return nil, err
	}
	vector, name, list := keys.VectorData, "d", secrets.D
	if r.Vector == "U" {
		vector, name, list = keys.VectorUsed, "u", secrets.U
	}
	return func(c int) (opening, error) {
		b, err := request.Blinding(name, list, c, statement.Chunks(r.Count, slots))
		return opening{vector, statement.Window(values, c, slots), &b}, err
	}, nil
}

// recompute does what a verifier does: it checks the bases by the key's words, and computes P from
// the order alone.
func (r *commitRequest) recompute(begin time.Time) (any, error) {
	if r.Vector != "P" {
		return nil, fault.Differs(fault.BadRequest, "vector", "P (others need a key)", r.Vector)
	}
	vk, err := keys.LoadWords(r.Words)
	if err != nil {
		return nil, err
	}
	data, err := request.List("bases", r.Bases)
	if err != nil {
		return nil, err
	}
	bases, err := vk.ParsePositionBases(data)
	if err != nil {
		return nil, err
	}
	_, inverse, err := request.Order(r.Order, r.Count)
	if err != nil {
		return nil, err
	}
	var points []bn254.G1Affine
	for c := range statement.Chunks(r.Count, vk.Shape.Slots) {
		point, err := keys.CommitPositions(bases, statement.Positions(inverse, c, vk.Shape.Slots))
		if err != nil {
			return nil, err
		}
		points = append(points, point)
	}
	return commitResult{Points: proof.PointsHex(points), Slots: vk.Shape.Slots, VKID: vk.ID().Hex(),
		Seconds: request.Since(begin)}, nil
}

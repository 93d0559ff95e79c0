// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/keys"
	"provenance/zkprover/order"
	"provenance/zkprover/proof"
	"provenance/zkprover/server"
	"provenance/zkprover/statement"
	"provenance/zkprover/verify"
)

type verdict struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// verifyProofs answers for proof files that exist; a malformed proof is a false one, a missing file an error.
func verifyProofs(_ *server.Call, request []byte) (any, error) {
	var r struct {
		Words  string       `json:"words"`
		Proofs []string     `json:"proofs"`
		Mask   *verify.Mask `json:"mask"`
	}
	if err := parseRequest(request, &r); err != nil {
		return nil, err
	}
	vk, err := keys.LoadWords(r.Words)
	if err != nil {
		return nil, err
	}
	if len(r.Proofs) == 0 {
		return nil, fault.New(fault.BadRequest, "no proofs named") // nothing verified must never look like success
	}
	if r.Mask == nil { // a forgotten mask must not mean that nothing is checked
		return nil, fault.New(fault.BadRequest, "no mask given")
	}
	if *r.Mask >= 1<<vk.Shape.Commitments() {
		return nil, fault.Differs(fault.BadRequest, "mask", "bits of existing commitments", *r.Mask)
	}
	results := make([]verdict, len(r.Proofs))
	ok := true
	for i, path := range r.Proofs {
		text, err := readFile("proof", path, proof.MaxBytes)
		if err != nil {
			return nil, err
		}
		if reason := verifyText(vk, text, *r.Mask); reason != nil {
			results[i].Reason, ok = reason.Error(), false
		} else {
			results[i].OK = true
		}
	}
	result := map[string]any{"ok": ok, "results": results}
	if !ok {
		return result, server.ErrFalse
	}
	return result, nil
}

func verifyText(vk *keys.Verifying, text []byte, mask verify.Mask) error {
	p, err := proof.Parse(text)
	if err != nil {
		return err
	}
	return verify.Verify(vk, p, mask)
}

type productsRequest struct {
	Leaves    string `json:"leaves"`
	Used      string `json:"used"`
	Order     string `json:"order"`
	Count     int    `json:"count"`
	Slots     int    `json:"slots"`
	TreeSlots int    `json:"treeSlots"`
	Gamma     string `json:"gamma"`
	Delta     string `json:"delta"`
}

// products computes the accumulators for whichever inputs are there: a needs leaves, order (identity if absent) and
// slots; b used and slots; t leaves and treeSlots; z treeSlots.
func products(_ *server.Call, request []byte) (any, error) {
	var r productsRequest
	if err := parseRequest(request, &r); err != nil {
		return nil, err
	}
	challenge, err := parseChallenge(r.Gamma, r.Delta)
	if err != nil {
		return nil, err
	}
	if r.Count < 1 || r.Count > order.MaxCount || r.Slots < 0 || r.TreeSlots < 0 {
		return nil, fault.New(fault.BadRequest, "count must be 1..16^6, slots and treeSlots not negative")
	}
	out := map[string][]string{}
	for _, step := range []func(statement.Challenge, map[string][]string) error{r.data, r.used} {
		if err := step(challenge, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *productsRequest) data(challenge statement.Challenge, out map[string][]string) error {
	var leaves []fr.Element
	var inverse []uint64
	var err error
	if r.Order != "" {
		if _, inverse, err = readOrder(r.Order, r.Count); err != nil {
			return err
		}
	}
	if r.Leaves != "" {
		if leaves, err = readElements("leaves", r.Leaves, r.Count); err != nil {
			return err
		}
	}
	if r.Slots > 0 && leaves != nil {
		for c := range statement.Chunks(r.Count, r.Slots) {
			a := challenge.ProductAt(statement.Window(leaves, c, r.Slots), statement.Positions(inverse, c, r.Slots))
			out["a"] = append(out["a"], field.ScalarHex(&a))
		}
	}
	if r.TreeSlots == 0 {
		return nil
	}
	for k := range statement.Chunks(r.Count, r.TreeSlots) {
		start, used := k*r.TreeSlots, statement.Used(r.Count, k, r.TreeSlots)
		z := challenge.ProductOfPositions(uint64(start), used)
		out["z"] = append(out["z"], field.ScalarHex(&z))
		if leaves != nil {
			t := challenge.ProductFrom(leaves[start:start+used], uint64(start))
			out["t"] = append(out["t"], field.ScalarHex(&t))
		}
	}
	return nil
}

func (r *productsRequest) used(challenge statement.Challenge, out map[string][]string) error {
	if r.Used == "" || r.Slots == 0 {
		return nil
	}
	used, err := readElements("used", r.Used, r.Count)
	if err != nil {
		return err
	}
	for c := range statement.Chunks(r.Count, r.Slots) {
		b := challenge.ProductFrom(statement.Window(used, c, r.Slots), uint64(c*r.Slots))
		out["b"] = append(out["b"], field.ScalarHex(&b))
	}
	return nil
}

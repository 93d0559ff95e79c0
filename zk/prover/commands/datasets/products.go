// SPDX-License-Identifier: Apache-2.0

package datasets

import (
	"fmt"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"provenance/zkprover/commands/request"
	"provenance/zkprover/fault"
	"provenance/zkprover/field"
	"provenance/zkprover/server"
	"provenance/zkprover/statement"
)

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

// Products computes the products whose inputs are given. a needs leaves and slots, and takes order
// (leaf order if absent); b needs used and slots; t leaves and treeSlots; z treeSlots.
func Products(_ *server.Call, text []byte) (any, error) {
	var r productsRequest
	if err := request.Parse(text, &r); err != nil {
		return nil, err
	}
	challenge, err := request.Challenge(r.Gamma, r.Delta)
	if err != nil {
		return nil, err
	}
	if err := request.Count(r.Count); err != nil {
		return nil, err
	}
	if r.Slots < 0 || r.TreeSlots < 0 {
		return nil, fault.Differs(fault.BadRequest, "slots and treeSlots", "at least 0",
			fmt.Sprintf("%d and %d", r.Slots, r.TreeSlots))
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
		if _, inverse, err = request.Order(r.Order, r.Count); err != nil {
			return err
		}
	}
	if r.Leaves != "" {
		if leaves, err = request.Elements("leaves", r.Leaves, r.Count); err != nil {
			return err
		}
	}
	if r.Slots > 0 && leaves != nil {
		for c := range statement.Chunks(r.Count, r.Slots) {
			a := challenge.ProductAt(statement.Window(leaves, c, r.Slots),
				statement.Positions(inverse, c, r.Slots))
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
	used, err := request.Elements("used", r.Used, r.Count)
	if err != nil {
		return err
	}
	for c := range statement.Chunks(r.Count, r.Slots) {
		b := challenge.ProductFrom(statement.Window(used, c, r.Slots), uint64(c*r.Slots))
		out["b"] = append(out["b"], field.ScalarHex(&b))
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package wires

import (
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/poseidon"
	"provenance/zkprover/internal/fixture"
)

// choice shows one child of a node by flags, as circuits choose a child by its digit. The first
// child is the hash of two values. A fault leaves a constraint out.
type choice struct {
	Root   frontend.Variable `gnark:",public"`
	Chosen frontend.Variable `gnark:",public"`

	Children [3]frontend.Variable
	Flags    [3]frontend.Variable
	Preimage [2]frontend.Variable

	fault string
}

func (c *choice) Define(api frontend.API) error {
	node, err := poseidon.NewGadget(api, 3)
	if err != nil {
		return err
	}
	leaf, err := poseidon.NewGadget(api, 2)
	if err != nil {
		return err
	}
	sum, chosen := frontend.Variable(0), frontend.Variable(0)
	for i, flag := range c.Flags {
		sum = api.Add(sum, flag)
		chosen = api.Add(chosen, api.Mul(flag, c.Children[i]))
	}
	api.AssertIsEqual(chosen, c.Chosen)
	root, first := node.Hash(c.Children[:]...), leaf.Hash(c.Preimage[:]...)
	for name, rule := range map[string]func(){
		"booleanity": func() {
			for _, flag := range c.Flags {
				api.AssertIsBoolean(flag)
			}
		},
		"sum":      func() { api.AssertIsEqual(sum, 1) },
		"root":     func() { api.AssertIsEqual(root, c.Root) },
		"preimage": func() { api.AssertIsEqual(first, c.Children[0]) },
	} {
		if name != c.fault {
			rule()
		}
	}
	return nil
}

func TestRankSeesWhatIsNotBound(t *testing.T) {
	for fault, want := range map[string]int{
		"":           0,
		"booleanity": 1, // three flags in two equations: no flag can be changed alone
		"sum":        0, // other booleans are no neighbours of these: attacks have to find them
		"root":       3, // the preimage, and the last child
		"preimage":   2, // a hash that is bound to nothing binds nothing
	} {
		c := toy(t, fault)
		system, hashes := watch(t, &choice{fault: fault})
		s := solvedToy(t, system, c)
		if got := undetermined(s, hashes, nil, nil); len(got) != want {
			t.Errorf("without %q: wires %v are free, want %d", fault, got, want)
		}
	}
}

// What the rank sees and single wires do not.
func TestFlagsWithoutBooleanityCannotBeChangedAlone(t *testing.T) {
	system, _ := watch(t, &choice{fault: "booleanity"})
	s := solvedToy(t, system, toy(t, "booleanity"))
	s.index()
	if free := s.free(); len(free) != 0 {
		t.Errorf("wires %v", free)
	}
}

// toy is a satisfying assignment that chooses the second child.
func toy(t *testing.T, fault string) *choice {
	t.Helper()
	preimage := [2]fr.Element{fixture.Scalar(), fixture.Scalar()}
	first, err := poseidon.Hash(preimage[:]...)
	if err != nil {
		t.Fatal(err)
	}
	children := []fr.Element{first, fixture.Scalar(), fixture.Scalar()}
	root, err := poseidon.Hash(children...)
	if err != nil {
		t.Fatal(err)
	}
	c := &choice{Root: root, Chosen: children[1], Flags: [3]frontend.Variable{0, 1, 0},
		Preimage: [2]frontend.Variable{preimage[0], preimage[1]}, fault: fault}
	for i := range children {
		c.Children[i] = children[i]
	}
	return c
}

func solvedToy(t *testing.T, system *cs.R1CS, assignment frontend.Circuit) *solved {
	t.Helper()
	witness, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	solution, err := system.Solve(witness, solver.WithHints(hint))
	if err != nil {
		t.Fatal(err)
	}
	return &solved{system: system, constraints: system.GetR1Cs(),
		wires: solution.(*cs.R1CSSolution).W}
}

// hinted shows the square of a number and two bits of it. A fault leaves a constraint out.
type hinted struct {
	Square frontend.Variable `gnark:",public"`
	Number frontend.Variable

	fault string
}

func (c *hinted) Define(api frontend.API) error {
	out, err := api.Compiler().NewHint(hint, 3, c.Number)
	if err != nil {
		return err
	}
	for _, bit := range out[:2] {
		if c.fault != "booleanity" {
			api.AssertIsBoolean(bit)
		}
	}
	if c.fault != "sum" {
		api.AssertIsEqual(c.Number, api.Add(out[0], api.Mul(out[1], 2)))
	}
	if c.fault != "inverse" {
		api.AssertIsEqual(api.Mul(out[2], c.Number), 1)
	}
	api.AssertIsEqual(api.Mul(c.Number, c.Number), c.Square)
	return nil
}

func hint(_ *big.Int, in, out []*big.Int) error {
	out[0].SetUint64(uint64(in[0].Bit(0)))
	out[1].SetUint64(uint64(in[0].Bit(1)))
	out[2].ModInverse(in[0], fr.Modulus())
	return nil
}

// Bits and inverses follow from the inputs, as long as nothing that fixes them is left out.
func TestHintsThatNothingFixesAreSeen(t *testing.T) {
	for fault, want := range map[string]int{"": 0, "booleanity": 2, "sum": 2, "inverse": 1} {
		system, _ := watch(t, &hinted{fault: fault})
		s := solvedToy(t, system, &hinted{Square: 9, Number: 3})
		if got := newDerivation(s).free(); len(got) != want {
			t.Errorf("without %q: wires %v do not follow, want %d", fault, got, want)
		}
	}
}

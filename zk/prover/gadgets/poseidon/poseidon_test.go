// SPDX-License-Identifier: Apache-2.0

package poseidon

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
	"github.com/consensys/gnark/test"
)

// published are the values of circomlib's and its ports' own tests for inputs 1..n.
//
// Source: iden3/circomlibjs test/poseidon.js, iden3/go-iden3-crypto poseidon_test.go.
var published = map[int]string{
	1:  "18586133768512220936620570745912940619677854269274689475585506675881198879027",
	2:  "7853200120776062878684798364095072458815029376092732009249414926327459813530",
	3:  "6542985608222806190361240322586112750744169038454362455181422643027100751666",
	4:  "18821383157269793795438455681495246036402687001665670618754263018637548127333",
	5:  "6183221330272524995739186171720101788151706631170188140075976616310159254464",
	6:  "20400040500897583745843009878988256314335038853985262692600694741116813247201",
	16: "9989051620750914585850546081941653841776809718687451684622678807385399211877",
}

func counting(n int) []fr.Element {
	inputs := make([]fr.Element, n)
	for i := range inputs {
		inputs[i].SetUint64(uint64(i + 1))
	}
	return inputs
}

func mustHash(t *testing.T, inputs []fr.Element) fr.Element {
	t.Helper()
	h, err := Hash(inputs...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// plain is the hash exactly as the paper words it: constants, S-box, matrix, round by round.
func plain(inputs []fr.Element) fr.Element {
	p := newParameters(len(inputs))
	state := append(make([]fr.Element, 1), inputs...)
	for round, constants := range p.constants {
		for i := range state {
			state[i].Add(&state[i], &constants[i])
		}
		boxes := p.width
		if round >= halfFull && round < halfFull+p.partial {
			boxes = 1
		}
		for i := 0; i < boxes; i++ {
			x := state[i]
			for k := 0; k < 4; k++ {
				state[i].Mul(&state[i], &x)
			}
		}
		next := make([]fr.Element, p.width)
		for i := range next {
			for j := range state {
				var term fr.Element
				term.Mul(&p.mix[i][j], &state[j])
				next[i].Add(&next[i], &term)
			}
		}
		state = next
	}
	return state[0]
}

func TestPublishedVectors(t *testing.T) {
	for n, want := range published {
		h := mustHash(t, counting(n))
		if got := h.String(); got != want {
			t.Errorf("%d inputs: got %s, want %s", n, got, want)
		}
	}
	zeroes := append(counting(2), make([]fr.Element, 3)...)
	h := mustHash(t, zeroes)
	const want = "1018317224307729531995786483840663576608797660851238720571059489595066344487"
	if got := h.String(); got != want {
		t.Errorf("(1,2,0,0,0): got %s", got)
	}
}

func TestSparseFormIsThePlainOne(t *testing.T) {
	for n := 1; n <= MaxInputs; n++ {
		inputs := make([]fr.Element, n)
		for i := range inputs {
			inputs[i].MustSetRandom()
		}
		got, want := mustHash(t, inputs), plain(inputs)
		if !got.Equal(&want) {
			t.Errorf("%d inputs: sparse and plain form differ", n)
		}
	}
}

func TestInputCounts(t *testing.T) {
	for _, n := range []int{0, 17} {
		if _, err := Hash(make([]fr.Element, n)...); err == nil {
			t.Errorf("%d inputs were accepted", n)
		}
		if _, err := NewGadget(nil, n); err == nil {
			t.Errorf("gadget for %d inputs was made", n)
		}
	}
}

type hashCircuit struct {
	Inputs []frontend.Variable
	Hash   frontend.Variable `gnark:",public"`
}

func (c *hashCircuit) Define(api frontend.API) error {
	g, err := NewGadget(api, len(c.Inputs))
	if err != nil {
		return err
	}
	api.AssertIsEqual(g.Hash(c.Inputs...), c.Hash)
	return nil
}

func TestConstraintCounts(t *testing.T) {
	for n, want := range map[int]int{2: 240, 3: 261, 16: 609} { // without the final equality
		circuit := &hashCircuit{Inputs: make([]frontend.Variable, n)}
		system, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, circuit)
		if err != nil {
			t.Fatal(err)
		}
		if system.GetNbConstraints() != want+1 {
			t.Errorf("%d inputs: %d constraints, want %d", n, system.GetNbConstraints()-1, want)
		}
	}
}

func TestGadget(t *testing.T) {
	for n := 1; n <= MaxInputs; n++ {
		circuit := &hashCircuit{Inputs: make([]frontend.Variable, n)}
		inputs := make([]fr.Element, n)
		assignment := &hashCircuit{Inputs: make([]frontend.Variable, n)}
		for i := range inputs {
			inputs[i].MustSetRandom()
			assignment.Inputs[i] = inputs[i]
		}
		h := mustHash(t, inputs)
		assignment.Hash = h
		if err := test.IsSolved(circuit, assignment, ecc.BN254.ScalarField()); err != nil {
			t.Errorf("%d inputs: %v", n, err)
		}
		assignment.Hash = *new(fr.Element).Add(&h, new(fr.Element).SetOne())
		if err := test.IsSolved(circuit, assignment, ecc.BN254.ScalarField()); err == nil {
			t.Errorf("%d inputs: a wrong hash was accepted", n)
		}
	}
}

// A gadget for another number of inputs would hash with other parameters than the circuit means.
func TestGadgetRefusesOtherCounts(t *testing.T) {
	for _, n := range []int{2, 4} {
		func() {
			defer func() {
				if message, _ := recover().(string); !strings.Contains(message, "another number") {
					t.Errorf("%d inputs for a gadget of 3: %q", n, message)
				}
			}()
			g, err := NewGadget(nil, 3)
			if err != nil {
				t.Fatal(err)
			}
			g.Hash(make([]frontend.Variable, n)...)
		}()
	}
}

func BenchmarkHash3(b *testing.B) {
	in := counting(3)
	for i := 0; i < b.N; i++ {
		in[0] = Hash3(in[0], in[1], in[2])
	}
}

func BenchmarkHash16(b *testing.B) {
	var in [16]fr.Element
	for i := 0; i < b.N; i++ {
		in[0] = Hash16(&in)
	}
}

func TestSharedVectors(t *testing.T) {
	var file struct {
		Cases []struct {
			Name, Hash string
			Inputs     []string
		}
	}
	text, err := os.ReadFile("../../../../tests/vectors/zk/poseidon.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) < MaxInputs {
		t.Fatalf("%d cases", len(file.Cases))
	}
	for _, c := range file.Cases {
		inputs := make([]fr.Element, len(c.Inputs))
		for i, input := range c.Inputs {
			inputs[i].SetString(input)
		}
		got, want := plain(inputs), new(fr.Element)
		want.SetString(c.Hash)
		if !got.Equal(want) {
			t.Errorf("%s: the plain form gives another hash", c.Name)
		}
	}
}

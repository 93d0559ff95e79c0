// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/constraint"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"

	"provenance/zkprover/kinds"
)

func compile(t *testing.T, s Shape) *cs.R1CS {
	t.Helper()
	system, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return system
}

func TestConstraintCounts(t *testing.T) {
	for shape, want := range map[Shape]int{
		{kinds.Epoch, 4, 0}:      18,
		{kinds.Epoch, 256, 0}:    774,
		{kinds.Epoch, 4096, 0}:   12_294,
		{kinds.Epoch, 20_480, 0}: 61_446,
		{kinds.Tree, 16, 2}:      1_383,
		{kinds.Tree, 256, 5}:     13_703,
		{kinds.Tree, 256, 6}:     14_391,
		{kinds.Tree, 4096, 5}:    188_120,
		{kinds.Tree, 4096, 6}:    188_808,
		{kinds.Sorted, 16, 1}:    7_425,
		{kinds.Sorted, 16, 2}:    8_054,
		{kinds.Sorted, 256, 5}:   113_377,
		{kinds.Sorted, 256, 6}:   114_006,
		{kinds.Member, 1, 1}:     896,
		{kinds.Member, 1, 5}:     3_428,
		{kinds.Member, 1, 6}:     4_061,
		{kinds.Absent, 1, 1}:     1_444,
		{kinds.Absent, 1, 5}:     6_492,
		{kinds.Absent, 1, 6}:     7_754,
		{kinds.Q8_0, 1, 1}:       3_121,
		{kinds.Q8_0, 1, 3}:       4_379,
		{kinds.Q8_0, 4, 3}:       15_680,
		{kinds.Int8, 1, 1}:       3_130,
		{kinds.Int8, 4, 3}:       15_716,
		MergeShape(1, 1, 8):      17_732,
		MergeShape(1, 3, 8):      22_756,
		MergeShape(3, 3, 8):      63_318,
		MergeShape(1, 3, 16):     29_733,
		MergeShape(1, 3, 32):     43_833,
		MergeShape(1, 3, 64):     74_332,
	} {
		if got := compile(t, shape).GetNbConstraints(); got != want {
			t.Errorf("%v: %d constraints, want %d", shape, got, want)
		}
	}
}

func TestCompilationIsDeterministic(t *testing.T) {
	for _, shape := range []Shape{
		{kinds.Epoch, 16, 0}, {kinds.Tree, 16, 2}, {kinds.Sorted, 16, 1}, {kinds.Member, 1, 1},
		{kinds.Absent, 1, 1}, MergeShape(1, 1, 8),
	} {
		var digests [2][32]byte
		for i := range digests {
			var out bytes.Buffer
			if _, err := compile(t, shape).WriteTo(&out); err != nil {
				t.Fatal(err)
			}
			digests[i] = sha256.Sum256(out.Bytes())
		}
		if digests[0] != digests[1] {
			t.Errorf("%v: two compilations differ", shape)
		}
	}
}

// A key is named by the digest of its circuit. If one of these digests changes, every key of that
// kind becomes useless.
func TestCircuitsAreFrozen(t *testing.T) {
	for shape, want := range map[Shape]string{
		{kinds.Epoch, 256, 0}: "839056da9f8175081c188171917c09f11724595aee4eb9412af947b2deb79e9a",
		{kinds.Tree, 256, 5}:  "458df602f0476deb7fc057bdc32e8e236428b8fb2a409b4498afe73e1d180a76",
		{kinds.Sorted, 16, 1}: "49e1db71250c68d79fe9a673d3eec4c527db68af836f72356a6a327c5d8dcfeb",
		{kinds.Member, 1, 5}:  "e2decd95a00a2633989ce4ea8d98acb890cd606da826012e4f485b59f6d88d09",
		{kinds.Absent, 1, 5}:  "6e4e2e603c7828107bc4f89110cf2dccd84b40eef0a1fa313073ee9e24a2bc36",
		{kinds.Q8_0, 4, 3}:    "446fccb09cb2de17607a93678eb9d5f43cb6d20631734eb5876e560327cb24ee",
		{kinds.Int8, 4, 3}:    "6f8648851651c99f022df2cce7922b0764d52d7b1c4b0fdf6362fe772bc8c97c",
		MergeShape(3, 3, 8):   "2f70f64b003b66ff1d4eb488983cc55559cb44925e324dec299b1e10fd6e5958",
	} {
		digest := sha256.New()
		if _, err := compile(t, shape).WriteTo(digest); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(digest.Sum(nil)); got != want {
			t.Errorf("%v: digest %s, want %s", shape, got, want)
		}
	}
}

func TestShapes(t *testing.T) {
	for _, shape := range []Shape{
		{kinds.Epoch, 0, 0}, {kinds.Epoch, kinds.MaxSlots + 1, 0}, {kinds.Epoch, 256, 5},
		{kinds.Tree, 255, 5}, {kinds.Tree, 1, 5},
		{kinds.Tree, 256, 1}, {kinds.Tree, 256, 7}, {"nothing", 256, 0}, {kinds.Sorted, 256, 1},
		{kinds.Sorted, 255, 5}, {kinds.Sorted, 1, 5},
		{kinds.Sorted, 256, 7}, {kinds.Member, 2, 5}, {kinds.Member, 1, 0}, {kinds.Member, 1, 7},
		{kinds.Absent, 0, 5}, {kinds.Absent, 1, 0},
		{kinds.Absent, 1, 7},
		{kinds.Q8_0, 0, 3}, {kinds.Q8_0, kinds.MaxBlocks + 1, 3}, {kinds.Int8, 4, 0},
		{kinds.Int8, 4, kinds.MaxLevels + 1},
		MergeShape(0, 1, 8), MergeShape(65, 1, 8), MergeShape(1, 0, 8), MergeShape(1, 8, 8),
		MergeShape(1, 1, 4), MergeShape(1, 1, 128),
	} {
		if _, err := Compile(shape); err == nil {
			t.Errorf("%v was compiled", shape)
		}
	}
}

// Each commitment holds exactly its vector, its blinding and gnark's mask; the other circuits hold
// none.
func TestCommittedWires(t *testing.T) {
	const slots = 7
	system := compile(t, Shape{kinds.Epoch, slots, 0})
	commitments := system.CommitmentInfo.(constraint.Groth16Commitments)
	first := 1 + EpochPublic // wire 0 is the constant
	want := [][]int{{}, {}, {}}
	for k, length := range []int{slots + 1, slots + 1, slots} {
		for i := range length {
			want[k] = append(want[k], first+i)
		}
		first += length
	}
	for k, c := range commitments {
		if len(c.PublicAndCommitmentCommitted) != 0 || c.NbPublicCommitted != 0 {
			t.Errorf("commitment %d includes public wires or commitments", k)
		}
		if got := c.PrivateCommitted[:len(c.PrivateCommitted)-1]; !slices.Equal(got, want[k]) {
			t.Errorf("commitment %d holds wires %v, want %v", k, got, want[k])
		}
	}
	for _, shape := range []Shape{{kinds.Tree, 16, 2}, {kinds.Sorted, 16, 1}, {kinds.Member, 1, 1},
		{kinds.Absent, 1, 1}} {
		if c := compile(t, shape).CommitmentInfo.(constraint.Groth16Commitments); len(c) != 0 {
			t.Errorf("%v has %d commitments", shape, len(c))
		}
	}
}

// Two committed wires that always occur together would share a base. So each must be the only
// committed wire in some side of a constraint.
func TestEachCommittedWireSitsInAConstraintOfItsOwn(t *testing.T) {
	system := compile(t, Shape{kinds.Epoch, 9, 0})
	committed := map[int]bool{}
	for _, c := range system.CommitmentInfo.(constraint.Groth16Commitments) {
		for _, wire := range c.PrivateCommitted {
			committed[wire] = true
		}
	}
	own := map[int]bool{}
	for _, constraint := range system.GetR1Cs() {
		for _, side := range []constraintSide{constraint.L, constraint.R, constraint.O} {
			var present []int
			for _, term := range side {
				if committed[term.WireID()] {
					present = append(present, term.WireID())
				}
			}
			if len(present) == 1 {
				own[present[0]] = true
			}
		}
	}
	for wire := range committed {
		if !own[wire] {
			t.Errorf("committed wire %d is alone in no side of a constraint", wire)
		}
	}
}

type constraintSide = constraint.LinearExpression

// The hash wires that gnark derives from commitments must occur in no constraint: their points are
// infinity then.
func TestHashWiresAreUnused(t *testing.T) {
	system := compile(t, Shape{kinds.Epoch, 9, 0})
	hashes := system.CommitmentInfo.(constraint.Groth16Commitments).CommitmentIndexes()
	for _, constraint := range system.GetR1Cs() {
		for _, side := range []constraintSide{constraint.L, constraint.R, constraint.O} {
			for _, term := range side {
				if slices.Contains(hashes, term.WireID()) {
					t.Fatalf("hash wire %d is used", term.WireID())
				}
			}
		}
	}
}

// sharing is an epoch circuit whose second commitment includes a public input: CheckCommitments
// must refuse it.
type sharing struct {
	Epoch
	fault string
}

func (c *sharing) Define(api frontend.API) error {
	committer := api.(frontend.Committer)
	data := append(c.Data[:len(c.Data):len(c.Data)], c.DataBlinding)
	used := append(c.Used[:len(c.Used):len(c.Used)], c.UsedBlinding)
	lists := [][]frontend.Variable{data, used, c.Position}
	switch c.fault {
	case "public":
		lists[1] = append(used, c.Start)
	case "order":
		lists[0], lists[1] = used, data
	case "missing blinding":
		lists[0] = c.Data
	case "two only":
		lists = lists[:2]
	case "extra":
		lists = append(lists, []frontend.Variable{api.Mul(c.Gamma, c.Delta)})
	}
	for _, list := range lists {
		if _, err := committer.Commit(list...); err != nil {
			return err
		}
	}
	for _, v := range append(append(data, used...), c.Position...) {
		api.Mul(v, v)
	}
	return nil
}

func TestCheckCommitmentsRefuses(t *testing.T) {
	shape := Shape{kinds.Epoch, 4, 0}
	for _, fault := range []string{"", "public", "order", "missing blinding", "two only", "extra"} {
		circuit := &sharing{Epoch: *NewEpoch(4), fault: fault}
		system, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, circuit,
			frontend.IgnoreUnconstrainedInputs())
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckCommitments(system.(*cs.R1CS), shape); (err == nil) != (fault == "") {
			t.Errorf("fault %q: %v", fault, err)
		}
	}
}

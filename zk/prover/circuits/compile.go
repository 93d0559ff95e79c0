// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"fmt"
	"strings"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/constraint"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"

	"provenance/zkprover/kinds"
)

// Shape names one circuit. What slots and depth mean is the kind's own (docs/formats/proofs.md,
// "Verifying key").
type Shape struct {
	Kind  kinds.Kind
	Slots int
	Depth int // of the tree; 0 for epoch
}

// Check refuses shapes that no circuit has.
func (s Shape) Check() error {
	statement, err := kinds.ByName(s.Kind)
	if err != nil {
		return err
	}
	return statement.Check(s.Slots, s.Depth)
}

// statement is the shape's line of the table. It panics on a shape of an unknown kind, which
// [Shape.Check] would have refused.
func (s Shape) statement() *kinds.Statement {
	statement, err := kinds.ByName(s.Kind)
	if err != nil {
		panic(fmt.Sprintf("circuits: a shape was not checked: %v", err))
	}
	return statement
}

// Number is word 1 of the shape's keys. The shape must have passed [Shape.Check].
func (s Shape) Number() uint64 { return s.statement().Number }

// Public is the number of public inputs. The shape must have passed [Shape.Check].
func (s Shape) Public() int { return s.statement().PublicCount(s.Slots) }

// Commitments is the number of commitments.
func (s Shape) Commitments() int { return len(s.Bases()) }

// Bases returns for each commitment key its number of bases: one for each slot, one for the
// blinding (D and U only) and one for the mask.
func (s Shape) Bases() []int {
	if s.Kind != kinds.Epoch {
		return nil
	}
	return []int{s.Slots + 2, s.Slots + 2, s.Slots + 1}
}

// Circuit is the circuit without values.
func (s Shape) Circuit() frontend.Circuit { return constructors[s.Kind](s) }

// Compile checks the shape, compiles its circuit and checks what it commits to.
func Compile(s Shape) (*cs.R1CS, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	compiled, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, s.Circuit())
	if err != nil {
		return nil, err
	}
	system := compiled.(*cs.R1CS)
	return system, CheckCommitments(system, s)
}

// CheckCommitments requires that the system has exactly the commitments of the shape. Each must be
// over consecutive secret inputs (the vector and its blinding) and one mask, and over no public
// wire.
func CheckCommitments(system *cs.R1CS, s Shape) error {
	commitments, ok := system.CommitmentInfo.(constraint.Groth16Commitments)
	if !ok || len(commitments) != s.Commitments() {
		return fmt.Errorf("circuits: want exactly %d commitments", s.Commitments())
	}
	next := system.GetNbPublicVariables()
	secretEnd := next + system.GetNbSecretVariables()
	for k, bases := range s.Bases() {
		c := commitments[k]
		if len(c.PublicAndCommitmentCommitted) != 0 || len(c.PrivateCommitted) != bases {
			return fmt.Errorf(
				"circuits: commitment %d holds %d private and %d other wires, want %d and 0", k,
				len(c.PrivateCommitted), len(c.PublicAndCommitmentCommitted), bases)
		}
		for i, wire := range c.PrivateCommitted[:bases-1] {
			if wire != next+i {
				return fmt.Errorf("circuits: wire %d of commitment %d has id %d, want %d", i,
					k, wire, next+i)
			}
		}
		if mask := c.PrivateCommitted[bases-1]; mask < secretEnd {
			return fmt.Errorf("circuits: the mask of commitment %d is an input", k)
		}
		next += bases - 1
	}
	return nil
}

// MaskHint is the id of the hint by which the system draws the masks of its commitments.
func MaskHint(system *cs.R1CS) (solver.HintID, error) {
	for id, name := range system.MHintsDependencies {
		if strings.HasSuffix(name, "/hints.Randomize") {
			return id, nil
		}
	}
	return 0, fmt.Errorf("circuits: the system draws no mask")
}

// SPDX-License-Identifier: Apache-2.0

package quantized

import (
	"github.com/consensys/gnark/frontend"

	"provenance/zkprover/gadgets/rankone"
)

// halves are the parts of a number n >= 1: half of it, rounded up, half of the rest, and so on. No
// part is larger than the sum of those behind it and 1. So the sums of some of them are exactly the
// integers from 0 to n: a choice of parts takes one constraint a part, and bounds on both sides.
func halves(n int) (parts []int) {
	for ; n > 0; n /= 2 {
		parts = append(parts, (n+1)/2)
	}
	return parts
}

// choose is which parts of n make up a number in [0, n]; of other numbers, what it finds.
func choose(number, n int) (chosen []bool) {
	for _, part := range halves(n) {
		take := number >= part
		if take {
			number -= part
		}
		chosen = append(chosen, take)
	}
	return chosen
}

// setChoice assigns the flags of all parts of n but the first, which [assertUpTo] computes.
func setChoice(flags []frontend.Variable, number, n int) {
	for i, take := range choose(number, n)[1:] {
		flags[i] = 0
		if take {
			flags[i] = 1
		}
	}
}

// assertUpTo constrains v to be in [0, n], by one constraint for each part of n. flags say which
// parts behind the first one v has; what is left must be 0 or the first.
func assertUpTo(api *rankone.API, v frontend.Variable, flags []frontend.Variable, n int) {
	parts := halves(n)
	left := v
	for i, flag := range flags {
		api.AssertIsBoolean(flag)
		left = api.Sub(left, api.Mul(flag, parts[i+1]))
	}
	api.AssertIsZeroOr(left, parts[0])
}

// sumOf constrains each choice to be 0 or its part, and returns their sum.
func sumOf(api *rankone.API, choices, parts []frontend.Variable) frontend.Variable {
	var sum frontend.Variable = 0
	for i, choice := range choices {
		api.AssertIsZeroOr(choice, parts[i])
		sum = api.Add(sum, choice)
	}
	return sum
}

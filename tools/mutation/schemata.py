"""One text that holds many mutants of a Go file, of which MUTANT in the environment chooses one.

So the tests are built once for all mutants. Source: Untch, Offutt, Harrold, "Mutation analysis
using mutant schemata", ISSTA 1993.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mutation.source import Mutant

# What the text calls. The file is added to the package.
HELPERS = """package %s

import (
	"math/big"
	"os"
	"reflect"
	"strconv"

	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/std/math/bits"
)

// mutantActive is the number of the mutant that is to be; 0 for none.
var mutantActive, _ = strconv.Atoi(os.Getenv("MUTANT"))

func mutantIs(number int) bool { return mutantActive == number }

// mutantInt is n, or another number: others are numbers of mutants, each with the number it makes.
func mutantInt(n int, others ...int) int {
	for i := 0; i < len(others); i += 2 {
		if mutantIs(others[i]) {
			return others[i+1]
		}
	}
	return n
}

func init() { solver.RegisterHint(mutantCopy) }

func mutantCopy(_ *big.Int, in, out []*big.Int) error { out[0].Set(in[0]); return nil }

// mutantLoose is a wire that an honest prover gives the value v, and a dishonest one any other.
func mutantLoose(api frontend.API, v frontend.Variable) frontend.Variable {
	out, err := api.Compiler().NewHint(mutantCopy, 1, v)
	if err != nil {
		panic(err)
	}
	api.Mul(out[0], v) // gnark refuses inputs that stand in no constraint
	return out[0]
}

// mutantBits are bits that need not be boolean.
func mutantBits(api frontend.API, v frontend.Variable, n int) []frontend.Variable {
	return bits.ToBinary(api, v, bits.WithNbDigits(n), bits.WithUnconstrainedOutputs())
}

// mutantMux is the value at the number that the bits are, which need not be boolean.
func mutantMux(api frontend.API, bits, values []frontend.Variable) frontend.Variable {
	if len(bits) == 0 {
		return values[0]
	}
	highest, half := len(bits)-1, len(values)/2
	low := mutantMux(api, bits[:highest], values[:half])
	high := mutantMux(api, bits[:highest], values[half:])
	return api.Add(low, api.Mul(bits[highest], api.Sub(high, low)))
}

// mutantDropped does nothing, and uses what it is given.
func mutantDropped(...any) {}

// mutantConst is n instead of a value.
func mutantConst(n int, _ any) frontend.Variable { return n }

// mutantLast is the last round of a loop over a list, or over the numbers below one.
func mutantLast(over any) int {
	v := reflect.Indirect(reflect.ValueOf(over))
	if v.CanInt() {
		return int(v.Int()) - 1
	}
	return v.Len() - 1
}
"""

_TYPES = {"value": "frontend.Variable", "bits": "[]frontend.Variable", "condition": "bool"}
_OUTER = ("statement", "loop")
Numbered = tuple[int, Mutant]


def held(source: str, mutants: Sequence[Numbered]) -> str:
    """The source with a choice between itself and each of the numbered mutants."""
    groups = dict[tuple[int, int, bool], list[Numbered]]()
    for numbered in mutants:
        mutant = numbered[1]
        inner = mutant.kind not in _OUTER
        groups.setdefault((mutant.start, -mutant.end, inner), []).append(numbered)
    ordered = [groups[place] for place in sorted(groups)]
    return _held(source, 0, len(source), ordered)


def _held(source: str, start: int, end: int, groups: list[list[Numbered]]) -> str:
    out, at, i = [], start, 0
    while i < len(groups):
        first = groups[i][0][1]
        inside = i + 1
        while inside < len(groups) and groups[inside][0][1].end <= first.end:
            inside += 1
        own = _held(source, first.start, first.end, groups[i + 1 : inside])
        out += [source[at : first.start], _choice(own, groups[i])]
        at, i = first.end, inside
    return "".join([*out, source[at:end]])


def _choice(own: str, group: list[Numbered]) -> str:
    """A text of the group's kind that is `own`, or the text of the mutant that is chosen."""
    kind, number, text = group[0][1].kind, group[0][0], group[0][1].text
    if kind == "extra":
        return own + f"+mutantInt(0, {number}, {text})"
    if kind == "number":
        others = "".join(f", {number}, {mutant.text}" for number, mutant in group)
        return f"mutantInt({own}{others})"
    if kind == "loop":
        return re.sub(r"\bif ", f"if mutantIs({number}) && ", text, count=1)
    if kind == "statement":
        return f"if mutantIs({number}) {{\n{text}\n}} else {{\n{own}\n}}"
    choices = "".join(f"if mutantIs({n}) {{\nreturn {m.text}\n}}\n" for n, m in group)
    return f"func() {_TYPES[kind]} {{\n{choices}return {own}\n}}()"


def number_at(text: str, line: int) -> int:
    """The number of the mutant that a line of such a text belongs to."""
    found = re.findall(r"mutantIs\((\d+)\)|mutantInt\(-?\d+, (\d+)", _before(text, line))
    return int(found[-1][0] or found[-1][1]) if found else 0


def _before(text: str, line: int) -> str:
    return "\n".join(text.split("\n")[:line])

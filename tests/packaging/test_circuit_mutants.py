"""The mutants of a circuit are what the tool's rules say, and one text holds them all."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from mutation import circuits, contracts, equivalent, overlay, schemata
from mutation.equivalent import Equivalent
from mutation.faults import FaultError
from mutation.source import Mutant

from tests.support.places import REPO

SOURCE = """
package toy

const (
	// width of 16 values
	width = 7
	rows  = kinds.Rows
)

type shape [3]int

var table = [...]int{5, 60}

// api.AssertIsBoolean(never)
func (c *Toy) Define(api frontend.API) error {
	c.place(api,
		width)
	sum := api.Add(c.Low, api.Mul(c.High, c.Flag), -1)

	// the range of the sum
	api.ToBinary(sum, width)
	api.AssertIsEqual(api.Mul(sum, 2), 0)
	merkle.RequireBits(api, sum, width)
	for range c.Rows {
		api.AssertIsBoolean(c.Flag)
	}
	for i, bit := range c.Bits {
		sum = api.Select(c.Flag, sum,
			bit)
	}
	if c.strict && width <= 3 {
		sum = integer.FromBits(api, c.Bits)
	}
	return nil
}

func NewToy(n int) *Toy {
	for i := range n {
		panic("api.Mul(a, b)")
	}
	return &Toy{Bits: make([]frontend.Variable, n)}
}
"""


def test_each_rule_makes_its_mutants() -> None:
    made = [(m.rule, m.words(SOURCE)) for m in circuits.mutants(SOURCE)]
    assert made == [
        ("number off by one", "7 -> 6"),
        ("number off by one", "7 -> 8"),
        ("number off by one", "5 -> 6"),
        ("number off by one", "60 -> 61"),
        ("constraint dropped", "c.place(api, width) -> mutantDropped(c.place, api, width)"),
        (
            "value untied",
            "api.Mul(c.High, c.Flag) -> mutantLoose(api, api.Mul(c.High, c.Flag))",
        ),
        ("number off by one", "-1 -> -2"),
        ("number off by one", "-1 -> 0"),
        (
            "value untied",
            "api.ToBinary(sum, width) -> api.ToBinary(mutantLoose(api, sum), width)",
        ),
        ("booleanity dropped", "api.ToBinary(sum, width) -> mutantBits(api, sum, width)"),
        (
            "constraint dropped",
            "api.ToBinary(sum, width) -> mutantDropped(api.ToBinary, sum, width)",
        ),
        ("width raised", "nothing -> +1"),
        (
            "constraint dropped",
            "api.AssertIsEqual(api.Mul(sum, 2), 0) -> api.Mul(api.Mul(sum, 2), api.Mul(sum, 2))",
        ),
        ("number off by one", "2 -> 3"),
        (
            "constraint dropped",
            "merkle.RequireBits(api, sum, width) -> "
            "mutantDropped(merkle.RequireBits, api, sum, width)",
        ),
        ("width raised", "nothing -> +1"),
        (
            "loop shortened",
            "for range c.Rows { -> for mutantRound := range c.Rows { "
            "if mutantRound == mutantLast(c.Rows) { break }",
        ),
        ("constraint dropped", "api.AssertIsBoolean(c.Flag) -> api.Mul(c.Flag, c.Flag)"),
        (
            "loop shortened",
            "for i, bit := range c.Bits { -> for i, bit := range c.Bits { "
            "if i == mutantLast(c.Bits) { break }",
        ),
        (
            "value untied",
            "api.Select(c.Flag, sum, bit) -> mutantLoose(api, api.Select(c.Flag, sum, bit))",
        ),
        ("condition fixed", "c.Flag -> mutantConst(0, c.Flag)"),
        ("condition fixed", "c.Flag -> mutantConst(1, c.Flag)"),
        ("comparison weakened", "c.strict && width <= 3 -> c.strict && width < 3"),
        ("condition dropped", "c.strict && width <= 3 -> false && (c.strict && width <= 3)"),
        (
            "booleanity dropped",
            "integer.FromBits(api, c.Bits) -> integer.Weighted(api, c.Bits)",
        ),
    ]


def test_a_mutant_changes_its_place_only() -> None:
    for mutant in circuits.mutants(SOURCE):
        changed = mutant.apply(SOURCE)
        assert changed != SOURCE
        assert changed.startswith(SOURCE[: mutant.start])
        assert changed.endswith(SOURCE[mutant.end :])


def test_one_text_holds_the_source_and_each_mutant() -> None:
    """Where no mutant is chosen stands the source, and each number stands once."""
    made = [mutant for mutant in circuits.mutants(SOURCE) if mutant.kind]
    text = schemata.held(SOURCE, list(enumerate(made, 1)))
    numbers = re.findall(r"mutantIs\((\d+)\)", text)
    for call in re.findall(r"mutantInt\([^()]*\)", text):
        numbers += re.findall(r", (\d+), [+-]?\d+", call)
    assert sorted(map(int, numbers)) == list(range(1, len(made) + 1))
    for number, mutant in enumerate(made, 1):
        if mutant.kind in ("value", "bits", "condition"):
            assert f"if mutantIs({number}) {{\nreturn {mutant.text}\n}}" in text
    assert schemata.held(SOURCE, []) == SOURCE


def test_a_line_of_such_a_text_leads_to_its_mutant() -> None:
    """By it a mutant that does not compile is found."""
    held = schemata.held("x := f(a)\ny := 2\n", [(7, Mutant(5, 9, "g(a)", "r", "value"))])
    line = held.split("\n").index("return g(a)") + 1
    assert schemata.number_at(held, line) == 7
    assert schemata.number_at(held, 1) == 0
    held = schemata.held("y := 2\n", [(3, Mutant(5, 6, "1", "r", "number"))])
    assert schemata.number_at(held, 1) == 3


def test_every_file_has_tests_and_known_survivors_are_among_the_mutants() -> None:
    """Each survivor of earlier tests that an audit named is derived."""
    found = {
        (name.removeprefix("zk/prover/"), mutant.rule, line.strip())
        for name in overlay.names("")
        for source in [(REPO / name).read_text(encoding="utf-8")]
        for mutant in circuits.mutants(source)
        for line in [source.split("\n")[mutant.line(source) - 1]]
    }
    dropped = "constraint dropped"
    for known in (
        ("circuits/absent.go", dropped, "api.AssertIsBoolean(c.AtStart)"),
        ("circuits/sorted.go", dropped, "api.AssertIsBoolean(c.More)"),
        ("circuits/quantized.go", dropped, "api.AssertIsEqual(sum, c.Codes[w])"),
        ("gadgets/merkle/edge.go", dropped, "api.AssertIsEqual(sum, 1)"),
        ("gadgets/page/location.go", dropped, "api.AssertIsBoolean(last)"),
        ("gadgets/quantized/code.go", dropped, "api.AssertIsZeroOr(c.Near, v.Sign)"),
        ("gadgets/quantized/parts.go", dropped, "api.AssertIsZeroOr(choice, parts[i])"),
        ("gadgets/quantized/scale.go", dropped, "api.AssertIsBoolean(m.Zero)"),
        (
            "circuits/merge.go",
            "width raised",
            "m.api.ToBinary(m.api.Sub(m.columns, 1, column), columnsBits)",
        ),
    ):
        assert known in found
    for name in overlay.names(""):
        for package in overlay.packages(name):
            assert list((REPO / overlay.PROVER / package).glob("*_test.go")), package


def test_what_no_attack_sees_is_tested_by_its_rank_first() -> None:
    """All else by attacks first: of a circuit that binds little the rank takes minutes."""
    by_rule = {task.mutant.rule: task for task in overlay.tasks("circuits/absent")}
    ranks = overlay.Step("prove/dataset", f"(Absent).*({overlay.RANK})")
    others = overlay.Step("prove/dataset", "Absent", f"{overlay.COUNTING}|{overlay.RANK}")
    assert overlay.steps(by_rule["value untied"]) == [ranks, others]
    assert overlay.steps(by_rule["constraint dropped"]) == [others, ranks]
    assert "-short" in others.flags()


ENTRY = Equivalent("toy.go", "number off by one", "width = 7", "7 -> 8", "no reason")


def test_the_list_of_equivalents_must_fit_the_mutants() -> None:
    made = circuits.mutants(SOURCE)
    twice = dataclasses.replace(ENTRY, change="", count=2)
    assert len(equivalent.matched([twice], SOURCE, made)) == 2
    (mutant,) = equivalent.matched([ENTRY], SOURCE, made)
    assert mutant.words(SOURCE) == "7 -> 8"
    for wrong in (
        dataclasses.replace(ENTRY, change=""),  # two mutants
        dataclasses.replace(ENTRY, line="width = 8"),
        dataclasses.replace(ENTRY, rule="constraint dropped"),
    ):
        with pytest.raises(FaultError, match=r"mutants, want 1"):
            equivalent.matched([wrong], SOURCE, made)


def test_an_entry_needs_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "list.toml"
    entry = '[[equivalent]]\nfile = "Makefile"\nrule = "r"\nline = "x"\nreason = "%s"\n'
    path.write_text(entry % "it is so", encoding="utf-8")
    assert [e.reason for e in equivalent.read(path)] == ["it is so"]
    path.write_text(entry % " ", encoding="utf-8")
    with pytest.raises(FaultError, match="without a reason"):
        equivalent.read(path)
    path.write_text(entry.replace("Makefile", "gone.go") % "it is so", encoding="utf-8")
    with pytest.raises(FaultError, match="a file that is gone"):
        equivalent.read(path)


def test_every_entry_of_the_list_is_about_mutants() -> None:
    listed = [task for task in (*overlay.tasks(""), *contracts.tasks("")) if task.equivalent]
    assert len(listed) == sum(entry.count for entry in equivalent.read())

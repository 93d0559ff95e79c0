"""The mutants of a contract are what the tool's rules say, and each changes one thing."""

from __future__ import annotations

import pytest
from mutation import contracts
from mutation.bench import ALL, TESTS
from mutation.faults import FaultError
from mutation.switched import coinbase, reads_blocks, switched

from tests.support.places import REPO

SOURCE = """
    uint256 private constant MIN_DRAWS = 2; // of each
    // if (a > b) revert Never();
    function f(uint256 a, uint256 b) {
        if (a == 0 || (b >= 7 && a < b)) revert Bad(a);
        for (uint256 i = 0; i < list.length; ++i)
            seed = keccak256(abi.encode(TAG, list[i], g(a, b)));
        if (a > b) b = a;
        return a == 1 && b != 2;
    }
"""


def test_each_rule_makes_its_mutants() -> None:
    made = [
        (m.rule, SOURCE[m.start : m.end].strip(" ,"), m.text) for m in contracts.mutants(SOURCE)
    ]
    condition = "a == 0 || (b >= 7 && a < b)"
    assert made == [
        ("constant lowered", "2", "1"),
        ("operand dropped", "a == 0", "false"),
        ("condition dropped", condition, "false"),
        ("operand dropped", "(b >= 7 && a < b)", "false"),
        ("comparison weakened", ">=", ">"),
        ("comparison weakened", "<", "<="),
        ("loop shortened", "i", "i + 1"),
        ("value left out", "TAG", ""),
        ("value left out", "list[i]", ""),
        ("value left out", "g(a, b)", ""),
        ("operand dropped", "a == 1", "true"),
        ("operand dropped", "b != 2", "true"),
    ]


def test_a_mutant_changes_its_place_only() -> None:
    for mutant in contracts.mutants(SOURCE):
        changed = mutant.apply(SOURCE)
        assert changed != SOURCE
        assert changed.startswith(SOURCE[: mutant.start])
        assert changed.endswith(SOURCE[mutant.end :])


def test_every_contract_has_mutants_and_tests() -> None:
    """Each known survivor of earlier tests is among them."""
    sources = {
        path.stem: path.read_text("utf-8") for path in (REPO / "contracts/libraries").rglob("*.sol")
    }
    for name, rule, what in (
        ("Groth16", "value left out", "points"),
        ("Rfc6962", "operand dropped", "sn == 0"),
        ("Epochs", "constant lowered", "6"),
        ("Bn254", "condition dropped", "length != expected"),
        ("Models", "operand dropped", "(a.adapter.root != 0) != merges"),
        ("Samples", "constant lowered", "2"),
    ):
        source = sources[name]
        found = [(m.rule, source[m.start : m.end].strip(" ,")) for m in contracts.mutants(source)]
        assert (rule, what) in found, name
    for tests in (ALL, *(pattern for patterns in TESTS.values() for pattern in patterns)):
        assert list((REPO / "contracts" / "test").glob(f"{tests}.t.sol")), tests


def test_mutants_of_one_expression_wait_for_their_coinbase() -> None:
    source = "if (a == 0 || b < f(abi.encode(a, b))) revert Bad(a);\nreturn a;"
    found = contracts.mutants(source)
    text = switched(source, dict(enumerate(found)))
    assert text.startswith("if ((block.coinbase == address(uint160(")
    assert text.endswith(") revert Bad(a);\nreturn a;")
    for number, made in enumerate(found):
        assert made.inside == (4, 37) or made.rule == "value left out"
        changed = made.apply(source)[4 : 37 + len(made.text) - (made.end - made.start)]
        turned_on = f"block.coinbase == address(uint160({coinbase(number)}))"
        assert f"({turned_on} ? ({changed}) : " in text


def test_a_mutant_that_changes_no_expression_is_left_out() -> None:
    source = "uint256 constant MIN = 2;"
    (made,) = contracts.mutants(source)
    assert made.inside is None
    assert switched(source, {0: made}) == source


def test_functions_may_read_the_coinbase() -> None:
    source = "function f() internal pure returns (bool) { return pureGold; }"
    assert reads_blocks(source) == source.replace(" pure ", " view ")


def test_a_run_goes_on_by_numbers() -> None:
    todo = contracts.tasks("contracts/libraries/datasets/Epochs.sol")
    assert contracts.numbered(todo, "") == todo
    assert contracts.numbered(todo, "2,4-6") == [todo[1], *todo[3:6]]
    assert contracts.numbered(todo, f"{len(todo)}") == todo[-1:]
    for wrong in ("0", f"1-{len(todo) + 1}", "2-1", "a", "1,", "-3", "1;2"):
        with pytest.raises(FaultError, match="--numbers"):
            contracts.numbered(todo, wrong)

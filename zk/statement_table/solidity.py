"""The regions of the library `Kinds`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from statement_table.table import Entry, Rule, Table

WIDTH = 96  # of a line within the library


def constants(table: Table) -> Iterator[str]:
    """Numbers of kinds and stages, limits, and the sets of kinds that contracts pin."""
    for kind in table.kinds:
        name, number = kind["name"].upper(), kind["number"]
        yield from (f"// {kind['shows']}", f"uint64 internal constant {name} = {number};")
    yield f"uint64 internal constant LAST = {table.kinds[-1]['name'].upper()};"
    yield ""
    for name, number in table.stages.items():
        yield f"uint64 internal constant {name.upper()}_STAGE = {number};"
    for constant in table.constants:
        value = constant["value"]
        if isinstance(value, list):
            yield f"// {constant['about']}"
            yield f"uint256 private constant MIN_RANK = {value[0]};"
            yield f"uint256 private constant MAX_RANK = {value[-1]};"
        else:
            yield f"uint256 internal constant {constant['name']} = {value}; // {constant['about']}"
    yield "// largest number of public inputs of a key"
    yield f"uint256 internal constant MAX_PUBLIC = {table.most_public()};"
    yield ""
    yield "// The kinds whose keys each contract pins; bit n stands for kind n."
    for contract in table.contracts:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", contract).upper()
        pinned = " | ".join(f"(1 << {kind['name'].upper()})" for kind in table.of(contract))
        yield f"uint256 internal constant {name} = {pinned};"


def _rule(word: str, rule: Rule) -> str:
    if "one_of" in rule:
        return " || ".join(f"{word} == {value}" for value in rule["one_of"])
    return f"{word} >= {rule['from']} && {word} <= {rule['to']}"


def _depth(rule: Rule) -> str:
    if rule.get("holds_slots"):
        return f"{_rule('depth', rule)} && ARITY ** depth >= slots"
    if not rule.get("ranked"):
        return _rule("depth", rule)
    return f"_isRank(depth / RANK_UNIT) && {_rule('depth % RANK_UNIT', rule)}"


def _public(kind: Entry) -> str:
    words = {"index": "indexWords(slots)", "code": "codeWords(kind, slots)"}
    return " + ".join([str(len(kind["public"])), *(words[name] for name in kind["words"])])


_Value = Callable[[Table, Entry], str | None]
_FUNCTIONS: tuple[tuple[str, str, _Value], ...] = (
    (
        "Whether a key of this kind may have this number of slots.",
        "fitsSlots(uint256 kind, uint256 slots) internal pure returns (bool fits)",
        lambda table, kind: _rule("slots", kind["slots"]),
    ),
    (
        "Whether a key of this kind with these slots may have this depth word.",
        "fitsDepth(uint256 kind, uint256 slots, uint256 depth) internal pure returns (bool fits)",
        lambda table, kind: _depth(kind["depth"]),
    ),
    (
        "Number of public inputs of a key of this kind; `slots` must fit.",
        "publicCount(uint256 kind, uint256 slots) internal pure returns (uint256 count)",
        lambda table, kind: _public(kind),
    ),
    (
        "Number of commitments of a key of this kind.",
        "commitmentCount(uint256 kind) internal pure returns (uint256 count)",
        lambda table, kind: str(len(kind["commitments"]) or "") or None,
    ),
    (
        "Stage whose anchorings take proofs of this kind; 0 if the kind is of no stage.",
        "stageOf(uint256 kind) internal pure returns (uint64 stage)",
        lambda table, kind: kind["stage"] and f"{kind['stage'].upper()}_STAGE",
    ),
    (
        "Bytes of a block of the deployed file; 0 for a kind that is not about such a file.",
        "blockBytes(uint256 kind) internal pure returns (uint256 size)",
        lambda table, kind: str(kind["block"]["bytes"] or "") or None,
    ),
)


def rules(table: Table) -> Iterator[str]:
    """One Solidity function for each fact about a kind."""
    for i, (notice, head, value) in enumerate(_FUNCTIONS):
        yield from ([""] if i else [])
        yield from (f"/// @notice {notice}", f"function {head} {{")
        yield from _cases(table, value)
        yield from ("    assert(isKnown(kind));", "}")


def _cases(table: Table, value: _Value) -> Iterator[str]:
    """One line for each value and its kinds. Kinds whose value is None have no line and get 0."""
    sharing: dict[str, list[str]] = {}
    for kind in table.kinds:
        if (expression := value(table, kind)) is not None:
            sharing.setdefault(expression, []).append(f"kind == {kind['name'].upper()}")
    for expression, conditions in sharing.items():
        condition = " || ".join(conditions)
        line = f"    if ({condition}) return {expression};"
        yield from [line] if len(line) <= WIDTH else _long_case(condition, expression)


def _long_case(condition: str, expression: str) -> Iterator[str]:
    yield f"    if ({condition}) {{"
    *first, last = expression.split(" || ")
    if first:
        yield from ("        return", *(f"            {case} ||" for case in first))
        yield f"            {last};"
    else:
        yield f"        return {last};"
    yield "    }"

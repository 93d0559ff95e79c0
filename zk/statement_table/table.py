"""The table `zk/statements.json`, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

Rule = Mapping[str, Any]  # {"from", "to"} or {"one_of"}: which values a number may have
Entry = dict[str, Any]  # one kind, with a value for every field

_REQUIRED = ("number", "name", "shows", "contract", "public", "slots", "depth")
_OPTIONAL: dict[str, Any] = {
    "words": [],
    "commitments": [],
    "stage": None,
    "quantization": None,
    "block": {"bytes": 0, "codes_at": 0},
    "blocks_per_proof": 0,
    "not_shown": "",
}
_RULES = {"slots": {"means"}, "depth": {"means", "holds_slots", "ranked"}}  # words beside numbers


class Table:
    """The table, checked.

    Raises:
        ValueError: a field is unknown or missing, or a value breaks a rule; the text names it.
    """

    def __init__(self, value: Mapping[str, Any]) -> None:
        self.constants: list[Mapping[str, Any]] = value["constants"]
        self.contracts: list[str] = value["contracts"]
        self.stages: dict[str, int] = value["stages"]
        values = {constant["name"]: constant["value"] for constant in self.constants}
        self.ranks: list[int] = values.pop("RANKS")
        self._limits: dict[str, int] = values
        self.kinds = [self._entry(kind) for kind in value["kinds"]]
        if [kind["number"] for kind in self.kinds] != list(range(1, len(self.kinds) + 1)):
            raise ValueError("kinds are not numbered 1, 2, .. without gap")
        if len({kind["name"] for kind in self.kinds}) != len(self.kinds):
            raise ValueError("two kinds have one name")
        read = [kind["quantization"] for kind in self.kinds if kind["quantization"] is not None]
        if len(set(read)) != len(read):
            raise ValueError("two kinds have one quantization")
        if any(b != 2 * a for a, b in pairwise(self.ranks)):
            raise ValueError("RANKS: a rank is not twice the one before (Kinds.sol, paddedRank)")

    def _entry(self, kind: Mapping[str, Any]) -> Entry:
        where = f"kind {kind.get('name')}"
        _require_words(kind, {*_REQUIRED, *_OPTIONAL}, where)
        if lacking := [name for name in _REQUIRED if name not in kind]:
            raise ValueError(f"{where}: field {lacking[0]} is missing")
        entry = _OPTIONAL | dict(kind)
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", entry["name"]):
            raise ValueError(f"{where}: the name is not of letters, digits and single underscores")
        if entry["contract"] not in self.contracts:
            raise ValueError(f"{where}: unknown contract {entry['contract']}")
        self._check_stage(entry, where)
        self._check_rules(entry, where)
        _check_file(entry, where)
        return entry

    def _check_stage(self, entry: Entry, where: str) -> None:
        """Kinds about weights have a stage, and no others."""
        if entry["stage"] not in (None, *self.stages):
            raise ValueError(f"{where}: unknown stage {entry['stage']}")
        if (entry["stage"] is None) == (entry["contract"] == "ModelLedger"):
            raise ValueError(f"{where}: a kind has a stage if its contract is ModelLedger only")

    def _check_rules(self, entry: Entry, where: str) -> None:
        for word, others in _RULES.items():
            self._check_rule(entry[word], others, f"{where}: {word}")
            if "means" not in entry[word]:
                raise ValueError(f"{where}: {word}: means is missing")

    def _check_rule(self, rule: Rule, others: set[str], where: str) -> None:
        _require_words(rule, {"from", "to", "one_of", *others}, where)
        if set(rule) - others not in ({"from", "to"}, {"one_of"}):
            raise ValueError(f"{where}: a rule has from and to, or one_of")
        for value in (rule.get("from", 0), rule.get("to", 0), *rule.get("one_of", ())):
            if isinstance(value, str) and value not in self._limits:
                raise ValueError(f"{where}: unknown constant {value}")

    def limit(self, value: int | str) -> int:
        """The number that a value of the table stands for: itself, or the constant of this name."""
        return self._limits[value] if isinstance(value, str) else value

    def of(self, contract: str) -> list[Entry]:
        """The kinds whose keys a contract pins."""
        return [kind for kind in self.kinds if kind["contract"] == contract]

    def most_public(self) -> int:
        """Number of public inputs of the largest key."""
        return max(self._public_count(kind, self.limit("MAX_BLOCKS")) for kind in self.kinds)

    def _public_count(self, kind: Entry, slots: int) -> int:
        block_bytes: int = kind["block"]["bytes"]
        words = {
            "index": -(-slots // self.limit("INDEXES_PER_WORD")),
            "code": -(-slots * block_bytes // self.limit("BYTES_PER_WORD")),
        }
        fixed: list[str] = kind["public"]
        more: list[str] = kind["words"]
        return len(fixed) + sum(words[name] for name in more)


def _require_words(value: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := set(value) - known:
        raise ValueError(f"{where}: unknown field {min(unknown)}")


def _check_file(entry: Entry, where: str) -> None:
    """A kind reads a file wholly or not at all: code words, bytes of a block, a quantization."""
    if entry["words"] not in ([], ["index"], ["index", "code"]):
        raise ValueError(f"{where}: words must be none, index, or index and code")
    if set(entry["block"]) != {"bytes", "codes_at"}:
        raise ValueError(f"{where}: block has bytes and codes_at")
    reads = "code" in entry["words"]
    if reads != (entry["block"]["bytes"] > 0):
        raise ValueError(f"{where}: code words need a block's bytes, and bytes need code words")
    if reads != (entry["quantization"] is not None):
        raise ValueError(f"{where}: code words need a quantization, which needs code words")


def camel(name: str) -> str:
    """Go's form of a name: MAX_SLOTS -> MaxSlots, q8_0 -> Q8_0."""
    text = re.sub(r"_([a-z])", lambda match: match[1].upper(), name.lower())
    return text[0].upper() + text[1:]


def quoted(names: Sequence[str]) -> str:
    """Names in double quotes, with commas."""
    return ", ".join(f'"{name}"' for name in names)

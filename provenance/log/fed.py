"""What a `run.open` record says is fed, read strictly and put into words."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from provenance.digest import Digest
from provenance.errors import InputError
from provenance.text.shown import told

_SHAPES = ("text", "messages", "conversations", "prompt_completion", "instruction")
_LOSS = {"all": "every token", "completion": "the completion", "assistant": "the assistant's words"}
_COUNTS = ("records", "tokens", "predicted", "longest", "cut", "lost", "unlearned", "max_length")
_COUNTS_OF = {1: _COUNTS, 2: (*_COUNTS, "special", "unended")}  # by rules
_OF_RECORDS = ("cut", "unlearned", "special", "unended")
_REST = {
    "unlearned": "without a token to predict",
    "special": "with special tokens in their words",
    "unended": "without an end token",
}
_MOST_COLUMNS = 32
_MOST_LETTERS = 1000  # of a column's name, as sources have it
_TOKEN = re.compile(r"none|0|[1-9][0-9]{0,9}")


@dataclass(frozen=True)
class FedFacts:
    """The field `fed`: which columns, in which shape, with the loss on what, and how much.

    rules: by which records become tokens. Fields that name none were written by the first.
    begin, end: ids of the tokens that begin and end a record, `none` without.
    template: digest of the chat template, `none` where none is used. counts: by name
    (docs/formats/records.md). day: what the chat template's clock says; None where it has none.
    """

    rules: int
    shape: str
    columns: tuple[str, ...]
    loss: str
    begin: str
    end: str
    template: str
    counts: Mapping[str, int]
    day: str | None = None

    @classmethod
    def read(cls, value: Any) -> FedFacts:
        """Read the field (attacker-controlled).

        Raises:
            InputError: not of that form, or counts that no records can have.
        """
        if not isinstance(value, Mapping):
            raise _malformed("an object", value)
        rules = value.get("rules", 1)
        if type(rules) is not int or rules not in _COUNTS_OF:
            raise _malformed("rules, 2 or none", rules)
        template = value.get("chat_template")
        if template != "none" and not _is_digest(template):
            raise _malformed("chat_template, none or sha256 and 64 hex digits", template)
        return cls(
            rules,
            _word(value, "shape", _SHAPES),
            _columns(value.get("columns")),
            _word(value, "loss", _LOSS),
            _token(value, "begin"),
            _token(value, "end"),
            str(template),
            _counts(value, _COUNTS_OF[rules]),
            cls.day_of(value),
        )

    @staticmethod
    def day_of(value: Mapping[str, Any]) -> str | None:
        """The day of the field (attacker-controlled), None without; raises as `read`."""
        return _day(value) if "day" in value else None

    def __str__(self) -> str:
        template = "no chat template"
        if self.template != "none":
            template = f"chat template {self.template}"
        if self.day is not None:
            template += f" with its clock at {self.day}"
        columns = " + ".join(map(told, self.columns))
        earlier = ", by the first rules" if self.rules == 1 else ""
        return (
            f"fed: {columns} ({self.shape}), loss on {_LOSS[self.loss]}, {template}, "
            f"begin token {self.begin}, end token {self.end}{earlier}"
        )

    @property
    def amounts(self) -> str:
        """The counts in words."""
        n = self.counts
        cut = f"{n['cut']} cut to {n['max_length']} tokens" if n["cut"] else "none cut"
        lost = f" ({n['lost']} lost)" if n["lost"] else ""
        rest = "".join(f", {n[name]} {said}" for name, said in _REST.items() if n.get(name))
        return (
            f"{n['records']} records, {n['tokens']} tokens, {n['predicted']} of them to predict, "
            f"{cut}{lost}{rest}"
        )


def _is_digest(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(Digest.parse(value)) == value
    except InputError:
        return False


def _word(value: Mapping[str, Any], name: str, known: Collection[str]) -> str:
    word = value.get(name)
    if not isinstance(word, str) or word not in known:
        raise _malformed(f"{name}, one of {', '.join(known)}", word)
    return word


def _token(value: Mapping[str, Any], name: str) -> str:
    token = value.get(name)
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise _malformed(f"{name}, the id of a token or none", token)
    return token


def _day(value: Mapping[str, Any]) -> str:
    """The day of a template's clock: a date of the calendar, and only beside a chat template."""
    day = value.get("day")
    try:
        right = isinstance(day, str) and date.fromisoformat(day).isoformat() == day
    except ValueError:
        right = False
    if not right or value.get("rules") is None or value.get("chat_template") == "none":
        raise _malformed("day, such as 2026-01-31, beside rules and a chat template", day)
    return str(day)


def _columns(value: Any) -> tuple[str, ...]:
    if (
        not isinstance(value, list)
        or not 0 < len(value) <= _MOST_COLUMNS
        or not all(isinstance(c, str) and len(c) <= _MOST_LETTERS for c in value)
        or len(set(value)) != len(value)
    ):
        raise _malformed("columns, a list of names", value)
    return tuple(value)


def _counts(value: Mapping[str, Any], names: Collection[str]) -> dict[str, int]:
    counts = {name: value.get(name) for name in names}
    if not all(type(count) is int and count >= 0 for count in counts.values()):
        raise _malformed("counts, integers from 0", counts)
    n = {name: int(count) for name, count in counts.items() if count is not None}
    most = n["records"] * min(n["longest"], n["max_length"])
    for expected, holds in (
        ("as many tokens as records or more", n["tokens"] >= n["records"]),
        ("tokens that fit into the records", n["tokens"] <= most),
        ("fewer tokens to predict than tokens", n["predicted"] <= n["tokens"] - n["records"]),
        ("no more of a kind than records", all(n.get(c, 0) <= n["records"] for c in _OF_RECORDS)),
        ("a longest record that is cut", (n["longest"] > n["max_length"]) == (n["cut"] > 0)),
        ("tokens lost by what is cut", n["lost"] >= n["cut"] and (n["lost"] > 0) == (n["cut"] > 0)),
    ):
        if not holds:
            raise _malformed(expected, n)
    return n


def _malformed(expected: str, actual: Any) -> InputError:
    return InputError(
        "what is fed is not said in the right form",
        where="run.open fed",
        expected=expected,
        actual=f"{actual!r:.200}",
    )

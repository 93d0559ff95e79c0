"""What the columns of a dataset hold, judged over all of its records and not over one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from provenance.errors import InputError

Kind = Literal["text", "messages", "conversations", "list", "object", "other"]
"""`messages` and `conversations` are lists whose items say `role` or `from`. Other lists and
objects count only if they hold text; without it they are `other`, as numbers are."""

LISTS: frozenset[Kind] = frozenset({"messages", "conversations", "list"})
_WORDS: Mapping[Kind, str] = {"text": "text", "object": "an object", "other": "another value"}


@dataclass(frozen=True)
class Kinds:
    """The kinds of value that each column holds, and the first record that holds each.

    A null says nothing: a column that is null in every record has no kind.
    """

    places: Mapping[str, Mapping[Kind, str]]

    @classmethod
    def of(cls, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Kinds:
        """Judge records; memory grows with the columns, not with the records.

        Args:
            rows: (where the record stands, the record). Attacker-controlled.

        Raises:
            InputError: there is no record.
        """
        places: dict[str, dict[Kind, str]] = {}
        where = None
        for where, row in rows:
            for column, value in row.items():
                kind = _kind(value)
                if kind is not None:
                    places.setdefault(column, {}).setdefault(kind, where)
        if where is None:
            raise InputError("every record of the dataset was erased", where="dataset_name")
        return cls(places)

    def holds(self, column: str, kinds: Iterable[Kind]) -> bool:
        """Whether a record has a value of one of these kinds in the column."""
        return not self.places.get(column, {}).keys().isdisjoint(kinds)

    def require_one(self, column: str) -> None:
        """Check that a column is text in every record, or a list in every record.

        Raises:
            InputError: names a record of each kind.
        """
        found = {_said(kind): where for kind, where in self.places.get(column, {}).items()}
        if len(found) > 1:
            raise InputError(
                "column does not hold the same kind of value in all records",
                where=column,
                expected="text in every record, or messages in every record",
                actual="; ".join(f"{said} in {where}" for said, where in found.items()),
            )


def _said(kind: Kind) -> str:
    return _WORDS.get(kind, "a list")


def _kind(value: Any) -> Kind | None:
    if value is None or value == [] or value == {}:
        return None
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        first = value[0]
        if isinstance(first, dict) and "from" in first:
            return "conversations"
        if isinstance(first, dict) and "role" in first:
            return "messages"
        return "list" if _holds_text(value) else "other"
    if isinstance(value, Mapping):
        return "object" if _holds_text(value) else "other"
    return "other"


def _holds_text(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, list):
        return isinstance(value, str)
    return any(map(_holds_text, value))

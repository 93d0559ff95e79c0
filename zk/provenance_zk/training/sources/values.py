"""What a cell may hold, and which values a record holds as text.

| value | in the record |
|---|---|
| null, true, false, text, numbers within +-(2^53-1), finite floats, lists, objects | itself |
| integer beyond +-(2^53-1) | its decimal digits as text |
| decimal | its digits as text, with all decimal places of the column |
| bytes | base64 |
| timestamp | RFC 3339 in UTC; one without a zone counts as UTC |
| date, time of day | ISO 8601 |

Anything else is refused by column. The bytes: `provenance.encoding.dataset_record_bytes`.
"""

from __future__ import annotations

import datetime
import decimal
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from provenance.encoding import MAX_INTEGER
from provenance.errors import InputError

WAY_OUT = "change it in the source, or commit one column with --text-column"

_PLAIN = frozenset({str, bool, type(None)})
_SHOWN_NAMES = 8
BASE64 = "binary values as base64"
_TEXT_KINDS: tuple[tuple[type, str], ...] = (
    (bytes, BASE64),
    (datetime.datetime, "timestamps as RFC 3339 text in UTC"),
    (datetime.date, "dates as ISO 8601 text"),
    (datetime.time, "times of day as ISO 8601 text"),
)


@dataclass(frozen=True)
class Unreadable:
    """Stands for a cell that cannot be read exactly; `reason` says why."""

    reason: str


def is_plain(value: Any) -> bool:
    """Whether a record holds a cell as it is, without a look into it."""
    kind = type(value)
    return (
        kind in _PLAIN
        or (kind is int and -MAX_INTEGER <= value <= MAX_INTEGER)
        or (kind is float and math.isfinite(value))
    )


def conversions(value: Any, where: str) -> Iterator[str]:
    """The kind of each conversion that a cell needs (attacker-controlled).

    Args:
        where: row and column, for messages.

    Raises:
        InputError: a value that records cannot hold; `where` names its place.
    """
    if is_plain(value):
        return
    if isinstance(value, Mapping | list | tuple):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            if not is_plain(item):
                yield from conversions(item, f"{where}[{key!r:.40}]")
    elif isinstance(value, np.generic | np.ndarray):
        yield from conversions(value.tolist(), where)
    elif isinstance(value, int | float | decimal.Decimal):
        yield from _number(value, where)
    else:
        yield _text_kind(value, where)


def _number(value: float | decimal.Decimal, where: str) -> Iterator[str]:
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            yield "integers beyond 2^53-1 as decimal text"
        return
    if not math.isfinite(value):
        raise InputError(
            "not a finite number",
            where=where,
            actual=value,
            hint="write null instead, or commit one column with --text-column",
        )
    if isinstance(value, decimal.Decimal):
        yield "decimals as decimal text"


def _text_kind(value: Any, where: str) -> str:
    for kind, said in _TEXT_KINDS:
        if isinstance(value, kind) and value == value:  # NaT differs from itself
            return said
    actual = value.reason if isinstance(value, Unreadable) else type(value).__name__
    raise InputError(
        "column holds a value that a record cannot hold exactly",
        where=where,
        expected="text, numbers, dates, bytes, lists or objects",
        actual=actual[:200],
        hint=WAY_OUT,
    )


def repeated(names: Iterable[str]) -> list[str]:
    """The names that stand there more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def shown(name: str) -> str:
    """A name from a source as messages show it: one line, at most 80 characters."""
    text = name if name.isprintable() and name else repr(name)
    return text if len(text) <= 80 else f"{text[:77]}..."


def listed(names: Iterable[str]) -> str:
    """Some names in one line, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - _SHOWN_NAMES} more" if len(every) > _SHOWN_NAMES else ""
    return ", ".join(map(shown, every[:_SHOWN_NAMES])) + more

"""Pages of lists: a cursor is the key of the last row that was shown.

A cursor is attacker-controlled. One that has another form, or names no row, is refused, so a
client learns that its list is another one by now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from provenance.encoding import MAX_INTEGER
from provenance.errors import InputError
from provenance.ids import RunId

_T = TypeVar("_T")

LIMIT, MOST = 50, 100
"""Rows of a page, unless the client asks for another number; and the most it may ask for."""


class BadCursor(InputError):
    """`after` is no cursor of this list."""

    code = "bad-cursor"

    def __init__(self, after: str, form: str) -> None:
        super().__init__(
            "not a cursor of this list",
            where="after",
            expected=form,
            actual=after[:100],
            hint="begin without `after`, and follow `next` of each answer",
        )


def number(after: str, form: str) -> int:
    """A cursor that is an index.

    Raises:
        BadCursor: it is none.
    """
    if not (after.isascii() and after.isdigit() and len(after) <= 16):
        raise BadCursor(after, form)
    value = int(after)
    if value > MAX_INTEGER:
        raise BadCursor(after, form)
    return value


def pair(after: str, form: str) -> tuple[int, int]:
    """A cursor of two numbers, `2.17`.

    Raises:
        BadCursor: it is none.
    """
    left, _, right = after.partition(".")
    return number(left, form), number(right, form)


def run_id(after: str, form: str) -> RunId:
    """A cursor that is the id of a run.

    Raises:
        BadCursor: it is none.
    """
    try:
        return RunId.parse(after)
    except InputError as error:
        raise BadCursor(after, form) from error


def split(found: Sequence[_T], limit: int, key: Callable[[_T], str]) -> tuple[list[_T], str | None]:
    """The rows of a page, and the cursor of the next one; None at the end.

    Args:
        found: one row more than `limit`, if there are as many.
    """
    page = list(found[:limit])
    return page, key(page[-1]) if len(found) > limit else None


def link(path: str, after: str | None, **more: str | int | None) -> str | None:
    """Where the next page is; None at the end. `path` is one of ours."""
    if after is None:
        return None
    return (
        f"{path}?{urlencode({k: v for k, v in more.items() if v is not None} | {'after': after})}"
    )

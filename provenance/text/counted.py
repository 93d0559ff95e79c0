"""Numbers with their nouns."""

from __future__ import annotations


def counted(number: int, one: str, more: str | None = None) -> str:
    """`1 epoch`, `2 epochs`; `more` is the plural of a noun whose plural is not made with an s."""
    return f"{number} {one if number == 1 else more or one + 's'}"

"""Numbers with their nouns."""

from __future__ import annotations


def counted(number: int, one: str, more: str | None = None) -> str:
    """`1 epoch`, `2 epochs`; `more` is the plural of a noun whose plural is not made with an s."""
    return f"{number} {one if number == 1 else more or one + 's'}"


def percent(share: float) -> str:
    """A share of 0 to 1 in percent; what is neither 0 nor 1 is never told as 0 % or 100 %."""
    if share in (0, 1) or 0.01 <= share <= 0.99:
        return f"{share:.0%}"
    if share < 0.001:
        return "less than 0.1%"
    return "more than 99.9%" if share > 0.999 else f"{share:.1%}"

"""Facts about each kind of proof, taken from the table `provenance.statements`."""

from __future__ import annotations

from provenance.statements import (
    BYTES_PER_WORD,
    INDEX_BITS,
    INDEXES_PER_WORD,
    KINDS,
    RANK_UNIT,
    RANKS,
    kind_named,
    kind_numbered,
)

__all__ = [
    "BYTES_PER_WORD",
    "INDEXES_PER_WORD",
    "INDEX_BITS",
    "KINDS",
    "RANKS",
    "RANK_UNIT",
    "by_number",
    "public_names",
]


def by_number(number: int) -> str:
    """Name of the kind with this number (attacker-controlled).

    Raises:
        InputError: no kind has this number.
    """
    return kind_numbered(number).name


def public_names(kind: str, count: int) -> tuple[str, ...]:
    """Names of the public inputs of a proof, in order.

    Args:
        kind: attacker-controlled.
        count: how many public inputs the proof has; attacker-controlled.

    Raises:
        InputError: unknown kind, or no key of this kind has `count` public inputs.
    """
    return kind_named(kind).public_names(count)

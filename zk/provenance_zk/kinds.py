"""The closed table of statements: what their keys and proofs look like (docs/formats/proofs.md, "Verifying key").

Slots and depth are words 2 and 3 of a key; what they mean is the kind's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from provenance.artifacts.tensors import MAX_DEPTH as MAX_WEIGHT_DEPTH
from provenance.errors import InputError

MAX_DEPTH = 6  # of a dataset's tree
MAX_BLOCKS = 64  # blocks that one proof opens
RANKS = (8, 16, 32, 64)  # of a merge key; an adapter of lower rank is padded with zeros
RANK_UNIT = 16  # depth word of a merge key: depth + 16 * rank
INDEXES_PER_WORD = 7  # block numbers of 32 bits in one public input
BYTES_PER_WORD = 31  # of a deployed file, in one public input
Q8_0_BYTES, INT8_BYTES = 34, 36  # of a block: scale, then 32 codes


@dataclass(frozen=True)
class Kind:
    """`number` is word 1 of the key format; `public` names the public inputs of a key with these slots."""

    number: int
    public: Callable[[int], tuple[str, ...]]
    fits: Callable[[int, int], bool]
    commitments: tuple[str, ...] = ()


def _fixed(*names: str) -> Callable[[int], tuple[str, ...]]:
    return lambda slots: names


def _words(name: str, items: int, per_word: int) -> tuple[str, ...]:
    return tuple(f"{name}_{i}" for i in range(-(-items // per_word)))


def index_names(blocks: int) -> tuple[str, ...]:
    return _words("index", blocks, INDEXES_PER_WORD)


def _sampled(block_bytes: int) -> Callable[[int], tuple[str, ...]]:
    return lambda blocks: (
        "root",
        *index_names(blocks),
        *_words("code", blocks * block_bytes, BYTES_PER_WORD),
    )


def _fits_chunk(slots: int, depth: int) -> bool:
    level = next((level for level in range(1, 5) if slots == 16**level), None)
    return level is not None and level <= depth <= MAX_DEPTH


def _fits_weights(slots: int, depth: int) -> bool:
    return 1 <= slots <= MAX_BLOCKS and 1 <= depth <= MAX_WEIGHT_DEPTH


def _fits_merge(slots: int, depth: int) -> bool:
    rank, levels = divmod(depth, RANK_UNIT)
    return rank in RANKS and _fits_weights(slots, levels)


def _fits_one(slots: int, depth: int) -> bool:
    return slots == 1 and 1 <= depth <= MAX_DEPTH


KINDS: dict[str, Kind] = {
    "epoch": Kind(
        1,
        _fixed("gamma", "delta", "start", "a", "b"),
        lambda slots, depth: 1 <= slots <= 1 << 20 and depth == 0,
        ("D", "U", "P"),
    ),
    "tree": Kind(2, _fixed("root", "k", "used", "last", "gamma", "delta", "t", "z"), _fits_chunk),
    "sorted": Kind(3, _fixed("root", "k", "used", "more", "first", "next"), _fits_chunk),
    "member": Kind(4, _fixed("root", "count", "hi", "lo"), _fits_one),
    "absent": Kind(5, _fixed("root", "count", "hi"), _fits_one),
    "q8_0": Kind(6, _sampled(Q8_0_BYTES), _fits_weights),
    "int8": Kind(7, _sampled(INT8_BYTES), _fits_weights),
    "merge": Kind(
        8,
        lambda blocks: ("base", "a", "b", "merged", "scale", "columns", *index_names(blocks)),
        _fits_merge,
    ),
}
_MAX_PUBLIC = len(KINDS["int8"].public(MAX_BLOCKS))


def by_number(number: int) -> str | None:
    """Name of the kind with this number."""
    return next((name for name, kind in KINDS.items() if kind.number == number), None)


def public_names(kind: str, count: int) -> tuple[str, ...]:
    """Names of the public inputs of a proof that has `count` of them.

    Raises:
        InputError: no key of this kind has so many.
    """
    if count <= _MAX_PUBLIC:
        for slots in range(1, MAX_BLOCKS + 1):
            if len(names := KINDS[kind].public(slots)) == count:
                return names
    raise InputError("proof has another number of inputs than its kind", where=kind, actual=count)

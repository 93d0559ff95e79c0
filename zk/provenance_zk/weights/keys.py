"""Which keys proofs about a model's weights need, told from the shapes of its tensors alone.

A key is made for one number of levels, and a merge key for one rank as well, so one model may need
several keys of a kind.
"""

from __future__ import annotations

from collections.abc import Iterable

from provenance.artifacts.tensors import BLOCK, PAGE_BLOCKS
from provenance.statements import ARITY, KINDS, RANK_UNIT
from provenance_zk.weights.samples import rank_of

KeyShape = tuple[str, int, int]
"""Kind, slots and depth word of a key."""


def levels_of(rows: int, columns: int, bits: int = 16) -> int:
    """Levels of a tensor's tree above its pages: the fewest that hold its blocks, at least one.

    Args:
        bits: of one value.
    """
    blocks = rows * -(-columns // BLOCK)
    levels = 1
    while PAGE_BLOCKS[bits] * ARITY**levels < blocks:
        levels += 1
    return levels


def wanted_keys(
    kinds: Iterable[str], shapes: Iterable[tuple[int, int]], rank: int
) -> list[KeyShape]:
    """The keys that proofs about adapted tensors need, each once, in order.

    Args:
        kinds: of statements about weights.
        shapes: (rows, columns) of each adapted tensor.
        rank: of the adapter; a merge key of the next higher one holds it.

    Raises:
        InputError: no key holds this rank.
    """
    levels = sorted({levels_of(*shape) for shape in shapes})
    return [
        (
            kind,
            KINDS[kind].blocks_per_proof,
            level + (RANK_UNIT * rank_of(rank) if KINDS[kind].ranked else 0),
        )
        for kind in kinds
        for level in levels
    ]

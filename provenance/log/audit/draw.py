"""Which segments of a run are trained again.

The block that draws is fixed by the head under which the training ended, and comes after it. So
nobody could know the segments before they were fixed, and nobody can draw them a second time.
"""

from __future__ import annotations

from provenance.digest import tagged
from provenance.errors import InputError
from provenance.ids import RunId, Word
from provenance.order import epoch_order

DRAW_DELAY = 2
"""The drawing block comes so many blocks after that of the head; contracts draw as they do."""
_TAG = "audit-draw"


def chain_nonce(run_id: RunId, block_hash: bytes) -> Word:
    """The 32 bytes by which a block draws segments of a run.

    block_hash: of the block `DRAW_DELAY` after the first that holds a head with `run.close`.
    """
    return Word(tagged(_TAG, run_id + block_hash))


def drawn(count: int, wanted: int, nonce: Word) -> list[int]:
    """The segments that a nonce draws: `wanted` different ones of `count`, from 0, in order.

    Of one nonce, more wanted ones are the fewer ones and others.

    Raises:
        InputError: more are wanted than there are.
    """
    if not 1 <= wanted <= count:
        raise InputError(
            "the run has not so many segments",
            where="--segments",
            expected=f"1 to {count}, or all",
            actual=wanted,
        )
    return sorted(int(number) for number in epoch_order(bytes(nonce), 0, count)[:wanted])

"""The block that draws segments of a run to train again, as the chain has it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from provenance.errors import NotFound, UnavailableError
from provenance.ids import RunId, Word
from provenance.judgement.facts import ChainReader, ChainSnapshot
from provenance.log.audit.draw import DRAW_DELAY, chain_nonce


@dataclass(frozen=True)
class SegmentDraw:
    """The block that draws, and what it draws by.

    closed: block of the first head that holds `run.close`. block: the one that draws.
    """

    closed: int
    block: int
    nonce: Word


def segment_draw(
    reader: ChainReader, snapshot: ChainSnapshot, run_id: RunId, close: int
) -> SegmentDraw:
    """What draws segments of a run.

    Args:
        snapshot: the state at the newest final block.
        close: index of the record `run.close` in the run's log (attacker-controlled).

    Raises:
        NotFound: no final head holds that record, or the block that draws is not final yet.
        UnavailableError: the chain does not answer.
    """
    run = snapshot.run(run_id)
    if run is None:
        raise NotFound("registry has no such run", where=str(run_id))

    def size(seq: int) -> int:
        head = snapshot.head(run_id, seq)
        if head is None:
            raise UnavailableError("the endpoint lacks a head of the run", where=f"head {seq}")
        return head.size

    seq = 1 + bisect_right(range(1, run.seq + 1), close, key=size)
    head = snapshot.head(run_id, seq)
    if head is None:
        raise NotFound(
            "the end of the training is not on chain in a final block yet",
            where=f"run {run_id}",
            hint="provenance prove RUN, and wait until it is final",
        )
    block = head.block_number + DRAW_DELAY
    if block > snapshot.block.number:
        raise NotFound(
            "the block that draws segments is not final yet",
            where=f"block {block}",
            actual=f"the newest final one is {snapshot.block.number}",
        )
    return SegmentDraw(head.block_number, block, chain_nonce(run_id, reader.block(block).hash))

"""The block that draws segments of a run to train again, as the chain has it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from provenance.errors import NotFound, UnavailableError
from provenance.ids import RunId, Word
from provenance.judgement.facts import ChainReader, ChainSnapshot, HeadFacts
from provenance.log.audit.draw import DRAW_DELAY, chain_nonce


@dataclass(frozen=True)
class SegmentDraw:
    """The block that draws, and what it draws by.

    head: the first one that holds `run.close`. block: the number of the one that draws.
    """

    head: HeadFacts
    block: int
    nonce: Word


def segment_draw(
    reader: ChainReader, snapshot: ChainSnapshot, run_id: RunId, close: int
) -> SegmentDraw:
    """What draws segments of a run; arguments and errors as of `closing_head`.

    Raises:
        NotFound: the block that draws is not final yet.
    """
    head = closing_head(snapshot, run_id, close)
    block = head.block_number + DRAW_DELAY
    if block > snapshot.block.number:
        raise NotFound(
            "the block that draws segments is not final yet",
            where=f"block {block}",
            actual=f"the newest final one is {snapshot.block.number}",
        )
    return SegmentDraw(head, block, chain_nonce(run_id, reader.block(block).hash))


def closing_head(snapshot: ChainSnapshot, run_id: RunId, close: int) -> HeadFacts:
    """The first head of a run that holds the end of its training.

    Args:
        snapshot: the state at the newest final block.
        close: index of the record `run.close` in the run's log (attacker-controlled).

    Raises:
        NotFound: no final head holds that record.
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
    return head

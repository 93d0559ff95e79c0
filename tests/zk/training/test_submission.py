"""Submission in batches, against a ledger in memory that accepts a batch as a whole or not at all,
as the contract does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from provenance.chain.calls import EpochProof
from provenance.errors import OutcomeUnknown, RejectedError
from provenance_zk.training.submission import BATCH, ChunkProof, groups, submit

RUN = bytes(32)
Chunk = tuple[int, int]  # epoch, chunk


class MemoryLedger:
    """Accepts chunks unless they are `bad`.

    The next `lost` writes take effect, but their answers never come.
    """

    def __init__(
        self, accepted: Sequence[Chunk] = (), bad: Sequence[Chunk] = (), lost: int = 0
    ) -> None:
        self.accepted, self.bad, self.lost = list(accepted), set(bad), lost
        self.sent: list[list[Chunk]] = []
        self.finals: list[Any] = []

    def _send(self, chunks: list[Chunk], reason: str) -> list[Chunk]:
        if not self.bad.isdisjoint(chunks):
            raise RejectedError("contract refuses the call", actual=reason)
        self.sent.append(chunks)
        self.accepted += [chunk for chunk in chunks if chunk not in self.accepted]
        if self.lost:
            self.lost -= 1
            raise OutcomeUnknown("chain stopped answering")
        return chunks

    def prove_epochs(self, items: Sequence[EpochProof]) -> list[Chunk]:
        return self._send([(i.epoch, i.c) for i in items], f"BatchInvalid({len(items)})")

    def prove_epoch(self, item: EpochProof) -> list[Chunk]:
        return self._send([(item.epoch, item.c)], f"ProofInvalid({item.c})")

    def is_chunk_proved(self, run_id: bytes, epoch: int, number: int, c: int) -> bool:
        return (epoch, c) in self.accepted

    def final(self, receipt: Any) -> None:
        self.finals.append(receipt)


def chunk_proofs(toy: Any, chunks: Sequence[Chunk]) -> list[ChunkProof]:
    proof = toy.prove((1, 2, 3, 4, 5), (6, 7, 8))
    return [ChunkProof(RUN, epoch, 0, c, proof) for epoch, c in chunks]


def run(toy: Any, ledger: Any, chunks: Sequence[Chunk], *, batch: bool = True) -> list[str]:
    said: list[str] = []
    submit(chunk_proofs(toy, chunks), ledger, said.append, batch=batch)
    return said


CHUNKS = [(epoch, c) for epoch in range(2) for c in range(2)]


def test_all_chunks_go_in_one_transaction(toy: Any) -> None:
    ledger = MemoryLedger()
    run(toy, ledger, CHUNKS)
    assert ledger.sent == [CHUNKS]
    assert ledger.finals == [CHUNKS]


def test_chunks_go_one_by_one_on_demand_or_when_there_is_one(toy: Any) -> None:
    ledger = MemoryLedger()
    run(toy, ledger, CHUNKS, batch=False)
    assert ledger.sent == [[chunk] for chunk in CHUNKS]
    assert ledger.finals == [[CHUNKS[-1]]]
    lonely = MemoryLedger()
    lonely.prove_epochs = None  # type: ignore[assignment]
    run(toy, lonely, [(0, 0)])
    assert lonely.sent == [[(0, 0)]]


def test_what_was_accepted_before_is_left_out(toy: Any) -> None:
    ledger = MemoryLedger(accepted=CHUNKS[:1])
    assert any("1 of 4" in line for line in run(toy, ledger, CHUNKS))
    assert ledger.sent == [CHUNKS[1:]]
    run(toy, ledger, CHUNKS)
    assert ledger.sent == [CHUNKS[1:]]


@pytest.mark.parametrize("bad", [[CHUNKS[i]] for i in range(4)] + [CHUNKS[1:3]])
def test_a_refused_batch_names_the_bad_proofs_and_keeps_the_others(
    toy: Any, bad: list[Chunk]
) -> None:
    ledger = MemoryLedger(bad=bad)
    with pytest.raises(RejectedError, match="ledger refuses a proof") as caught:
        run(toy, ledger, CHUNKS)
    assert caught.value.where == ", ".join(
        f"epoch {epoch} anchoring 0 chunk {c}" for epoch, c in bad
    )
    assert caught.value.actual == f"ProofInvalid({bad[0][1]})"
    assert ledger.accepted == [chunk for chunk in CHUNKS if chunk not in bad]


def test_an_unknown_outcome_is_no_refusal(toy: Any) -> None:
    """The batch may have been mined: it is not sent again in pieces, and the next run finds it."""
    ledger = MemoryLedger(lost=1)
    with pytest.raises(OutcomeUnknown):
        run(toy, ledger, CHUNKS)
    run(toy, ledger, CHUNKS)
    assert ledger.sent == [CHUNKS]


def test_groups_are_even_and_within_a_batch(toy: Any) -> None:
    proofs = chunk_proofs(toy, [(0, 0)] * 50)
    for count in range(50):
        parts = groups(proofs[:count])
        assert [proof for part in parts for proof in part] == proofs[:count]
        sizes = [len(part) for part in parts]
        assert not sizes or (
            max(sizes) <= BATCH
            and max(sizes) - min(sizes) <= 1
            and len(sizes) == -(-count // BATCH)
        )

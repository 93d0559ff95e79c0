"""A run that fed a part of its dataset says so wherever it says what was fed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provenance.judgement.verdict import Status
from provenance.log.record import Record
from provenance.order import epoch_order
from tests.support.memory_chain import MemoryChain
from tests.support.memory_run import COUNT, MemoryRun, leaf, word

FED = 4


def with_fields(record: Record, **fields: object) -> Record:
    return replace(record, fields={**record.fields, **fields})


class Short(MemoryRun):
    """It fed one batch of three."""

    def _rest(self) -> list[str]:
        order = epoch_order(self.seed, 0, COUNT)
        return [word(leaf(int(order[h]))) for h in range(FED, COUNT)]

    def _training(self) -> list[Record]:
        seed, batch, *_, end, checkpoint, close = super()._training()
        return [
            seed,
            batch,
            with_fields(end, consumed=FED, remainder=self._rest()),
            with_fields(checkpoint, step=1, consumed=FED, last_batch=2),
            with_fields(close, step=1),
        ]

    def _proof(self, number: int) -> Record:
        return with_fields(super()._proof(number), consumed=FED, remainder=self._rest())

    def _later(self) -> list[Record]:
        merge, *others = super()._later()
        return [with_fields(merge, checkpoint=4), *others]


def test_a_part_of_the_dataset_is_not_called_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    anchor = MemoryChain.anchor_epoch

    def short(chain: MemoryChain, owner: str, run_id: bytes, epoch: int, consumed: int) -> None:
        anchor(chain, owner, run_id, epoch, FED)

    monkeypatch.setattr(MemoryChain, "anchor_epoch", short)
    verdict = Short().judge()
    assert verdict.status is Status.VERIFIED, verdict.reason
    only = f"only its first {FED} of {COUNT} positions"
    said = {claim.id: claim.text for claim in verdict.claims}
    assert only in said["epoch.proven"]
    assert only in said["order.recomputed"]
    assert "exactly" not in said["order.recomputed"]
    (edge,) = (edge for edge in verdict.edges if edge.kind == "trained_on")
    assert only in str(edge.note)


def test_a_whole_epoch_leaves_nothing_out() -> None:
    said = {claim.id: claim.text for claim in MemoryRun().judge().claims}
    assert "only" not in said["epoch.proven"] + said["order.recomputed"]
    assert "exactly the committed dataset" in said["order.recomputed"]

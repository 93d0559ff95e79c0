"""Tracks which positions of an epoch were fed, and makes the records that depend on it.

Only the recorder's thread uses a course, in the order in which things happened.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from provenance.digest import Digest
from provenance.encoding import batch_digest
from provenance.ids import to_hex
from provenance.log.record import Record
from provenance_trainer.record.capture import Snapshot
from provenance_trainer.record.checkpoints import CheckpointDigests, ResumePoint
from provenance_trainer.record.sampler import EpochOrders

logger = logging.getLogger("provenance.trainer")


class LeafSource(Protocol):
    """The public part of a committed dataset."""

    @property
    def leaves(self) -> np.ndarray:
        """Leaves as uint8 `(count, 32)`."""
        ...


@dataclass(frozen=True)
class Ranks:
    """This process among the training processes. `batch_size` is per process and micro batch."""

    rank: int = 0
    world_size: int = 1
    batch_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process makes the records that only one process has to make."""
        return self.rank == 0


@dataclass(frozen=True)
class FedBatch:
    """A captured batch, and where it was fed: epoch, optimizer step, and micro batch in it."""

    epoch: int
    step: int
    micro: int
    snapshot: Snapshot


class Course:
    """How much of the pre-registered order was fed so far.

    consumed: How many positions of the current epoch were fed.
    unmatched: How many samples of the run were not those of the order.
    """

    def __init__(self, orders: EpochOrders, leaves: np.ndarray, ranks: Ranks) -> None:
        self.epoch, self.consumed, self.unmatched = 0, 0, 0
        self._orders, self._leaves, self._ranks = orders, leaves, ranks
        self._last_batch: int | None = None
        self._last_checkpoint: int | None = None
        self._epoch_open = False

    def batch(self, fed: FedBatch, salt: bytes, seq: int) -> Record:
        """The record of a batch; it will have number `seq`. `salt` hides its tensors' digest.

        Raises:
            InputError: a tensor has fractions, so it has no digest.
        """
        tensors, indices, genuine = fed.snapshot.load()
        if not self._epoch_open or self.epoch != fed.epoch:
            self.epoch, self.consumed, self._epoch_open = fed.epoch, 0, True
        known = [] if indices is None else [i for i in indices if 0 <= i < self._orders.count]
        positions = [int(p) for p in self._orders.positions(fed.epoch)[known]] if known else []
        size = _batch_size(tensors, len(positions))
        unmatched = size - self._count_in_order(positions) if genuine else size
        self._advance(size)
        if unmatched:
            self.unmatched += unmatched
            message = "step %d: %d of %d samples are not those of the pre-registered order"
            logger.error(message, fed.step, unmatched, size)
        record = Record.make(
            "batch",
            epoch=fed.epoch,
            step=fed.step,
            micro=fed.micro,
            rank=self._ranks.rank,
            positions=positions,
            leaves=self._words(np.asarray(known, dtype=np.int64)),
            tensors=str(batch_digest(salt, tensors)),
            unmatched=unmatched or None,
        )
        self._last_batch = seq
        return record

    def _count_in_order(self, positions: list[int]) -> int:
        """How many samples of a batch are those that the order has next for this process."""
        start = self.consumed + self._ranks.rank * self._ranks.batch_size
        return sum(position == start + i for i, position in enumerate(positions))

    def _advance(self, size: int) -> None:
        ranks = self._ranks
        whole = ranks.world_size * ranks.batch_size if ranks.world_size > 1 else size
        self.consumed = min(self.consumed + whole, self._orders.count)

    def checkpoint(self, path: str, digests: CheckpointDigests, step: int, seq: int) -> Record:
        """The record of a checkpoint that covers every batch so far; it will have number `seq`."""
        record = Record.make(
            "checkpoint",
            step=step,
            path=path,
            manifest=str(digests.manifest),
            weights=str(digests.weights),
            files={path: str(sha256) for path, sha256 in digests.files.items()},
            optimizer=digest_text(digests.optimizer),
            scheduler=digest_text(digests.scheduler),
            rng=digest_text(digests.rng),
            previous=self._last_checkpoint,
            last_batch=self._last_batch,
            epoch=self.epoch,
            consumed=self.consumed,
        )
        self._last_checkpoint = seq
        return record

    def end_epoch(self) -> Record | None:
        """The record of the epoch's end; None if no batch came since the last end.

        Only the first rank makes it. All ranks feed whole rounds, so its count holds for all.
        """
        if not self._epoch_open:
            return None
        self._epoch_open = False
        if not self._ranks.is_first:
            return None
        rest = self._words(self._orders.order(self.epoch)[self.consumed :])
        return Record.make("epoch", epoch=self.epoch, consumed=self.consumed, remainder=rest)

    def resume(self, point: ResumePoint) -> Record:
        """The record that training resumes at `point`; this course goes on from there."""
        self.epoch, self.consumed = point.epoch, point.consumed
        self._last_batch = point.last_batch
        self._last_checkpoint = point.record or None  # record 0 is no checkpoint
        self._epoch_open = point.consumed > 0 and not point.epoch_recorded
        abandons = list(point.abandons)
        return Record.make("resume", from_=point.record, abandons=abandons, step=point.step)

    def _words(self, indices: np.ndarray) -> list[str]:
        return [to_hex(bytes(self._leaves[i])) for i in indices]


def digest_text(digest: Digest | None) -> str | None:
    """A digest as records hold it; a field that is None is left out."""
    return None if digest is None else str(digest)


def _batch_size(tensors: Mapping[str, np.ndarray | None], fallback: int) -> int:
    for array in tensors.values():
        if array is not None and array.ndim:
            return int(array.shape[0])
    return fallback

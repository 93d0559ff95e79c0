"""Turns what happens in training into journal records, without holding training up.

One thread owns the journal's end while a run lasts. It hashes batches, stores their salts, waits until the salts are on disk, and
only then appends the records that use them; the journal syncs in groups of its own. The training thread copies tensors into a
queue and goes on.

| state of a batch record | what survives a crash |
|---|---|
| queued, staged | nothing: after a resume the batch is fed again |
| salts synced | the salt, which no record names: it is overwritten when its place in the journal is taken |
| journaled (`barrier` returned) | record and salt |

Provenance failures never corrupt training. `on_failure` says what happens instead: continue (records wait, status is loud), pause
(training waits), abort (training stops with the error).
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from provenance.dataset.saltstore import BATCH_SALTS
from provenance.encoding import batch_digest
from provenance.errors import ProvenanceError, UnavailableError
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance_trainer.config import OnFailure
from provenance_trainer.record.capture import Snapshot
from provenance_trainer.record.checkpoints import CheckpointDigests
from provenance_trainer.record.sampler import EpochOrders

logger = logging.getLogger("provenance.trainer")

SALT_BYTES = 32
_GROUP_S = 0.2  # records are grouped for so long before their salts are synced
_RETRY_S = 1.0
_QUEUE_ITEMS = 1024


class Salts(Protocol):
    """Where batch salts go: `provenance.dataset.saltstore.SaltStore`, or a stand-in with its contract. `sync` makes puts durable."""

    def put(self, kind: str, id: int | str, value: bytes, *, replace: bool = False) -> None: ...
    def sync(self) -> None: ...


class LeafSource(Protocol):
    """The public part of a committed dataset: leaves as uint8 `(count, 32)`."""

    @property
    def leaves(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Ranks:
    """This process among the training processes. `batch_size` is per process and micro step."""

    rank: int = 0
    world_size: int = 1
    batch_size: int = 1


@dataclass(frozen=True)
class RecorderStatus:
    """Counts of this process: records made, on disk, not on disk yet; samples flagged; the last failure if it still stands."""

    records: int
    durable: int
    backlog: int
    unmatched: int
    failure: str | None

    def __str__(self) -> str:
        text = f"{self.durable}/{self.records} records on disk"
        if self.unmatched:
            text += f", {self.unmatched} SAMPLES UNMATCHED"
        return f"{text}, NOT RECORDING: {self.failure}" if self.failure else text


@dataclass(frozen=True)
class _Batch:
    """A captured batch and the place it was fed at."""

    epoch: int
    step: int
    micro: int
    snapshot: Snapshot


@dataclass
class _Course:
    """Where in the epoch feeding stands; only the recorder's thread touches it."""

    epoch: int = 0
    consumed: int = 0
    last_batch: int | None = None
    last_checkpoint: int | None = None
    epoch_open: bool = False


@dataclass(frozen=True)
class _Staged:
    seq: int
    payload: bytes
    salt: bytes | None


_Item = _Batch | Callable[[], Record | None]


class Recorder:
    """Appends the records of one training process to its journal. It must be the only appender: seq numbers name salts.

    Args:
        journal: Open journal.
        dataset: The committed dataset that is fed.
        salts: Private store for batch salts, keyed (`batch`, seq of the record).
        orders: The pre-registered order.
        on_failure: See the module's docstring.
    """

    def __init__(
        self,
        journal: Journal,
        dataset: LeafSource,
        salts: Salts,
        orders: EpochOrders,
        *,
        on_failure: OnFailure = "continue",
        ranks: Ranks | None = None,
        group_s: float = _GROUP_S,
    ) -> None:
        self.journal, self.orders, self.ranks = journal, orders, ranks or Ranks()
        self._leaves, self._salts, self._on_failure, self._group_s = (
            dataset.leaves,
            salts,
            on_failure,
            group_s,
        )
        self._queue: queue.Queue[_Item | None] = queue.Queue(_QUEUE_ITEMS)
        self._staged: list[_Staged] = []
        self._next_seq = len(journal)
        self._course = _Course()
        self._step, self._micro, self._epoch = 0, 0, 0
        self._unmatched, self._closed = 0, False
        self._failure: ProvenanceError | None = None
        self._put_count, self._taken_count, self._done_count = 0, 0, 0
        self._lost: UnavailableError | None = (
            None  # the last record that could not even be made; waiting does not mend it
        )
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    # Called by training

    def begin_epoch(self, epoch: int) -> None:
        """Batches from here on belong to `epoch`; another epoch still open is ended first (a crash kept it from ending)."""
        self._epoch = epoch
        self._put(lambda: self._epoch_record() if self._course.epoch != epoch else None)

    def begin_step(self, step: int) -> None:
        """Batches from here on belong to optimizer step `step`, counted from 1."""
        self._step, self._micro = step, 0

    def batch(self, snapshot: Snapshot) -> None:
        """Record one micro batch as it was fed. Returns at once unless the policy is to pause or abort.

        Raises:
            UnavailableError: records cannot be made durable and the policy is to abort.
        """
        self._put(_Batch(self._epoch, self._step, self._micro, snapshot))
        self._micro += 1
        self.apply_policy()

    def checkpoint(self, path: str, digests: CheckpointDigests, step: int) -> None:
        """Record a checkpoint that lies whole on disk; it covers every batch recorded before this call.

        Args:
            path: Folder name relative to the run's folder.
        """

        def build() -> Record:
            course = self._course
            record = Record.make(
                "checkpoint",
                step=step,
                path=path,
                manifest=str(digests.manifest),
                weights=str(digests.weights),
                optimizer=_text(digests.optimizer),
                scheduler=_text(digests.scheduler),
                rng=_text(digests.rng),
                previous=course.last_checkpoint,
                last_batch=course.last_batch,
                epoch=course.epoch,
                consumed=course.consumed,
            )
            course.last_checkpoint = self._next_seq
            return record

        self._put(build)

    def eval(
        self,
        step: int,
        metrics: Mapping[str, float | int | str],
        subject: str,
        digest: bytes | None = None,
    ) -> None:
        """Record evaluation results; floats become shortest decimal strings."""
        plain = {name: repr(float(v)) if isinstance(v, float) else v for name, v in metrics.items()}
        record = Record.make(
            "eval", step=step, metrics=plain, subject=subject, subject_digest=_text(digest)
        )
        self.append(record)

    def end_epoch(self) -> None:
        """Record the epoch's end: how many positions were consumed, and the leaves of those that were not.

        Nothing is recorded when no batch was since the last end.
        """
        self._put(self._epoch_record)

    def resume(
        self,
        *,
        checkpoint: int,
        abandons: Iterable[int],
        step: int,
        epoch: int,
        consumed: int,
        last_batch: int | None,
        epoch_recorded: bool = False,
    ) -> None:
        """Record that training goes on from a checkpoint, and take up its position.

        Args:
            checkpoint: seq of the checkpoint's record, or of `run.open` when there is no checkpoint.
            abandons: seqs of batch records that come after what the checkpoint covers.
            step: Optimizer step of the checkpoint.
            epoch: Epoch of the checkpoint.
            consumed: Positions of that epoch it had consumed.
            last_batch: seq of the last batch record it covers.
            epoch_recorded: Whether the epoch's end at this position is in the log already.
        """

        def build() -> Record:
            self._course = _Course(
                epoch,
                consumed,
                last_batch,
                checkpoint if step else None,
                consumed > 0 and not epoch_recorded,
            )
            return Record.make("resume", from_=checkpoint, abandons=list(abandons), step=step)

        self._put(build)

    def append(self, record: Record) -> None:
        """Queue any other record in order."""
        self._put(lambda: record)

    def flush(self) -> None:
        """Return once everything queued before is in the journal (perhaps not on disk) or a failure stands."""
        target = self._wake()
        with self._changed:
            self._changed.wait_for(lambda: self._done_count >= target or self._failure is not None)

    def barrier(self) -> None:
        """Return once every record made before this call is on disk.

        Raises:
            UnavailableError: salts or records cannot be written. They stay queued; a later barrier tries again.
        """
        with self._changed:
            self._failure = None  # try again
        target = self._wake()
        with self._changed:
            self._changed.wait_for(lambda: self._done_count >= target or self._failure is not None)
            failure = self._failure if self._done_count < target else None
        if failure is None:
            try:
                self.journal.barrier()
            except UnavailableError as error:
                failure = error
                self._fail(error)
        if failure is not None:
            raise failure

    def _wake(self) -> int:
        """Make the recorder's thread commit now; returns the count of items that must be done for the caller to go on."""
        self._put(lambda: None)
        self._hurry.set()
        with self._changed:
            return self._put_count

    def apply_policy(self) -> None:
        """Under `pause` wait while records cannot be made durable; under `abort` raise. Under `continue` do nothing."""
        failure = self._failure or self._lost
        if failure is None or self._on_failure == "continue":
            return
        if self._on_failure == "abort":
            raise failure
        while self._failure is not None:
            logger.error("training is paused: %s", self._failure)
            try:
                self.barrier()
            except UnavailableError:
                time.sleep(_RETRY_S)  # the failure stands; say so and try again

    def settle(self) -> None:
        """A barrier whose failure goes through the policy: for the moments before a checkpoint counts as published."""
        try:
            self.barrier()
        except UnavailableError:
            self.apply_policy()

    @property
    def consumed(self) -> int:
        """Positions consumed of the epoch last fed, as of the records made so far (`flush` first)."""
        return self._course.consumed

    @property
    def status(self) -> RecorderStatus:
        with self._changed:
            records, failure = self._next_seq, self._failure
        durable = self.journal.durable
        standing = failure or self._lost
        return RecorderStatus(
            records,
            durable,
            records - durable,
            self._unmatched,
            str(standing) if standing else None,
        )

    def close(self) -> None:
        """Write everything and stop. The journal stays open.

        Raises:
            UnavailableError: records could not be made durable; the recorder is stopped all the same.
        """
        if self._closed:
            return
        try:
            self.barrier()
        finally:
            self._closed = True
            self._hurry.set()
            self._queue.put(None)
            self._thread.join(timeout=10)

    # The recorder's thread

    def _put(self, item: _Item) -> None:
        with self._changed:
            self._put_count += 1
        self._queue.put(item)

    def _run(self) -> None:
        while True:
            stop = self._collect()
            try:
                self._commit()
                self._check_journal()
            except ProvenanceError as error:
                self._fail(error)
            except Exception as error:  # a defect here must reach people, never training
                logger.exception("recorder failed")
                self._fail(
                    UnavailableError("recorder failed", actual=f"{type(error).__name__}: {error}")
                )
            else:
                self._recover()
            if stop:
                return

    def _collect(self) -> bool:
        """Stage what is queued, for up to a group's length; True when it is time to stop."""
        try:
            items = [self._queue.get(timeout=_RETRY_S)]
        except queue.Empty:
            return False
        self._hurry.wait(self._group_s)  # let a group gather unless somebody waits
        self._hurry.clear()
        while True:
            try:
                items.append(self._queue.get_nowait())
            except queue.Empty:
                break
        for item in items:
            if item is not None:
                self._stage(item)
        return items[-1] is None

    def _stage(self, item: _Item) -> None:
        try:
            if isinstance(item, _Batch):
                salt = os.urandom(SALT_BYTES)
                record = self._batch_record(item, salt)
                self._course.last_batch = self._next_seq
                self._add(record, salt)
            elif (other := item()) is not None:
                self._add(other, None)
        except (
            Exception
        ) as error:  # one bad item must not stop the others; the gap shows in log and status
            logger.exception("record could not be made")
            self._lost = UnavailableError(
                "record could not be made", actual=f"{type(error).__name__}: {error}"
            )
        with self._changed:
            self._taken_count += 1

    def _add(self, record: Record, salt: bytes | None) -> None:
        self._staged.append(_Staged(self._next_seq, record.to_bytes(), salt))
        with self._changed:
            self._next_seq += 1

    def _epoch_record(self) -> Record | None:
        course = self._course
        if not course.epoch_open:
            return None
        course.epoch_open = False
        if self.ranks.rank != 0:
            return None  # the first rank speaks for all: whole rounds are fed
        rest = self.orders.order(course.epoch)[course.consumed :]
        return Record.make(
            "epoch", epoch=course.epoch, consumed=course.consumed, remainder=self._words(rest)
        )

    def _batch_record(self, item: _Batch, salt: bytes) -> Record:
        tensors, indices, genuine = item.snapshot.load()
        course = self._course
        if not course.epoch_open or course.epoch != item.epoch:
            course.epoch, course.consumed, course.epoch_open = item.epoch, 0, True
        known = [] if indices is None else [i for i in indices if 0 <= i < self.orders.count]
        positions = [int(p) for p in self.orders.positions(item.epoch)[known]] if known else []
        size = _batch_size(tensors, len(positions))
        unmatched = size if not genuine else self._misplaced(positions, size)
        self._advance(size)
        if unmatched:
            self._unmatched += unmatched
            logger.error(
                "step %d: %d of %d samples are not those of the pre-registered order",
                item.step,
                unmatched,
                size,
            )
        return Record.make(
            "batch",
            epoch=item.epoch,
            step=item.step,
            micro=item.micro,
            rank=self.ranks.rank,
            positions=positions,
            leaves=self._words(np.asarray(known, dtype=np.int64)),
            tensors=str(batch_digest(salt, tensors)),
            unmatched=unmatched or None,
        )

    def _misplaced(self, positions: list[int], size: int) -> int:
        """How many of a batch's samples are not at the positions whose turn it is."""
        start = self._course.consumed + self.ranks.rank * self.ranks.batch_size
        right = sum(position == start + i for i, position in enumerate(positions))
        return size - right

    def _advance(self, size: int) -> None:
        ranks = self.ranks
        whole = ranks.world_size * ranks.batch_size if ranks.world_size > 1 else size
        self._course.consumed = min(self._course.consumed + whole, self.orders.count)

    def _words(self, indices: np.ndarray) -> list[str]:
        return [f"0x{bytes(self._leaves[i]).hex()}" for i in indices]

    def _commit(self) -> None:
        """Salts first, then the records that need them; on an error everything stays staged for the next try."""
        if self._staged:
            self._require_place()
            salted = [staged for staged in self._staged if staged.salt is not None]
            for staged in salted:
                # A place in the journal that is still free may have a salt from before a crash; no record uses that one.
                self._salts.put(BATCH_SALTS, staged.seq, staged.salt or b"", replace=True)
            if salted:
                self._salts.sync()  # salts are safe after this line and not before; only then may records use them
            for staged in self._staged:
                self.journal.append(staged.payload)
        with self._changed:
            self._staged, self._done_count = [], self._taken_count
            self._changed.notify_all()

    def _require_place(self) -> None:
        if len(self.journal) != self._staged[0].seq:
            raise UnavailableError(
                "somebody else appends to the journal",
                where=str(self.journal.path),
                expected=self._staged[0].seq,
                actual=len(self.journal),
            )

    def _check_journal(self) -> None:
        if self.journal.failure is not None:
            self.journal.barrier()

    def _fail(self, error: ProvenanceError) -> None:
        with self._changed:
            news = self._failure is None or str(self._failure) != str(error)
        if news:  # said before anybody who waits goes on
            logger.error(
                "records are not durable: %s (training policy: %s)", error, self._on_failure
            )
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def _recover(self) -> None:
        with self._changed:
            if self._failure is None:
                return
            self._failure = None
            self._changed.notify_all()
        logger.warning("records are durable again, backlog is drained")


def _batch_size(tensors: Mapping[str, np.ndarray | None], fallback: int) -> int:
    for array in tensors.values():
        if array is not None and array.ndim:
            return int(array.shape[0])
    return fallback


def _text(digest: bytes | None) -> str | None:
    return None if digest is None else f"sha256:{digest.hex()}"

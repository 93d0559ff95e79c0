"""Turns what happens in training into journal records, without delaying training.

The training thread copies tensors into a queue and goes on. One other thread appends to the
journal. It hashes batches, stores their salts, waits until the salts are on disk, and only then
appends the records that use them. The journal itself syncs in groups.

| state of a batch record | what survives a crash |
|---|---|
| queued or drafted | nothing: after a resume the batch is fed again |
| salts synced | the salt, which no record uses: the next record with this number overwrites it |
| journaled (`barrier` returned) | record and salt |

A failure to record never corrupts training. `on_failure` says what training does: continue (records
wait, and errors are logged), pause (training waits), or abort (training stops with the error).
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provenance.digest import Digest
from provenance.errors import ProvenanceError, UnavailableError
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance_trainer.config import OnFailure
from provenance_trainer.record.capture import Snapshot
from provenance_trainer.record.checkpoints import (
    CheckpointDigests,
    ResumePoint,
    digests_or_none,
)
from provenance_trainer.record.course import Course, FedBatch, LeafSource, Ranks, digest_text
from provenance_trainer.record.salted_journal import SaltedJournal, Salts
from provenance_trainer.record.sampler import EpochOrders

logger = logging.getLogger("provenance.trainer")

SALT_BYTES = 32
_RETRY_S = 1.0
_QUEUE_ITEMS = 1024


@dataclass(frozen=True)
class RecorderSettings:
    """How a recorder behaves.

    on_failure: What training does while records cannot be made durable.
    ranks: The process that is recorded.
    group_s: For how many seconds records are gathered before their salts are synced.
    """

    on_failure: OnFailure = "continue"
    ranks: Ranks = field(default_factory=Ranks)
    group_s: float = 0.2


@dataclass(frozen=True)
class RecorderStatus:
    """Counts of this process.

    records, durable, backlog: Records made, those on disk, and those not on disk yet.
    unmatched: Samples that were not those of the pre-registered order.
    failure: Why records are not durable now; None if they are.
    """

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


_Build = Callable[[int], Record | None]  # seq that the record will have -> record
_Item = FedBatch | _Build


class Recorder:
    """Appends the records of one training process to its journal.

    Nothing else may append to the journal, because a salt is stored under its record's number.

    Args:
        journal: Open journal.
        dataset: The committed dataset that is fed.
        salts: Private store for batch salts, keyed by (`batch`, number of the record).
        orders: The pre-registered order.
    """

    def __init__(
        self,
        journal: Journal,
        dataset: LeafSource,
        salts: Salts,
        orders: EpochOrders,
        settings: RecorderSettings | None = None,
    ) -> None:
        self._settings = settings or RecorderSettings()
        self.journal, self.orders, self.ranks = journal, orders, self._settings.ranks
        self._end = SaltedJournal(journal, salts)
        self._course = Course(orders, dataset.leaves, self.ranks)
        self._queue: queue.Queue[_Item | None] = queue.Queue(_QUEUE_ITEMS)
        self._step, self._micro, self._epoch = 0, 0, 0
        self._closed = False
        self._failure: ProvenanceError | None = None
        # Set if a record could not even be made. Waiting does not mend that.
        self._lost: UnavailableError | None = None
        self._put_count, self._taken_count, self._done_count = 0, 0, 0
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    # Called by training

    def begin_epoch(self, epoch: int) -> None:
        """Batches from now on belong to `epoch`.

        If another epoch is still open because of a crash, its end is recorded first.
        """
        self._epoch = epoch
        course = self._course
        self._put(lambda _: course.end_epoch() if course.epoch != epoch else None)

    def begin_step(self, step: int) -> None:
        """Batches from now on belong to optimizer step `step`, counted from 1."""
        self._step, self._micro = step, 0

    def batch(self, snapshot: Snapshot) -> None:
        """Record one micro batch as it was fed. Returns at once, unless the policy makes it wait.

        Raises:
            UnavailableError: records cannot be made durable and the policy is to abort.
        """
        self._put(FedBatch(self._epoch, self._step, self._micro, snapshot))
        self._micro += 1
        self.apply_policy()

    def checkpoint(self, path: str, digests: CheckpointDigests, step: int) -> None:
        """Record a checkpoint that is complete on disk. It covers every batch recorded before.

        Args:
            path: Folder name relative to the run's folder.
        """
        self._put(lambda seq: self._course.checkpoint(path, digests, step, seq))

    def checkpoint_folder(self, folder: Path, step: int) -> None:
        """Record a checkpoint that is complete on disk, hashed by the recorder's thread.

        Returns at once; the record comes after those of all batches before it. One that cannot be
        hashed is not recorded, and an error is logged.

        Args:
            folder: Of the run's folder. Nobody may change it any more.
        """

        def made(seq: int) -> Record | None:
            digests = digests_or_none(folder)
            if digests is None:
                return None
            return self._course.checkpoint(folder.name, digests, step, seq)

        self._put(made)

    def eval(
        self,
        step: int,
        metrics: Mapping[str, float | int | str],
        subject: str,
        digest: Digest | None = None,
    ) -> None:
        """Record evaluation results; floats become shortest decimal strings."""
        plain = {name: repr(float(v)) if isinstance(v, float) else v for name, v in metrics.items()}
        subject_digest = digest_text(digest)
        self.append(
            Record.make(
                "eval", step=step, metrics=plain, subject=subject, subject_digest=subject_digest
            )
        )

    def end_epoch(self) -> None:
        """Record the epoch's end: how many positions were fed, and the leaves of the others.

        Nothing is recorded if no batch came since the last end.
        """
        self._put(lambda _: self._course.end_epoch())

    def resume(self, point: ResumePoint) -> None:
        """Record that training resumes from a checkpoint, and continue at its position."""
        self._put(lambda _: self._course.resume(point))

    def append(self, record: Record) -> None:
        """Queue any other record, in order."""
        self._put(lambda _: record)

    def flush(self) -> None:
        """Wait until all queued records are in the journal, durable or not, or recording fails."""
        self._wait_for(self._wake())

    def barrier(self) -> None:
        """Wait until every record made before this call is on disk.

        Raises:
            UnavailableError: salts or records cannot be written. They stay queued, and a later
                barrier tries again.
        """
        with self._changed:
            self._failure = None  # try again
        failure = self._wait_for(self._wake())
        if failure is None:
            try:
                self.journal.barrier()
            except UnavailableError as error:
                failure = error
                self._fail(error)
        if failure is not None:
            raise failure

    def _wait_for(self, target: int) -> ProvenanceError | None:
        """Wait until `target` items are done. Returns the failure that prevents it, or None."""
        with self._changed:
            self._changed.wait_for(lambda: self._done_count >= target or self._failure is not None)
            return self._failure if self._done_count < target else None

    def _wake(self) -> int:
        """Make the recorder's thread commit now. Returns how many items must then be done."""
        self._put(lambda _: None)
        self._hurry.set()
        with self._changed:
            return self._put_count

    def apply_policy(self) -> None:
        """If records cannot be made durable, do what the policy says: go on, wait, or raise."""
        failure, policy = self._failure or self._lost, self._settings.on_failure
        if failure is None or policy == "continue":
            return
        if policy == "abort":
            raise failure
        while self._failure is not None:
            logger.error("training is paused: %s", self._failure)
            try:
                self.barrier()
            except UnavailableError:
                time.sleep(_RETRY_S)  # still failing: log it and try again

    def settle(self) -> None:
        """A barrier whose failure is handled by the policy, for use around a checkpoint."""
        try:
            self.barrier()
        except UnavailableError:
            self.apply_policy()

    @property
    def consumed(self) -> int:
        """Positions that were fed of the current epoch. Call `flush` first to count all batches."""
        return self._course.consumed

    @property
    def status(self) -> RecorderStatus:
        """The counts as they are now."""
        with self._changed:
            records, failure = self._end.next_seq, self._failure
        durable = self.journal.durable
        standing = failure or self._lost
        return RecorderStatus(
            records,
            durable,
            records - durable,
            self._course.unmatched,
            str(standing) if standing else None,
        )

    def close(self) -> None:
        """Write everything and stop. The journal stays open.

        Raises:
            UnavailableError: records could not be made durable. The recorder has stopped even so.
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
                self._end.commit()
                self._tell_done()
                self._check_journal()
            except ProvenanceError as error:
                self._fail(error)
            except Exception as error:  # a bug here must be reported, and must not end training
                logger.exception("recorder failed")
                self._fail(
                    UnavailableError("recorder failed", actual=f"{type(error).__name__}: {error}")
                )
            else:
                self._recover()
            if stop:
                return

    def _collect(self) -> bool:
        """Draft the records of what is queued, for one group. True if it is time to stop."""
        try:
            items = [self._queue.get(timeout=_RETRY_S)]
        except queue.Empty:
            return False
        self._hurry.wait(self._settings.group_s)  # let a group gather, unless a caller waits
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
        seq = self._end.next_seq
        try:
            if isinstance(item, FedBatch):
                salt = os.urandom(SALT_BYTES)
                self._end.stage(self._course.batch(item, salt, seq), salt)
            elif (record := item(seq)) is not None:
                self._end.stage(record, None)
        except Exception as error:
            # One bad item must not stop the others. Log and status tell of the gap.
            logger.exception("record could not be made")
            self._lost = UnavailableError(
                "record could not be made", actual=f"{type(error).__name__}: {error}"
            )
        with self._changed:
            self._taken_count += 1

    def _tell_done(self) -> None:
        with self._changed:
            self._done_count = self._taken_count
            self._changed.notify_all()

    def _check_journal(self) -> None:
        if self.journal.failure is not None:
            self.journal.barrier()

    def _fail(self, error: ProvenanceError) -> None:
        with self._changed:
            news = self._failure is None or str(self._failure) != str(error)
        if news:  # logged before any waiting caller goes on
            policy = self._settings.on_failure
            logger.error("records are not durable: %s (training policy: %s)", error, policy)
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

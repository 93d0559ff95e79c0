"""Disk failures under each policy: training is never corrupted, and no record outruns its salt."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from provenance.errors import InputError, UnavailableError
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.tree import read_records
from provenance_trainer.model.base import BaseModel
from provenance_trainer.record.capture import (
    RecordingCollator,
    Snapshot,
    as_integers,
    take_snapshot,
)
from provenance_trainer.record.features import PaddingCollator, Row
from provenance_trainer.record.recorder import Recorder, RecorderSettings
from provenance_trainer.record.sampler import EpochOrders
from tests.support import training as support

COUNT = 12


class FullDisk:
    """A journal sync that fails for the next `left` calls."""

    def __init__(self) -> None:
        self.left, self.calls = 0, 0

    def __call__(self, fd: int) -> None:
        self.calls += 1
        if self.left > 0:
            self.left -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fdatasync(fd)


class StrictSalts:
    """Salts that are safe only after `sync`, as the store promises; the next `fail` syncs fail."""

    def __init__(self, fail: int = 0) -> None:
        self.pending: dict[tuple[str, int | str], bytes] = {}
        self.safe: dict[tuple[str, int | str], bytes] = {}
        self.fail = fail

    def put(self, kind: str, id: int | str, value: bytes, *, replace: bool = False) -> None:
        assert replace or (kind, id) not in self.safe
        self.pending[kind, id] = value

    def sync(self) -> None:
        assert self.pending, "empty sync"
        if self.fail > 0:
            self.fail -= 1
            raise UnavailableError("disk is full", where="salts")
        self.safe |= self.pending
        self.pending = {}


class Leaves:
    leaves = np.arange(COUNT * 32, dtype=np.uint8).reshape(COUNT, 32)


def open_journal(tmp_path: Path, sync: Any = os.fdatasync) -> Journal:
    return Journal.create(tmp_path / "journal", {"format": "test"}, sync=sync)


def make_recorder(journal: Journal, salts: Any, **options: Any) -> Recorder:
    orders, settings = EpochOrders(support.SEED, COUNT), RecorderSettings(group_s=0.01, **options)
    return Recorder(journal, Leaves(), salts, orders, settings)


def snapshot(indices: list[int]) -> Snapshot:
    batch = RecordingCollator(PaddingCollator(0))(
        [Row(i, {"input_ids": [1 + i, 2, 3], "labels": [1 + i, 2, 3]}) for i in indices]
    )
    return take_snapshot(batch, batch["provenance_index"])


def feed(recorder: Recorder, batches: int, size: int = 2) -> None:
    order = recorder.orders.order(0).tolist()
    for k in range(batches):
        recorder.begin_step(k + 1)
        recorder.batch(snapshot(order[k * size : (k + 1) * size]))


def test_no_record_outruns_its_salt(tmp_path: Path) -> None:
    salts, seen = StrictSalts(fail=3), list[int]()

    def sync(fd: int) -> None:
        # Called after frames are in the file and before they count: each batch has a safe salt.
        path = tmp_path / "journal"
        for seq, record in enumerate(read_records(path) if path.exists() else ()):
            if record.type == "batch":
                assert ("batch", seq) in salts.safe
                seen.append(seq)
        os.fdatasync(fd)

    with open_journal(tmp_path, sync) as journal:
        recorder = make_recorder(journal, salts)
        feed(recorder, 4)
        deadline = time.monotonic() + 20
        while journal.durable < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
            recorder.flush()
        recorder.close()
    assert set(seen) == {0, 1, 2, 3}
    assert salts.fail == 0
    assert len(set(salts.safe.values())) == 4


def test_status_and_log_say_that_salts_cannot_be_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    salts = StrictSalts(fail=10**9)
    with open_journal(tmp_path) as journal:
        recorder = make_recorder(journal, salts)
        feed(recorder, 3)
        with pytest.raises(UnavailableError, match="disk is full"):
            recorder.barrier()
        status = recorder.status
        assert (len(journal), status.records, status.backlog) == (0, 3, 3)
        assert "disk is full" in str(status)
        assert "disk is full" in caplog.text
        salts.fail = 0
        recorder.barrier()
        assert recorder.status.backlog == 0
        assert recorder.status.failure is None
        assert len(journal) == 3
        recorder.close()


def test_salt_of_a_lost_record_is_replaced(tmp_path: Path) -> None:
    salts = StrictSalts()
    salts.safe["batch", 0] = b"left by a crash before the record was written"
    with open_journal(tmp_path) as journal:
        recorder = make_recorder(journal, salts)
        feed(recorder, 1)
        recorder.close()
    assert len(salts.safe["batch", 0]) == 32


def test_another_writer_is_noticed(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        recorder = make_recorder(journal, StrictSalts())
        recorder.barrier()
        journal.append(Record.make("seed", seed="0x" + "00" * 32, source="intruder").to_bytes())
        feed(recorder, 1)
        with pytest.raises(UnavailableError, match="another writer"):
            recorder.barrier()
        with pytest.raises(UnavailableError):
            recorder.close()


def test_a_batch_that_cannot_be_hashed_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        recorder = make_recorder(journal, StrictSalts())
        recorder.batch(Snapshot({"input_ids": torch.tensor([[0.5]])}, None, None))
        feed(recorder, 1)
        recorder.barrier()
        assert "could not be made" in str(recorder.status)
        assert len(journal) == 1
        recorder.close()


def test_a_fraction_has_no_digest() -> None:
    with pytest.raises(InputError, match="fractions"):
        as_integers(torch.tensor([[1.0, 0.5]]))


def test_whole_floats_and_booleans_become_integers() -> None:
    assert as_integers(torch.tensor([[1.0, 0.0]])).tolist() == [[1, 0]]
    assert as_integers(torch.tensor([[True]])).dtype == np.int64


@pytest.mark.parametrize("policy", ["continue", "pause"])
def test_training_survives_a_full_disk_unchanged(
    tiny: BaseModel, cache_dir: Path, tmp_path: Path, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    data, disk = support.make_dataset(tmp_path / "data", COUNT), FullDisk()
    config = support.make_config(
        data, tmp_path / "bad", provenance={"on_failure": policy}, max_steps=3
    )
    journal = Journal.create(
        tmp_path / "bad" / "provenance" / "journal", {"format": "test"}, sync=disk
    )

    def arm(line: str) -> None:
        if line.startswith("step 1/"):
            disk.left = 1_000_000

    class Cleaner(logging.Handler):
        """Makes room on the disk as soon as the recorder has said that there is none."""

        def emit(self, record: logging.LogRecord) -> None:
            if "No space left" in record.getMessage():
                disk.left = 0

    cleaner, logger = Cleaner(), logging.getLogger("provenance.trainer")
    logger.addHandler(cleaner)
    try:
        summary = support.start_or_resume(config, cache_dir, say=arm, journal=journal)
    finally:
        logger.removeHandler(cleaner)
    assert "No space left" in caplog.text
    assert disk.left == 0
    healthy = support.start_or_resume(
        support.make_config(data, tmp_path / "good", max_steps=3), cache_dir
    )
    assert summary.adapter == healthy.adapter
    batches = support.records_of(config, "batch")
    assert [p for b in batches for p in b.fields["positions"]] == list(range(COUNT))


def test_abort_ends_training_with_the_error(
    tiny: BaseModel, cache_dir: Path, tmp_path: Path
) -> None:
    data, disk = support.make_dataset(tmp_path / "data", COUNT), FullDisk()
    config = support.make_config(
        data, tmp_path / "run", provenance={"on_failure": "abort"}, save_steps=1
    )
    journal = Journal.create(
        tmp_path / "run" / "provenance" / "journal", {"format": "test"}, sync=disk
    )
    disk.left = 10**9
    with pytest.raises(UnavailableError, match="No space left"):
        support.start_or_resume(config, cache_dir, journal=journal)
    disk.left = 0
    journal.close()


def test_pause_holds_the_training_thread_until_the_disk_is_back(tmp_path: Path) -> None:
    salts = StrictSalts(fail=10**9)
    with open_journal(tmp_path) as journal:
        recorder = make_recorder(journal, salts, on_failure="pause")
        feed(recorder, 1)
        recorder.flush()
        trainer = threading.Thread(
            target=recorder.batch, args=(snapshot(recorder.orders.order(0)[2:4].tolist()),)
        )
        trainer.start()
        trainer.join(timeout=0.3)
        assert trainer.is_alive()
        salts.fail = 0
        trainer.join(timeout=10)
        assert not trainer.is_alive()
        recorder.close()
    assert len(read_records(tmp_path / "journal")) == 2

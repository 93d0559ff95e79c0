"""Random logs: what a recorder writes folds, any record lost or repeated is seen, and the work
grows with the log and no faster."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.errors import VerificationError
from provenance.log.fold import read_history
from provenance.log.record import Record
from tests.support.core.log_maker import LogMaker, derived, opened

CHOICES = ("batch", "micro", "checkpoint", "end", "resume", "start over", "eval", "prove")


def take(log: LogMaker, choice: str, live: list[int], fed: list[int]) -> None:
    """One thing that may happen in training, if it may happen now.

    live: indices of live checkpoints. fed: positions fed in the epoch, its number, and whether a
    batch was fed since the last resume or at all.
    """
    fields = log.records[-1].fields
    if choice in ("batch", "micro") and fed[0] < log.count:
        same_step = choice == "micro" and log.records[-1].type == "batch"
        log.batch(1, micro=fields["micro"] + 1 if same_step else 0)
        fed[0] += 1
    elif choice == "checkpoint" and fed[0]:
        live.append(log.checkpoint(f"checkpoint-{len(log.records)}"))
    elif choice == "end" and fed[0]:
        log.end()
        fed[0] = 0
        fed[1] += 1
    elif choice == "resume" and live:
        at = live[len(live) // 2]
        log.resume(at)
        live[:] = takewhile(lambda index: index <= at, live)
        fed[0], fed[1] = log.records[at].fields["consumed"], log.records[at].fields["epoch"]
    elif choice == "start over":
        log.resume(0)
        live.clear()
        fed[:] = [0, 0]
    elif choice == "eval":
        log.evaluate()
    elif choice == "prove" and fed[1]:
        log.prove(fed[1] - 1)


@st.composite
def logs(draw: st.DrawFn) -> LogMaker:
    """A log of a run that was trained in any way, and released."""
    log, live, fed = opened(LogMaker(6)), list[int](), [0, 0]
    for choice in draw(st.lists(st.sampled_from(CHOICES), max_size=25)):
        take(log, choice, live, fed)
    if not fed[0]:
        log.batch(1)
    log.end()
    log.checkpoint()
    log.close()
    derived(log)
    log.sample("merge")
    log.release()
    return log


@settings(max_examples=300, deadline=None)
@given(logs())
def test_a_log_that_a_recorder_writes_is_consistent(log: LogMaker) -> None:
    history = log.history()
    gone = {i for r in log.records if r.type == "resume" for i in r.fields["abandons"]}
    kept = [i for i, r in enumerate(log.records) if r.type == "batch" and i not in gone]
    assert [batch.index for batch in history.batches] == kept
    assert [e.number for e in history.epochs] == list(range(len(history.epochs)))
    for epoch in history.epochs:
        fed = [p for b in epoch.batches for p in b.fields["positions"]]
        assert fed == list(range(epoch.consumed))


# An evaluation, a sample and the proof of an epoch say nothing that a later record repeats; a
# second merge, quantization or release is another one; a resume again from the same place abandons
# what is live after it, which is nothing.
LOSABLE = ("eval", "sample", "release")
REPEATABLE = ("eval", "sample", "release", "merge", "quantize")


def is_refused(records: list[Record]) -> bool:
    try:
        history = read_history(records)
    except VerificationError:
        return True
    return not history.releases  # nothing is released then


@settings(max_examples=200, deadline=None)
@given(logs(), st.data())
def test_a_lost_or_repeated_record_is_refused(log: LogMaker, data: st.DataObject) -> None:
    """By the fold alone: the tree over the log refuses each of these anyway."""
    records = log.records
    at = data.draw(st.integers(0, len(records) - 1))
    record = records[at]
    is_proof = record.type == "epoch" and "number" in record.fields
    is_empty = record.type == "resume" and not record.fields["abandons"]
    if record.type not in LOSABLE and not is_proof and not is_empty:
        assert is_refused([*records[:at], *records[at + 1 :]])
    is_last_seen = at + 1 == len(records) or record.type in REPEATABLE
    if not is_last_seen and not is_proof and not is_empty:
        assert is_refused([*records[: at + 1], *records[at:]])


# Work


def calls_of(read: Callable[[], Any]) -> int:
    """How many functions are called, of Python and of C."""
    count = 0

    def watch(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        read()
    finally:
        sys.setprofile(before)
    return count


def many_batches(size: int) -> LogMaker:
    log = opened(LogMaker(size))
    for _ in range(size):
        log.batch(1)
    return log


def many_resumes(size: int) -> LogMaker:
    """Much is abandoned once; then training resumes again and again, and abandons nothing."""
    log = opened(LogMaker(size + 1))
    log.batch(1)
    point = log.checkpoint("checkpoint-1")
    first = len(log.records)
    for _ in range(size):
        log.batch(1)
    log.resume(point, abandons=list(range(first, len(log.records))))
    for _ in range(size):
        log.put("resume", {"from_": point, "abandons": [], "step": 1}, {})
    return log


def many_checkpoints(size: int) -> LogMaker:
    log = opened(LogMaker(1))
    log.batch(1)
    for _ in range(size):
        log.checkpoint()
    return log


def many_epochs(size: int) -> LogMaker:
    log = opened(LogMaker(1))
    for _ in range(size):
        log.batch(1)
        log.end()
    return log


def many_files(size: int) -> LogMaker:
    """Merges, then quantizations and releases that each name the first."""
    log = opened(LogMaker(1))
    log.batch(1)
    log.checkpoint()
    log.close(summary={})
    for step in (log.merge, log.quantize, log.release):
        for _ in range(size):
            step()
    return log


@pytest.mark.parametrize(
    "make", [many_batches, many_resumes, many_checkpoints, many_epochs, many_files]
)
def test_work_grows_with_the_log_and_no_faster(make: Callable[[int], LogMaker]) -> None:
    records = [make(size).records for size in (400, 800)]
    less, more = (calls_of(lambda log=log: read_history(log)) for log in records)  # type: ignore[misc]
    assert more < 2.2 * less


def test_a_release_is_found_with_linear_work() -> None:
    works = []
    for size in (200, 400):
        history = many_files(size).history()
        at = history.releases[-1].index
        works.append(calls_of(lambda h=history, i=at: h.path(i)))  # type: ignore[misc]
    assert works[1] < 2.2 * works[0]

"""The queue of proofs: one lease at a time, and nothing from a worker whose lease is over."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.errors import UnavailableError
from provenance.ids import KeyId
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.workers.jobs import (
    MAX_ATTEMPTS,
    Job,
    JobQueue,
    is_dead,
    process_name,
    statement_id,
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def job() -> Job:
    return Job("epoch", KeyId(b"k" * 32), "prove-epoch", {"key": "/none"}, b"s" * 32)


def test_a_statement_is_leased_to_one_worker(tmp_path: Path, clock: Clock, job: Job) -> None:
    with (
        JobQueue(tmp_path / "q", owner="a", clock=clock) as a,
        JobQueue(tmp_path / "q", owner="b", clock=clock) as b,
    ):
        a.add([job])
        lease = a.claim(job.statement_id)
        assert lease is not None
        assert b.claim(job.statement_id) is None
        assert a.claim(job.statement_id) is None
        assert a.renew(lease)
        assert a.complete(lease, b"{}")
        assert b.state(job.statement_id) == ("done", "{}", None)
        assert not a.complete(lease, b"{1}")
        assert a.claim(job.statement_id) is None


def test_a_late_result_is_refused(tmp_path: Path, clock: Clock, job: Job) -> None:
    with (
        JobQueue(tmp_path / "q", owner="a", clock=clock) as a,
        JobQueue(tmp_path / "q", owner="b", clock=clock) as b,
    ):
        a.add([job])
        late = a.claim(job.statement_id)
        assert late is not None
        clock.now += a.lease_s
        # its lease is over, even though nobody else claimed the job
        assert not a.complete(late, b"late")
        assert not a.renew(late)
        fresh = b.claim(job.statement_id)
        assert fresh is not None
        assert fresh.token > late.token
        for act in (
            lambda: a.complete(late, b"late"),
            lambda: a.renew(late),
            lambda: a.release(late, ""),
            lambda: a.fail(late, ""),
            lambda: a.put_back(late),
        ):
            assert not act()
        assert b.complete(fresh, b"fresh")
        assert a.state(job.statement_id)[1] == "fresh"


def test_a_renewed_lease_lasts(tmp_path: Path, clock: Clock, job: Job) -> None:
    with (
        JobQueue(tmp_path / "q", owner="a", clock=clock) as a,
        JobQueue(tmp_path / "q", owner="b", clock=clock) as b,
    ):
        a.add([job])
        lease = a.claim(job.statement_id)
        assert lease is not None
        for _ in range(3):
            clock.now += a.lease_s - 1
            assert a.renew(lease)
        assert b.claim(job.statement_id) is None


def test_attempts_are_bounded(tmp_path: Path, clock: Clock, job: Job) -> None:
    with JobQueue(tmp_path / "q", owner="a", clock=clock) as queue:
        queue.add([job])
        for attempt in range(MAX_ATTEMPTS):
            lease = queue.claim(job.statement_id)
            assert lease is not None
            assert (lease.attempts, lease.token) == (attempt + 1, attempt + 1)
            clock.now += queue.lease_s
        assert queue.claim(job.statement_id) is None
        assert queue.state(job.statement_id)[0] == "failed"
        queue.add([job])
        lease = queue.claim(job.statement_id)
        assert lease is not None
        assert (lease.attempts, lease.token) == (1, MAX_ATTEMPTS + 1)  # tokens never go back


def test_the_name_of_a_process_tells_whether_it_still_lives() -> None:
    assert not is_dead(process_name(os.getpid()))
    ended = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    name = process_name(ended.pid)
    assert not is_dead(name)
    ended.communicate()
    assert is_dead(name)
    host, boot, pid, start = process_name(os.getpid()).split("|")
    # the number was given to another process
    assert is_dead(f"{host}|{boot}|{pid}|{int(start) + 1}")
    assert is_dead(f"{host}|other|{pid}|{start}")
    assert not is_dead(f"elsewhere|{boot}|{pid}|0")
    assert not is_dead("nonsense")


def test_a_file_that_is_no_queue_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "q").write_bytes(b"no database" * 1000)
    with pytest.raises(UnavailableError):
        JobQueue(tmp_path / "q")


def test_the_table_refuses_states_that_make_no_sense(tmp_path: Path, job: Job) -> None:
    with JobQueue(tmp_path / "q") as queue:
        queue.add([job])
    database = sqlite3.connect(tmp_path / "q")
    for change in ("state = 'done'", "proof = '{}'", "state = 'lost'"):
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(f"UPDATE proof_job SET {change}")
    database.close()


def test_statements_have_different_ids(key: KeyFolder) -> None:
    ids = {
        statement_id(k, command, {"chunk": c})
        for k in (key, replace(key, vk_id=KeyId(bytes(32))), replace(key, kind="tree"))
        for command in ("prove-epoch", "prove-link")
        for c in (0, 1)
    }
    assert len(ids) == 12

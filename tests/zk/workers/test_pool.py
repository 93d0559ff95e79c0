"""The pool of provers: every statement once, whatever dies, and nothing from a worker whose lease
is over.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from provenance.errors import InputError, RejectedError, UnavailableError
from provenance.order import epoch_order
from provenance_zk.field import R
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.connection import Connection
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.prover.server import ChildServer
from provenance_zk.training.jobs import EpochWitness, epoch_jobs
from provenance_zk.workers.jobs import (
    MAX_ATTEMPTS,
    Job,
    JobQueue,
    Lease,
)
from provenance_zk.workers.local import LocalExecutor, one_request
from provenance_zk.workers.pool import ProofPool

COUNT = 600  # three chunks of 256


@pytest.fixture(scope="module")
def jobs(key: KeyFolder) -> list[Job]:
    draw = random.Random(7)
    leaves = np.frombuffer(
        b"".join(draw.randrange(R).to_bytes(32, "big") for _ in range(COUNT)), dtype=np.uint8
    ).reshape(COUNT, 32)
    secret = [[draw.randrange(1, R) for _ in range(3)] for _ in range(2)]
    witness = EpochWitness(leaves, epoch_order(bytes(32), 0, COUNT), *secret)
    return epoch_jobs(key, witness, (draw.randrange(R), draw.randrange(R)))


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[JobQueue]:
    with JobQueue(tmp_path / "proofs.sqlite") as opened_queue:
        yield opened_queue


def served(prover: ZkProver, server: ChildServer) -> ZkProver:
    return ZkProver(prover.binary, server=server, timeout_s=300)


def require_true(prover: ZkProver, key: KeyFolder, proofs: Sequence[ProofFile]) -> None:
    assert all(verdict.ok for verdict in prover.verify(key.dir / "vk.words", proofs, 0b110))


class Fake:
    """An executor whose workers do what the test says."""

    def __init__(
        self, prove: Callable[[Sequence[Job], Callable[[int, bytes], None]], None], workers: int = 1
    ) -> None:
        self.prove, self.workers, self.interrupted = prove, workers, threading.Event()

    def worker(self) -> Fake:
        return self

    def interrupt(self) -> None:
        self.interrupted.set()


# the real prover


def test_each_statement_is_proved_once_and_the_key_read_once(
    prover: ZkProver, key: KeyFolder, jobs: list[Job], queue: JobQueue, child: ChildServer
) -> None:
    lines: list[str] = []
    with LocalExecutor(served(prover, child), workers=2) as executor:
        proofs = ProofPool(queue, executor, lines.append).prove(jobs)
        again = ProofPool(queue, executor).prove(list(reversed(jobs)))
    require_true(prover, key, proofs)
    assert again == list(reversed(proofs))
    assert [proof.public_value("start") for proof in proofs] == [0, 256, 512]
    assert sorted(lines) == [f"proof {i} of 3" for i in (1, 2, 3)]
    connection = Connection(child.endpoint(), 30)
    status, stats = connection.call("stats", {})
    connection.close()
    assert (status, stats["keyLoads"], stats["running"], stats["waiting"]) == (0, 1, 0, 0)


def test_the_one_shot_program_proves_the_same_statements(
    prover: ZkProver, key: KeyFolder, jobs: list[Job], queue: JobQueue
) -> None:
    with LocalExecutor(prover) as executor:
        proofs = ProofPool(queue, executor).prove(jobs)
    require_true(prover, key, proofs)


def test_a_killed_prover_loses_nothing(
    prover: ZkProver, key: KeyFolder, jobs: list[Job], queue: JobQueue, child: ChildServer
) -> None:
    killed: list[int] = []

    def kill(line: str) -> None:  # after the first proof, while the second is made
        if not killed and child.process is not None:
            killed.append(child.process.pid)
            child.process.kill()

    with LocalExecutor(served(prover, child), workers=1) as executor:
        proofs = ProofPool(queue, executor, kill).prove(jobs)
    require_true(prover, key, proofs)
    assert child.process is not None
    (dead,) = killed
    assert dead != child.process.pid


PROVING = """
import sys
from pathlib import Path
from provenance_zk.prover.client import ZkProver
from provenance_zk.workers.jobs import Job, JobQueue
binary, path, statement = sys.argv[1:]
lease = JobQueue(Path(path)).claim(bytes.fromhex(statement))
print(lease.token, flush=True)
sys.stdin.read()
"""


def test_the_jobs_of_a_killed_process_are_taken_over_at_once(
    prover: ZkProver,
    key: KeyFolder,
    jobs: list[Job],
    queue: JobQueue,
    child: ChildServer,
    tmp_path: Path,
) -> None:
    queue.add(jobs)
    other = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PROVING,
            str(prover.binary),
            str(tmp_path / "proofs.sqlite"),
            jobs[0].statement_id.hex(),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout is not None
    assert other.stdin is not None
    with other.stdout, other.stdin:
        assert other.stdout.readline() == b"1\n"
        assert queue.claim(jobs[0].statement_id) is None  # it lives
        other.kill()
        other.wait()
    with LocalExecutor(served(prover, child)) as executor:
        require_true(prover, key, ProofPool(queue, executor).prove(jobs))


def test_a_refused_job_fails_the_call_and_can_be_asked_again(
    prover: ZkProver, key: KeyFolder, jobs: list[Job], queue: JobQueue, child: ChildServer
) -> None:
    bad = replace(jobs[1], request={**jobs[1].request, "used": jobs[1].request["leaves"]})
    with LocalExecutor(served(prover, child)) as executor:
        with pytest.raises(RejectedError, match="leaf fed at a position"):
            ProofPool(queue, executor).prove([jobs[0], bad, jobs[2]])
        assert queue.state(bad.statement_id)[0] == "failed"
        require_true(prover, key, ProofPool(queue, executor).prove(jobs))


def test_nothing_private_is_written_to_the_queue(
    prover: ZkProver, jobs: list[Job], queue: JobQueue, child: ChildServer, tmp_path: Path
) -> None:
    with LocalExecutor(served(prover, child)) as executor:
        ProofPool(queue, executor).prove(jobs)
    queue.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("proofs.sqlite*"))
    for name in ("leaves", "used", "order", "blindings"):
        assert jobs[0].request[name][:32] not in stored
        assert jobs[0].request[name][:32].hex().encode() not in stored
    assert (tmp_path / "proofs.sqlite").stat().st_mode & 0o777 == 0o600


def test_an_idle_worker_that_sees_a_result_first_ends_without_loss(
    prover: ZkProver, key: KeyFolder, jobs: list[Job], tmp_path: Path, child: ChildServer
) -> None:
    class Slow(JobQueue):
        def complete(self, lease: Lease, proof: bytes) -> bool:
            taken = super().complete(lease, proof)
            if all(self.state(job.statement_id)[0] == "done" for job in jobs[:2]):
                time.sleep(0.3)  # the idle worker asks every 0.05 s which jobs are done
            return taken

    lines: list[str] = []
    with (
        Slow(tmp_path / "slow.sqlite") as queue,
        LocalExecutor(served(prover, child), workers=2) as executor,
    ):
        proofs = ProofPool(queue, executor, lines.append).prove(jobs[:2])
    require_true(prover, key, proofs)
    assert sorted(lines) == ["proof 1 of 2", "proof 2 of 2"]


# the pool


def test_a_request_for_several_jobs_names_shared_files_once(jobs: list[Job]) -> None:
    request = one_request(jobs, lambda data: f"file-{id(data)}", lambda i: f"out-{i}")
    assert request["jobs"] == [{"chunk": c, "out": f"out-{c}"} for c in range(3)]
    assert request["leaves"] == f"file-{id(jobs[0].request['leaves'])}"


def test_a_worker_lost_too_often_fails_the_call(
    jobs: list[Job], queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provenance_zk.workers.pool._PAUSE_S", 0.0)
    tries: list[int] = []

    def lose(batch: Sequence[Job], done: object) -> None:
        tries.append(len(batch))
        raise UnavailableError("worker was lost")

    with pytest.raises(UnavailableError, match="a proof could not be made"):
        ProofPool(queue, Fake(lose)).prove(jobs[:1])
    assert len(tries) == MAX_ATTEMPTS


def test_a_proof_of_another_key_is_refused(jobs: list[Job], queue: JobQueue) -> None:
    proof = ProofFile(
        "epoch", bytes(32), (1, 2), (1, 2, 3, 4), (1, 2), ((1, 2),) * 3, ((1, 2),) * 3, (0,) * 5
    ).to_bytes()
    with pytest.raises(RejectedError, match="another key"):
        ProofPool(queue, Fake(lambda batch, done: done(0, proof))).prove(jobs[:1])


def test_an_error_stops_the_other_workers(jobs: list[Job], queue: JobQueue) -> None:
    seen = threading.Semaphore(0)

    def work(batch: Sequence[Job], done: object) -> None:
        seen.release()
        if batch[0] is jobs[0]:
            seen.acquire()
            raise InputError("refused")
        assert executor.interrupted.wait(30)
        raise UnavailableError("interrupted")

    executor = Fake(work, workers=2)
    with pytest.raises(InputError, match="refused"):
        ProofPool(queue, executor).prove(jobs)
    assert executor.interrupted.is_set()
    assert queue.claim(jobs[2].statement_id) is not None  # given back


@pytest.mark.parametrize("twice", [0, 2])
def test_no_jobs_and_repeated_jobs_are_refused(
    jobs: list[Job], queue: JobQueue, twice: int
) -> None:
    with pytest.raises(InputError):
        ProofPool(queue, Fake(lambda batch, done: None)).prove([jobs[0]] * twice)


def test_leases_are_renewed_while_a_worker_works(jobs: list[Job], tmp_path: Path) -> None:
    proof = ProofFile(
        "epoch",
        jobs[0].key_id,
        (1, 2),
        (1, 2, 3, 4),
        (1, 2),
        ((1, 2),) * 3,
        ((1, 2),) * 3,
        (0,) * 5,
    ).to_bytes()

    def work(batch: Sequence[Job], done: Callable[[int, bytes], None]) -> None:
        time.sleep(3 * queue.lease_s)
        done(0, proof)

    with JobQueue(tmp_path / "q", lease_s=0.6) as queue:
        assert ProofPool(queue, Fake(work)).prove(jobs[:1])[0].vk_id == jobs[0].key_id

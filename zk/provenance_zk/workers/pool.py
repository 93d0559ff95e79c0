"""Makes proofs with several workers, each statement once, even if workers die meanwhile.

    with JobQueue(path) as queue, LocalExecutor(prover, workers=2) as executor:
        proofs = ProofPool(queue, executor).prove(jobs)

`jobs` may be of any kinds. A proof is stored in the queue as soon as it exists. When a worker is
lost (killed, out of reach), its unfinished jobs are given back. When the prover refuses a job, the
whole call fails.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path

from provenance.errors import InputError, ProvenanceError, RejectedError, UnavailableError
from provenance.progress import Say, silent
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.client import ZkProver
from provenance_zk.workers.jobs import Job, JobQueue, Lease
from provenance_zk.workers.local import Executor, LocalExecutor, Worker

MAX_BATCH = 64
_POLL_S = 0.05
_PAUSE_S = 0.5


class ProofPool:
    """Makes proofs through a queue and an executor.

    Args:
        say: gets a line per proof.
    """

    def __init__(self, queue: JobQueue, executor: Executor, say: Say = silent) -> None:
        self._queue, self._executor, self._say = queue, executor, say

    def prove(self, jobs: Sequence[Job]) -> list[ProofFile]:
        """The jobs' proofs, in their order. Proofs that the queue already has are not made again.

        Raises:
            InputError: no jobs, or two jobs of one statement.
            UnavailableError: workers were lost too often.
            RejectedError: a proof is under another key than the job's.
            ProvenanceError: the prover refused a job.
        """
        if not jobs or len({job.statement_id for job in jobs}) != len(jobs):
            raise InputError("jobs are a non-empty list of different statements", actual=len(jobs))
        self._queue.add(jobs)
        call = _Call(self._queue, self._executor, jobs, self._say)
        call.run()
        return [self._proof(job) for job in jobs]

    def _proof(self, job: Job) -> ProofFile:
        state, text, failure = self._queue.state(job.statement_id)
        if state != "done" or text is None:
            raise UnavailableError(
                "a proof could not be made",
                where=job.command,
                actual=failure,
                hint="run the command again",
            )
        proof = ProofFile.parse(text.encode())
        if proof.vk_id != job.key_id:
            raise RejectedError(
                "proof is for another key",
                where=job.command,
                expected=job.key_id,
                actual=proof.vk_id,
                hint="workers must have the very keys of this machine",
            )
        return proof


class _Call:
    """One call of `prove`: its threads, the leases they hold and the first error."""

    def __init__(self, queue: JobQueue, executor: Executor, jobs: Sequence[Job], say: Say) -> None:
        self._queue, self._executor, self._jobs, self._say = queue, executor, jobs, say
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._held: dict[bytes, Lease] = {}
        self._unsettled = list(jobs)
        self._done = 0

    def run(self) -> None:
        workers = max(1, min(self._executor.workers, len(self._jobs)))
        with ThreadPoolExecutor(workers + 1) as threads:
            renewing = threads.submit(self._renew)
            working = [threads.submit(self._work, self._executor.worker()) for _ in range(workers)]
            try:
                wait(working, return_when=FIRST_EXCEPTION)
            finally:  # after an error or Ctrl-C the other workers must not finish their jobs
                self._stop.set()
                if not all(future.done() for future in working):
                    self._executor.interrupt()
            for future in [*working, renewing]:
                future.result()

    def _renew(self) -> None:
        while not self._stop.wait(self._queue.lease_s / 3):
            with self._guard:
                held = list(self._held.values())
            for lease in held:
                self._queue.renew(lease)

    def _work(self, worker: Worker) -> None:
        while not self._stop.is_set():
            batch = self._claim()
            if batch:
                self._prove(worker, batch)
            elif self._settled():
                return
            else:
                self._stop.wait(_POLL_S)

    def _settled(self) -> bool:
        """Whether every row is done or failed; other processes may still work on some."""
        with self._guard:
            self._unsettled = [
                job
                for job in self._unsettled
                if self._queue.state(job.statement_id)[0] not in ("done", "failed")
            ]
            return not self._unsettled

    def _claim(self) -> list[tuple[Job, Lease]]:
        """Lease the first free job, and others that can share its request: a fair share of all."""
        with self._guard:
            limit = min(MAX_BATCH, -(-len(self._unsettled) // max(1, self._executor.workers)))
            batch: list[tuple[Job, Lease]] = []
            for job in list(self._unsettled):
                if len(batch) == limit:
                    break
                if job.statement_id in self._held or (batch and not _go_together(batch[0][0], job)):
                    continue
                lease = self._queue.claim(job.statement_id)
                if lease is not None:
                    self._held[job.statement_id] = lease
                    batch.append((job, lease))
            return batch

    def _prove(self, worker: Worker, batch: list[tuple[Job, Lease]]) -> None:
        left = dict(enumerate(batch))

        def done(i: int, proof: bytes) -> None:
            self._take(*left.pop(i), proof)

        try:
            worker.prove([job for job, _ in batch], done)
        except UnavailableError as error:
            why = str(error)
            stopped = self._stop.is_set()
            release = self._queue.release
            how = self._queue.put_back if stopped else lambda lease: release(lease, why)
            self._give_back(left, how)
            self._stop.wait(_PAUSE_S)
        except ProvenanceError as error:
            first = min(left, default=None)
            if first is not None:
                self._queue.fail(left[first][1], str(error))
            self._give_back(left, self._queue.put_back)
            raise
        except BaseException:
            self._give_back(left, self._queue.put_back)
            raise

    def _take(self, job: Job, lease: Lease, proof: bytes) -> None:
        taken = self._queue.complete(lease, proof)
        with self._guard:
            self._held.pop(job.statement_id, None)
            if taken:  # else the lease had expired, and the result of its successor counts
                # Another thread may have removed the job already, in `_settled`.
                self._unsettled = [other for other in self._unsettled if other is not job]
                self._done += 1
        if taken:
            self._say(f"proof {self._done} of {len(self._jobs)}")

    def _give_back(self, left: dict[int, tuple[Job, Lease]], how: Callable[[Lease], bool]) -> None:
        """Give back the jobs that are left: the first, which was under way, by `how`.

        The others were not begun, so their attempt does not count.
        """
        for n, i in enumerate(sorted(left)):
            job, lease = left[i]
            (how if n == 0 else self._queue.put_back)(lease)
            with self._guard:
                self._held.pop(job.statement_id, None)


@contextmanager
def proof_pool(
    path: Path, prover: ZkProver, executor: Executor | None, say: Say = silent
) -> Iterator[ProofPool]:
    """A pool over the queue at `path`. If `executor` is None, one worker asks `prover`."""
    with ExitStack() as stack:
        queue = stack.enter_context(JobQueue(path))
        yield ProofPool(queue, executor or stack.enter_context(LocalExecutor(prover)), say)


def _go_together(a: Job, b: Job) -> bool:
    """Whether one request can carry both: the same command, key and input files."""
    same = (a.command, a.sharing.together, a.request.get("key")) == (
        b.command,
        b.sharing.together,
        b.request.get("key"),
    )
    return same and all(
        value is b.request.get(name)
        for name, value in a.request.items()
        if isinstance(value, bytes) and name not in a.sharing.own
    )

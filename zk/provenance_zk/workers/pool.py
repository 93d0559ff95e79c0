"""Proofs made by several workers, each statement once, whatever dies meanwhile.

    with JobQueue(path) as queue, LocalExecutor(prover, workers=2) as executor:
        proofs = ProofPool(queue, executor).prove(jobs)

`jobs` may be of any kinds; those of one command that share input files go to a worker together,
which reads the files and the key once. A proof is in the queue as soon as it exists. A worker that
is lost (killed, out of reach) gives its unfinished jobs back; a prover that refuses a job fails the
whole call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from provenance.errors import InputError, ProvenanceError, RejectedError, UnavailableError
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.request import PrivateFolder, private_folder
from provenance_zk.statements import ProofFile
from provenance_zk.workers.jobs import Job, JobQueue, Lease

MAX_BATCH = 64
_POLL_S = 0.05
_PAUSE_S = 0.5

Done = Callable[[int, bytes], None]


class Worker(Protocol):
    """Proves jobs one after the other."""

    def prove(self, jobs: Sequence[Job], done: Done) -> None:
        """Call `done(i, proof)` for each job as its proof exists; all have the same command and
        key.

        Raises:
            UnavailableError: the worker was lost; the jobs not done may be tried again.
            ProvenanceError: the prover refuses the first job that is not done.
        """


class Executor(Protocol):
    """A number of workers."""

    workers: int

    def worker(self) -> Worker: ...
    def interrupt(self) -> None:
        """Let every worker's `prove` end soon."""


def split(
    jobs: Sequence[Job], path: Callable[[bytes], str], out: Callable[[int], str]
) -> dict[str, Any]:
    """One request for all the jobs: what they share once, the rest in `jobs`;

    `path` gives the file of private bytes.
    """
    named = [
        {name: path(v) if isinstance(v, bytes) else v for name, v in job.request.items()}
        for job in jobs
    ]
    shared = {
        name: v
        for name, v in named[0].items()
        if name not in jobs[0].own and all(name in other and other[name] == v for other in named)
    }
    entries = [
        {**{name: v for name, v in fields.items() if name not in shared}, "out": out(i)}
        for i, fields in enumerate(named)
    ]
    return {**shared, "jobs": entries}


class LocalExecutor:
    """Workers on this machine.

    With a server the keys are read once for all of them; the server should have as many workers.
    """

    def __init__(self, prover: ZkProver, workers: int = 1) -> None:
        self._prover, self.workers = prover, workers
        self._context = private_folder()
        self._folder: PrivateFolder = self._context.__enter__()
        self._guard = threading.Lock()
        self._files: dict[
            int, tuple[bytes, str]
        ] = {}  # by identity, which the kept bytes keep unique
        self._outs = 0

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.__exit__(None, None, None)

    def worker(self) -> Worker:
        return self

    def interrupt(self) -> None:
        self._prover.interrupt()

    def prove(self, jobs: Sequence[Job], done: Done) -> None:
        with self._guard:
            first, self._outs = self._outs, self._outs + len(jobs)
        request = split(jobs, self._path, lambda i: self._folder.out(f"proof-{first + i}"))
        taken = 0

        def take(_: str = "") -> None:
            nonlocal taken
            while taken < len(jobs) and self._folder.has(f"proof-{first + taken}"):
                taken += 1  # first: a result that the queue failed to take is not handed over again
                done(taken - 1, self._folder.read(f"proof-{first + taken - 1}"))

        try:
            self._prover.request(jobs[0].command, request, take)
        finally:
            take()  # what was finished before a failure counts
        if taken < len(jobs):
            raise UnavailableError("prover wrote no result", where=jobs[0].command)

    def _path(self, data: bytes) -> str:
        with self._guard:
            if id(data) not in self._files:
                self._files[id(data)] = data, self._folder.write(f"input-{len(self._files)}", data)
            return self._files[id(data)][1]


class ProofPool:
    """Makes proofs through a queue and an executor.

    Args:
        progress: gets a line per proof.
    """

    def __init__(
        self, queue: JobQueue, executor: Executor, progress: Callable[[str], None] | None = None
    ) -> None:
        self._queue, self._executor, self._progress = queue, executor, progress

    def prove(self, jobs: Sequence[Job]) -> list[ProofFile]:
        """The jobs' proofs, in their order; those that the queue has are not made again.

        Raises:
            InputError: no jobs, or two of one statement.
            UnavailableError: workers were lost too often.
            ProvenanceError: the prover refused a job.
        """
        if not jobs or len({job.statement_id for job in jobs}) != len(jobs):
            raise InputError("jobs are a non-empty list of different statements", actual=len(jobs))
        self._queue.add(jobs)
        call = _Call(self._queue, self._executor, jobs, self._progress)
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
                expected=f"0x{job.key_id.hex()}",
                actual=f"0x{proof.vk_id.hex()}",
                hint="workers must have the very keys of this machine",
            )
        return proof


class _Call:
    """One call of `prove`: its threads, the leases they hold and the first error."""

    def __init__(
        self,
        queue: JobQueue,
        executor: Executor,
        jobs: Sequence[Job],
        progress: Callable[[str], None] | None,
    ) -> None:
        self._queue, self._executor, self._jobs, self._progress = queue, executor, jobs, progress
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._held: dict[bytes, Lease] = {}
        self._open = list(jobs)  # not settled yet
        self._done = 0

    def run(self) -> None:
        workers = max(1, min(self._executor.workers, len(self._jobs)))
        with ThreadPoolExecutor(workers + 1) as threads:
            renewing = threads.submit(self._renew)
            working = [threads.submit(self._work, self._executor.worker()) for _ in range(workers)]
            try:
                wait(working, return_when=FIRST_EXCEPTION)
            finally:  # after an error, Ctrl-C included, the other workers must not run to their end
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
        """Whether every row has its last state: others may still work on some."""
        with self._guard:
            self._open = [
                job
                for job in self._open
                if self._queue.state(job.statement_id)[0] not in ("done", "failed")
            ]
            return not self._open

    def _claim(self) -> list[tuple[Job, Lease]]:
        """Lease a fair share of the jobs that go together with the first that is free."""
        with self._guard:
            limit = min(MAX_BATCH, -(-len(self._open) // max(1, self._executor.workers)))
            batch: list[tuple[Job, Lease]] = []
            for job in list(self._open):
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
            job, lease = left.pop(i)
            taken = self._queue.complete(lease, proof)
            with self._guard:
                self._held.pop(job.statement_id, None)
                if taken:  # else the lease had ended: its successor's result counts
                    self._open = [
                        other for other in self._open if other is not job
                    ]  # gone if another worker looked since
                    self._done += 1
            if taken and self._progress is not None:
                self._progress(f"proof {self._done} of {len(self._jobs)}")

        try:
            worker.prove([job for job, _ in batch], done)
        except UnavailableError as error:
            why = str(error)
            self._give_back(
                left,
                self._queue.put_back
                if self._stop.is_set()
                else lambda lease: self._queue.release(lease, why),
            )
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

    def _give_back(self, left: dict[int, tuple[Job, Lease]], how: Callable[[Lease], bool]) -> None:
        """The first of those left was under way; the others were not begun."""
        for n, i in enumerate(sorted(left)):
            job, lease = left[i]
            (how if n == 0 else self._queue.put_back)(lease)
            with self._guard:
                self._held.pop(job.statement_id, None)


@contextmanager
def proof_pool(
    path: Path, prover: ZkProver, executor: Executor | None, progress: Callable[[str], None] | None
) -> Iterator[ProofPool]:
    """A pool over the queue at `path`; without an executor, one worker that asks `prover`."""
    with ExitStack() as stack:
        queue = stack.enter_context(JobQueue(path))
        yield ProofPool(queue, executor or stack.enter_context(LocalExecutor(prover)), progress)


def _go_together(a: Job, b: Job) -> bool:
    """Whether one request can carry both: the same command, key and input files."""
    return (a.command, a.together, a.request.get("key")) == (
        b.command,
        b.together,
        b.request.get("key"),
    ) and all(
        value is b.request.get(name)
        for name, value in a.request.items()
        if isinstance(value, bytes) and name not in a.own
    )

"""Workers and executors, and those of this machine.

Jobs of one command that share input files go to a worker together, so that it reads the files and
the key once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from provenance.errors import UnavailableError
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.request import private_folder
from provenance_zk.workers.jobs import Job

Done = Callable[[int, bytes], None]
"""Called with the number of a job and the bytes of its proof file."""


class Worker(Protocol):
    """Proves jobs one after the other."""

    def prove(self, jobs: Sequence[Job], done: Done) -> None:
        """Prove the jobs in order; call `done(i, proof)` as soon as job i has its proof.

        Args:
            jobs: not empty; all have the same command and key.

        Raises:
            UnavailableError: the worker was lost; the jobs that are not done may be tried again.
            ProvenanceError: the prover refuses the first job that is not done.
        """
        ...


class Executor(Protocol):
    """Has a number of workers."""

    workers: int

    def worker(self) -> Worker:
        """One of the workers, for one thread."""
        ...

    def interrupt(self) -> None:
        """Make every worker's `prove` end soon."""
        ...


def one_request(
    jobs: Sequence[Job], path: Callable[[bytes], str], out: Callable[[int], str]
) -> dict[str, Any]:
    """One request for all the jobs: fields that they share stand once, the others in `jobs`.

    Args:
        path: gives the file that holds these private bytes.
        out: gives the path to which the prover writes the proof of job i.
    """
    named = [
        {name: path(v) if isinstance(v, bytes) else v for name, v in job.request.items()}
        for job in jobs
    ]
    own = jobs[0].sharing.own
    shared = {
        name: v
        for name, v in named[0].items()
        if name not in own and all(name in other and other[name] == v for other in named)
    }
    entries = [
        {**{name: v for name, v in fields.items() if name not in shared}, "out": out(i)}
        for i, fields in enumerate(named)
    ]
    return {**shared, "jobs": entries}


class LocalExecutor:
    """Workers on this machine.

    If the prover asks a server, keys are read once for all workers. The server should allow as many
    proofs at a time.
    """

    def __init__(self, prover: ZkProver, workers: int = 1) -> None:
        self._prover, self.workers = prover, workers
        self._context = private_folder()
        self._folder = self._context.__enter__()
        self._guard = threading.Lock()
        # By `id()` of the bytes, which stays unique because the bytes are kept.
        self._files: dict[int, tuple[bytes, str]] = {}
        self._outs = 0

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.__exit__(None, None, None)

    def worker(self) -> Worker:
        """The executor itself, which threads may share."""
        return self

    def interrupt(self) -> None:
        """As `Executor` says; without a server there is nothing to interrupt."""
        self._prover.interrupt()

    def prove(self, jobs: Sequence[Job], done: Done) -> None:
        """As `Worker` says."""
        with self._guard:
            first, self._outs = self._outs, self._outs + len(jobs)
        request = one_request(jobs, self._path, lambda i: self._folder.out(f"proof-{first + i}"))
        taken = 0

        def take(_: str = "") -> None:
            nonlocal taken
            while taken < len(jobs) and self._folder.has(f"proof-{first + taken}"):
                # Counted first, so that a proof is not handed over again if `done` raises.
                taken += 1
                done(taken - 1, self._folder.read(f"proof-{first + taken - 1}"))

        try:
            self._prover.request(jobs[0].command, request, take)
        finally:
            take()  # proofs that were finished before a failure count
        if taken < len(jobs):
            raise UnavailableError("prover wrote no result", where=jobs[0].command)

    def _path(self, data: bytes) -> str:
        with self._guard:
            if id(data) not in self._files:
                self._files[id(data)] = data, self._folder.write(f"input-{len(self._files)}", data)
            return self._files[id(data)][1]

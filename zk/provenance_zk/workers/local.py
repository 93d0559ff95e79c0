"""Workers: what one does, and those of this machine.

Jobs of one command that share input files go to a worker together, which reads the files and the
key once.
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
"""Takes the number of a job and the bytes of its proof file."""


class Worker(Protocol):
    """Proves jobs one after the other."""

    def prove(self, jobs: Sequence[Job], done: Done) -> None:
        """Call `done(i, proof)` for each job as its proof exists.

        Args:
            jobs: not empty; all have the same command and key.

        Raises:
            UnavailableError: the worker was lost; the jobs not done may be tried again.
            ProvenanceError: the prover refuses the first job that is not done.
        """
        ...


class Executor(Protocol):
    """A number of workers."""

    workers: int

    def worker(self) -> Worker:
        """One of the workers, for one thread."""
        ...

    def interrupt(self) -> None:
        """Let every worker's `prove` end soon."""
        ...


def one_request(
    jobs: Sequence[Job], path: Callable[[bytes], str], out: Callable[[int], str]
) -> dict[str, Any]:
    """One request for all the jobs: what they share once, the rest in `jobs`.

    Args:
        path: the file that holds some private bytes.
        out: where the proof of job i goes.
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

    With a server the keys are read once for all of them; it should have as many workers.
    """

    def __init__(self, prover: ZkProver, workers: int = 1) -> None:
        self._prover, self.workers = prover, workers
        self._context = private_folder()
        self._folder = self._context.__enter__()
        self._guard = threading.Lock()
        # By identity, which the kept bytes keep unique.
        self._files: dict[int, tuple[bytes, str]] = {}
        self._outs = 0

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.__exit__(None, None, None)

    def worker(self) -> Worker:
        """The executor itself: threads may share it."""
        return self

    def interrupt(self) -> None:
        """As `Executor` says; with a process per request there is nothing to interrupt."""
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
                # Counted first: what the queue failed to take is not handed over again.
                taken += 1
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

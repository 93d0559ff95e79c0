"""Chooses the prover that answers a command, and the workers that make its proofs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from provenance.settings import Settings
from provenance_zk.prover.client import ZkProver, find_binary
from provenance_zk.prover.connection import Endpoint
from provenance_zk.prover.server import ChildServer, RunningServer
from provenance_zk.workers.local import Executor, LocalExecutor
from provenance_zk.workers.names import local_workers, without_ray

ONE_SHOT = "one-shot"
_MIN_MEMORY_BYTES = 4 << 30


class Workshop:
    """The prover and the workers of one command, which owns them and closes them at its end.

        with Workshop(settings, "local:2") as workshop, workshop.workers() as executor:
            ProofPool(queue, executor).prove(jobs)

    Requests go to the server that PROVENANCE_PROVER names. Without that setting the workshop starts
    a server of its own with the first request. All parts of the command ask that one, so it reads
    each key once; it ends when the workshop is closed. With the setting `one-shot` each request
    starts a process. One thread uses a workshop; its workers say themselves how many may.

    Args:
        executor: `local` or `local:N` for N proofs at a time, `ray:local`, or `ray://HOST:PORT`.

    Raises:
        ConfigError: no such executor.
    """

    def __init__(self, settings: Settings, executor: str = "local") -> None:
        self.settings = settings
        self._name, self._local = executor, local_workers(executor)
        self._stack = ExitStack()
        self._prover: ZkProver | None = None
        self._ray: Executor | None = None

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server and the workers that the workshop started; it may be used again after."""
        self._prover = self._ray = None
        stack, self._stack = self._stack, ExitStack()
        stack.close()

    @property
    def prover(self) -> ZkProver:
        """The prover that commitments are asked from.

        Raises:
            UnavailableError: the program is missing.
            ConfigError: PROVENANCE_PROVER is no prover's address.
        """
        if self._prover is None:
            self._prover = self._open_prover()
        return self._prover

    @property
    def judging_prover(self) -> ZkProver:
        """The prover that a verdict may rest on: the program of this machine.

        A server that somebody else started makes proofs, but it is not believed to check any.

        Raises:
            UnavailableError: the program is missing.
        """
        if self.settings.prover in (None, ONE_SHOT):
            return self.prover
        return ZkProver(find_binary(self.settings.zkprover))

    @contextmanager
    def workers(self) -> Iterator[Executor]:
        """The workers that make proofs. Their files with secrets go with the context.

        Raises:
            ConfigError: Ray is asked for and not installed. Else as `prover`.
            UnavailableError: the cluster is out of reach.
        """
        if self._local is not None:
            with LocalExecutor(self.prover, self._local or default_workers()) as executor:
                yield executor
            return
        if self._ray is None:
            self._ray = self._stack.enter_context(_ray(self._name, self.settings))
        yield self._ray

    def _open_prover(self) -> ZkProver:
        settings = self.settings
        binary = find_binary(settings.zkprover)
        if settings.prover == ONE_SHOT:
            return ZkProver(binary)
        if settings.prover is not None:
            endpoint = Endpoint.parse(settings.prover, settings.prover_secret)
            return ZkProver(binary, server=RunningServer(endpoint))
        workers, memory = self._local or default_workers(), default_memory_bytes()
        child = ChildServer(binary, workers=workers, memory_bytes=memory)
        return ZkProver(binary, server=self._stack.enter_context(child))


def _ray(name: str, settings: Settings) -> AbstractContextManager[Executor]:
    try:
        from provenance_zk.workers.ray_executor import RayExecutor  # keeps Ray out until named
    except ModuleNotFoundError as error:
        raise without_ray(error) from error
    return RayExecutor(name, settings.zkprover)


def default_workers() -> int:
    """One worker for every four cores, since one proof uses several cores."""
    return max(1, len(os.sched_getaffinity(0)) // 4)


def default_memory_bytes() -> int:
    """Memory limit of the command's server: three quarters of the machine's, at least 4 GiB.

    The server refuses a request that needs more before it starts.
    """
    return max(_MIN_MEMORY_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4)

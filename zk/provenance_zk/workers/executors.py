"""Chooses the prover that answers a command, and the workers that make its proofs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from provenance.errors import ConfigError
from provenance.settings import Settings
from provenance_zk.prover.client import ZkProver, find_binary
from provenance_zk.prover.connection import Endpoint
from provenance_zk.prover.server import ChildServer, RunningServer
from provenance_zk.workers.local import Executor, LocalExecutor
from provenance_zk.workers.names import local_workers

ONE_SHOT = "one-shot"
_MIN_MEMORY_BYTES = 4 << 30


@contextmanager
def opened(settings: Settings, executor: str = "local") -> Iterator[tuple[ZkProver, Executor]]:
    """The prover and the workers of one command.

    Requests go to the server that PROVENANCE_PROVER names. Without that setting the command starts
    a server of its own, which reads each key once and ends with the command. With the setting
    `one-shot` each request starts a process.

    Args:
        executor: `local` or `local:N` for N proofs at a time, `ray:local`, or `ray://HOST:PORT`.

    Raises:
        ConfigError: no such executor, no Ray installed, or not a prover's address.
        UnavailableError: the prover or the cluster is out of reach.
    """
    local = local_workers(executor)
    workers = local or default_workers()
    with ExitStack() as stack:
        prover = stack.enter_context(_prover(settings, workers))
        if local is not None:
            yield prover, stack.enter_context(LocalExecutor(prover, workers))
            return
        try:
            from provenance_zk.workers.ray_executor import RayExecutor  # keeps Ray out until named
        except ModuleNotFoundError as error:
            raise ConfigError(
                "Ray is not installed",
                where="--executor",
                actual=error.name,
                hint="pip install 'model-provenance[ray]'",
            ) from error
        yield prover, stack.enter_context(RayExecutor(executor, settings.zkprover))


@contextmanager
def _prover(settings: Settings, workers: int) -> Iterator[ZkProver]:
    binary = find_binary(settings.zkprover)
    if settings.prover == ONE_SHOT:
        yield ZkProver(binary)
    elif settings.prover is not None:
        endpoint = Endpoint.parse(settings.prover, settings.prover_secret)
        yield ZkProver(binary, server=RunningServer(endpoint))
    else:
        with ChildServer(binary, workers=workers, memory_bytes=default_memory_bytes()) as child:
            yield ZkProver(binary, server=child)


def default_workers() -> int:
    """One worker for every four cores, since one proof uses several cores."""
    return max(1, len(os.sched_getaffinity(0)) // 4)


def default_memory_bytes() -> int:
    """Memory limit of the command's server: three quarters of the machine's, at least 4 GiB.

    The server refuses a request that needs more before it starts.
    """
    return max(_MIN_MEMORY_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4)

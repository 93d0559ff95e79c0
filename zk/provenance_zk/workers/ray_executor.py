"""Workers on a Ray cluster, or on a Ray that runs on this machine only.

Each worker is an actor: one process with a prover server of its own. The cluster is trusted with
the secrets that a proof is made from: leaves and blindings travel to its nodes, in Ray's memory and
in private files for the prover. It is not trusted with the result: the key id of each proof is
compared here, and everybody who verifies a proof checks it.

Jobs about weights name files by their paths, so every node must see these files. A node needs this
package, the `zkprover` binary, and the very key of the job, either in the folder that the job names
or in the node's own cache (PROVENANCE_CACHE). Keys are not sent, since they have up to half a
gigabyte.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from provenance.errors import InputError, ProvenanceError, UnavailableError
from provenance.settings import Settings
from provenance_zk.prover.client import ZkProver, find_binary
from provenance_zk.prover.keys import find_key, load_key
from provenance_zk.prover.server import ChildServer
from provenance_zk.workers.jobs import Job
from provenance_zk.workers.local import Done, LocalExecutor, Worker
from provenance_zk.workers.ray_cluster import connect


class Prover:
    """The actor: proves on its node.

    It returns this project's errors as values, since Ray would wrap an exception.
    """

    def __init__(self, binary: str | None) -> None:
        found = find_binary(Path(binary) if binary else None)
        self._server = ChildServer(found)
        self._prover = ZkProver(found, server=self._server)

    def prove(self, jobs: Sequence[Job]) -> tuple[list[bytes], ProvenanceError | None]:
        """(proofs in the order of the jobs, the error that ended them early or None)."""
        proofs: list[bytes] = []
        try:
            here = _on_this_node(jobs)
            with LocalExecutor(self._prover) as local:
                local.prove(here, lambda _, proof: proofs.append(proof))
        except ProvenanceError as error:
            return proofs, error
        return proofs, None


def _on_this_node(jobs: Sequence[Job]) -> list[Job]:
    """The jobs with the node's own copy of their key."""
    key = Path(jobs[0].request["key"])
    if not (key.is_dir() and load_key(key).vk_id == jobs[0].key_id):
        key = find_key(Settings.load().cache / "keys", jobs[0].key_id).dir
    # Equal bytes of the jobs become one object again, so that each is written to one file only.
    shared: dict[bytes, bytes] = {}
    return [
        replace(
            job,
            request={
                name: shared.setdefault(v, v) if isinstance(v, bytes) else v
                for name, v in {**job.request, "key": str(key)}.items()
            },
        )
        for job in jobs
    ]


class RayExecutor:
    """Workers on Ray: as many as the cluster has room for, at `cpus` cores each.

    Args:
        address: `ray:local` or `ray://HOST:PORT`.
        binary: the prover on every node, None for the packaged one.
        cpus: cores of one worker.
        options: further arguments of `ray.init`.
    """

    def __init__(self, address: str, binary: Path | None, *, cpus: int = 2, **options: Any) -> None:
        self._binary = str(binary) if binary else None
        self._cpus = cpus
        connect(address, **options)
        cores = ray.cluster_resources().get("CPU", 1)  # type: ignore[no-untyped-call]
        self.workers = max(1, int(cores) // cpus)
        self._workers = [_RayWorker(self) for _ in range(self.workers)]
        self._turns = cycle(self._workers)

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.interrupt()
        ray.shutdown()

    def worker(self) -> Worker:
        """One of the executor's workers, in turn.

        Their actors, and the keys that the actors have read, last as long as the executor.
        """
        return next(self._turns)

    def interrupt(self) -> None:
        """Kill every actor; the next jobs start new actors."""
        for worker in self._workers:
            worker.stop()

    def start(self) -> Any:
        """A handle of a new actor."""
        return ray.remote(num_cpus=self._cpus, max_restarts=0)(Prover).remote(self._binary)


class _RayWorker:
    """A worker that starts its actor with the first jobs, and again after the actor was lost."""

    def __init__(self, executor: RayExecutor) -> None:
        self._executor = executor
        self.actor: Any = None

    def stop(self) -> None:
        actor, self.actor = self.actor, None
        if actor is not None:
            with suppress(RayError):  # it is dead already
                ray.kill(actor)

    def prove(self, jobs: Sequence[Job], done: Done) -> None:
        actor = self.actor = self.actor or self._executor.start()
        try:
            proofs, error = ray.get(actor.prove.remote(list(jobs)))
        except RayActorError as lost:
            self.actor = None
            raise UnavailableError("worker was lost", where="ray", actual=lost) from lost
        except RayError as failed:
            raise UnavailableError("worker failed", where="ray", actual=failed) from failed
        if len(proofs) > len(jobs):
            raise InputError(
                "worker made more proofs than jobs", expected=len(jobs), actual=len(proofs)
            )
        for i, proof in enumerate(proofs):
            done(i, proof)
        if error is not None:
            raise error

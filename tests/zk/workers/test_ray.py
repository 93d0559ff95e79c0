"""The same jobs on a Ray of this machine: the same public inputs, proofs that verify, and nothing
lost with a worker.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from provenance.digest import sha256
from provenance.errors import InputError, NotFound, RejectedError, UnavailableError
from provenance.ids import KeyId
from provenance.order import epoch_order
from provenance_trainer.formats.gguf import BLOCK_BYTES, quantize_q8_0
from provenance_trainer.model.weights import SafetensorsWriter
from provenance_zk.field import R
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder, ensure_keys
from provenance_zk.training.jobs import EpochWitness, epoch_jobs
from provenance_zk.weights.samples import groups
from provenance_zk.weights.stages import QuantizedModel, QuantizeWeights, SampleSize, StoredModel
from provenance_zk.workers.jobs import Job, JobQueue
from provenance_zk.workers.local import LocalExecutor
from provenance_zk.workers.names import RAY_HERE
from provenance_zk.workers.pool import ProofPool
from provenance_zk.workers.ray_executor import RayExecutor
from tests.support.chain import cache_folder
from tests.support.places import REPO

# Ray leaves sockets and processes to the garbage collector, which warns of them.
pytestmark = pytest.mark.filterwarnings("default")
COUNT = 300


def make_jobs(key: KeyFolder, seed: int) -> list[Job]:
    draw = random.Random(seed)
    leaves = np.frombuffer(
        b"".join(draw.randrange(R).to_bytes(32, "big") for _ in range(COUNT)), dtype=np.uint8
    ).reshape(COUNT, 32)
    secret = [[draw.randrange(1, R) for _ in range(2)] for _ in range(2)]
    witness = EpochWitness(leaves, epoch_order(bytes(32), 0, COUNT), *secret)
    return epoch_jobs(key, witness, (draw.randrange(R), draw.randrange(R)))


@pytest.fixture(scope="module")
def cluster(prover: ZkProver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayExecutor]:
    """A Ray of two cores on loopback; it leaves nothing behind."""
    path = os.pathsep.join(str(REPO / part) for part in (".", "zk"))
    options: dict[str, Any] = {
        "num_cpus": 2,
        "object_store_memory": 100 << 20,
        "runtime_env": {"env_vars": {"PYTHONPATH": path}},
    }
    with pytest.MonkeyPatch.context() as patch:
        # the address of another cluster, which this Ray must not join
        patch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
        with RayExecutor(RAY_HERE, prover.binary, cpus=1, **options) as executor:
            yield executor
    assert not ray.is_initialized()


def test_ray_proves_what_this_machine_proves(
    prover: ZkProver, key: KeyFolder, cluster: RayExecutor, tmp_path: Path
) -> None:
    jobs = make_jobs(key, 1)
    assert cluster.workers == 2
    with JobQueue(tmp_path / "here") as queue, LocalExecutor(prover) as local:
        here = ProofPool(queue, local).prove(jobs)
    with JobQueue(tmp_path / "there") as queue:
        there = ProofPool(queue, cluster).prove(jobs)
    assert [proof.public for proof in there] == [proof.public for proof in here]
    assert [proof.commitments for proof in there] == [proof.commitments for proof in here]
    assert all(verdict.ok for verdict in prover.verify(key.dir / "vk.words", there, 0b110))


def is_dead(pid: int) -> bool:
    """Whether all threads of a process ended, so that its socket is closed; it may be a zombie."""
    process = Path(f"/proc/{pid}")
    try:
        threads = [thread.name for thread in (process / "task").iterdir()]
        return (
            threads == [str(pid)]
            and (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        )
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_killed_worker_loses_nothing(
    prover: ZkProver, key: KeyFolder, cluster: RayExecutor, tmp_path: Path
) -> None:
    worker = cluster.worker()
    first = make_jobs(key, 2)
    worker.prove(first, lambda i, proof: None)
    on_its_node = worker.actor.__ray_call__  # type: ignore[attr-defined]
    pid = ray.get(on_its_node.remote(lambda actor: actor._server.process.pid))
    os.kill(pid, signal.SIGKILL)  # its prover alone: the actor starts another
    # A request to the dying prover would be lost with it, and only the pool repeats requests.
    while not is_dead(pid):
        time.sleep(0.01)
    proofs: list[bytes] = []
    worker.prove(first, lambda i, proof: proofs.append(proof))
    assert len(proofs) == len(first)
    ray.kill(worker.actor)  # type: ignore[attr-defined]
    with pytest.raises(UnavailableError, match="lost"):
        worker.prove(first, lambda i, proof: None)
    with JobQueue(tmp_path / "q") as queue:
        again = ProofPool(queue, cluster).prove(make_jobs(key, 3))
    assert all(verdict.ok for verdict in prover.verify(key.dir / "vk.words", again, 0b110))


def test_errors_keep_their_class(key: KeyFolder, cluster: RayExecutor, tmp_path: Path) -> None:
    job = make_jobs(key, 4)[0]
    bad = Job(
        job.kind,
        job.key_id,
        job.command,
        {**job.request, "used": job.request["leaves"]},
        job.statement_id,
    )
    with (
        JobQueue(tmp_path / "q") as queue,
        pytest.raises(RejectedError, match="leaf fed at a position"),
    ):
        ProofPool(queue, cluster).prove([bad])


def test_a_node_without_the_key_says_so(
    key: KeyFolder, cluster: RayExecutor, tmp_path: Path
) -> None:
    job = make_jobs(key, 5)[0]
    foreign = Job(job.kind, KeyId(bytes(32)), job.command, job.request, job.statement_id)
    with JobQueue(tmp_path / "q") as queue, pytest.raises(NotFound, match="no key with this id"):
        ProofPool(queue, cluster).prove([foreign])


def test_ray_opens_weights_by_their_path(
    prover: ZkProver, cluster: RayExecutor, tmp_path: Path
) -> None:
    key = ensure_keys(prover, cache_folder() / "keys", "q8_0", 6, 1)
    bits = (
        np.random.default_rng(1).normal(0, 1, (9, 64)).astype(np.float32).view(np.uint32) >> 16
    ).astype(np.uint16)
    blocks = quantize_q8_0((bits.astype(np.uint32) << 16).view(np.float32), "w").reshape(
        -1, BLOCK_BYTES
    )
    with SafetensorsWriter(tmp_path / "model.safetensors", {"w": ("BF16", bits.shape)}) as writer:
        writer.write("w", bits.tobytes())
    model = QuantizedModel(
        "q8_0",
        StoredModel({"w": tmp_path / "model.safetensors"}),
        ["w"],
        lambda tensor, block: blocks[block].tobytes(),
        sha256(b"file"),
    )
    stage = QuantizeWeights.of(prover, model, SampleSize(12, 6))
    jobs = [stage.job(key, group) for group in groups(bytes(32), stage.tables["merged"], 12, 6)]
    with JobQueue(tmp_path / "q") as queue:
        proofs = ProofPool(queue, cluster).prove(jobs)
    assert all(verdict.ok for verdict in prover.verify(key.dir / "vk.words", proofs, 0))
    gone = [
        replace(
            job,
            request={**job.request, "file": "/nowhere/model.safetensors"},
            statement_id=bytes(32),
        )
        for job in jobs[:1]
    ]
    with JobQueue(tmp_path / "q2") as queue, pytest.raises(InputError, match="/nowhere"):
        ProofPool(queue, cluster).prove(gone)

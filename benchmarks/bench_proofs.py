"""Seconds and peak memory of the reference job's proofs.

Targets: dataset proofs <= 15 s, three epoch proofs <= 4 s.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import BATCH, CACHE, EPOCHS, RECORDS, line, prover_binary, say, server_peak_bytes

from provenance.dataset.manifest import DatasetRoot
from provenance.order import epoch_order
from provenance_zk.field import R
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import KeyFolder, ensure_keys
from provenance_zk.prover.server import ChildServer
from provenance_zk.training.jobs import EpochWitness, epoch_jobs, link_jobs, tree_jobs
from provenance_zk.workers.jobs import Job
from provenance_zk.workers.pool import proof_pool

SLOTS, TREE = 20_480, 4_096


def random_leaves(count: int) -> np.ndarray:
    """Random field elements as uint8 `(count, 32)`.

    No circuit checks that leaves are outputs of Poseidon, so random ones can be proven too.
    """
    data = np.frombuffer(secrets.token_bytes(32 * count), dtype=np.uint8).reshape(count, 32).copy()
    data[:, 0] &= 0x1F  # below r
    return data


def prove(prover: ZkProver, jobs: Sequence[Job]) -> None:
    """Make the proofs as `provenance dataset register` and `provenance prove` do."""
    with (
        tempfile.TemporaryDirectory(prefix="provenance-bench-") as folder,
        proof_pool(Path(folder) / "queue.sqlite", prover, None) as pool,
    ):
        pool.prove(jobs)


def keys(prover: ZkProver, slots: int) -> tuple[KeyFolder, KeyFolder]:
    say(f"keys for {slots} slots (cached under {CACHE})")
    return ensure_keys(prover, CACHE / "keys", "epoch", slots), ensure_keys(
        prover, CACHE / "keys", "tree", TREE, 5
    )


def main() -> None:
    epoch_key, tree_key = keys(ZkProver(prover_binary()), SLOTS)
    with ChildServer(
        prover_binary()
    ) as server:  # as `provenance dataset register` and `provenance prove` start one
        dataset_proofs(ZkProver(prover_binary(), server=server), server, epoch_key, tree_key)
    with ChildServer(prover_binary()) as server:
        epoch_proofs(ZkProver(prover_binary(), server=server), epoch_key)


def dataset_proofs(
    prover: ZkProver, server: ChildServer, epoch_key: KeyFolder, tree_key: KeyFolder
) -> None:
    leaves = random_leaves(RECORDS)
    challenge = (secrets.randbelow(R), secrets.randbelow(R))
    blinding = [1 + secrets.randbelow(R - 1)]
    trees = -(-RECORDS // TREE)
    # Any root will do. The queue only names the statement by it, and the prover computes its own.
    root = DatasetRoot(1, 5, RECORDS)
    begin = time.perf_counter()
    prover.commit_values(epoch_key.dir, "D", leaves, blinding)
    jobs = tree_jobs(tree_key, root, leaves, challenge)
    prove(prover, [*jobs, *link_jobs(epoch_key, leaves, blinding, challenge)])
    dataset_s = time.perf_counter() - begin
    peak = server_peak_bytes(server) / 2**20
    inputs = (
        f"{RECORDS} records, {trees} tree proofs of {TREE} leaves and one link, "
        f"commitments included; peak {peak:.0f} MiB"
    )
    line("dataset proofs, once", dataset_s, "s", "<= 15", dataset_s <= 15, inputs)


def epoch_proofs(prover: ZkProver, epoch_key: KeyFolder) -> None:
    leaves = random_leaves(RECORDS)
    challenge = (secrets.randbelow(R), secrets.randbelow(R))
    blinding = [1 + secrets.randbelow(R - 1)]
    begin = time.perf_counter()
    for epoch in range(EPOCHS):
        order = epoch_order(bytes(32), epoch, RECORDS)
        prover.commit_values(epoch_key.dir, "U", leaves[order.astype(np.int64)], blinding)
        prover.commit_order(epoch_key.dir, order)
        witness = EpochWitness(leaves, order, blinding, blinding)
        prove(prover, epoch_jobs(epoch_key, witness, challenge))
    epochs_s = time.perf_counter() - begin
    inputs = (
        f"{EPOCHS} epochs of {RECORDS} records in batches of {BATCH}, order, commitments, "
        "start of the prover and key loading included"
    )
    line("epoch proofs, all epochs", epochs_s, "s", "<= 4", epochs_s <= 4, inputs)

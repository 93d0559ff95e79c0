"""Proving one epoch of 1,000,000 records of a registered dataset: without its 245 tree proofs, and
with the commitments to its leaves that the registration made.

Targets: <= 45 s, <= 4 GB.
"""

from __future__ import annotations

import secrets
import time

import numpy as np
from bench_proofs import prove, random_leaves
from common import CACHE, line, prover_binary, say, server_peak_bytes

from provenance.order import epoch_order
from provenance_zk.field import R
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import ensure_keys
from provenance_zk.prover.server import ChildServer
from provenance_zk.training.jobs import EpochWitness, RegisteredD, epoch_jobs

COUNT, SLOTS = 1_000_000, 344_064


def main() -> None:
    with ChildServer(prover_binary()) as server:  # as `provenance prove` starts one
        measure(ZkProver(prover_binary(), server=server), server)


def measure(prover: ZkProver, server: ChildServer) -> None:
    say("key for 344,064 slots: takes minutes if it is not cached")
    key = ensure_keys(prover, CACHE / "keys", "epoch", SLOTS)
    leaves = random_leaves(COUNT)
    challenge = (secrets.randbelow(R), secrets.randbelow(R))
    chunks = -(-COUNT // SLOTS)
    blindings = [1 + secrets.randbelow(R - 1) for _ in range(chunks)]
    d = prover.commit_values(key.dir, "D", leaves, blindings)
    registered = [RegisteredD(*made) for made in zip(d.points, d.poks, strict=True)]
    begin = time.perf_counter()
    order = epoch_order(bytes(32), 0, COUNT)
    order_s = time.perf_counter() - begin
    begin = time.perf_counter()
    prover.commit_values(key.dir, "U", leaves[order.astype(np.int64)], blindings)
    prover.commit_order(key.dir, order)
    commit_s = time.perf_counter() - begin
    begin = time.perf_counter()
    witness = EpochWitness(leaves, order, blindings, blindings, registered)
    prove(prover, epoch_jobs(key, witness, challenge))
    prove_s = time.perf_counter() - begin
    total, peak = order_s + commit_s + prove_s, server_peak_bytes(server) / 10**9
    inputs = (
        f"{COUNT} records, {chunks} chunks; order {order_s:.1f} s, commitments "
        f"{commit_s:.1f} s, proofs {prove_s:.1f} s"
    )
    line("one epoch of 1,000,000 records", total, "s", "<= 45", total <= 45, inputs)
    line("  peak memory of the prover", peak, "GB", "<= 4", peak <= 4, inputs)

"""Jobs for the proofs of registrations and epochs, one per chunk.

The challenge is hashed from the registered or anchored commitments. So it tells a job's statement
from those of other registrations and epochs. Leaves are (N, 32) uint8; a challenge is (gamma,
delta); blindings are secret, one per chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from provenance.dataset.manifest import DatasetRoot
from provenance.ids import to_word
from provenance_zk.proof_file import ProofFile, point_bytes, point_json
from provenance_zk.prover.keys import KeyFolder
from provenance_zk.prover.request import (
    blindings_bytes,
    challenge_fields,
    leaf_bytes,
    order_bytes,
    used_bytes,
)
from provenance_zk.statements import chunk_count
from provenance_zk.workers.jobs import Job


def tree_jobs(
    key: KeyFolder, root: DatasetRoot, leaves: np.ndarray, challenge: tuple[int, int]
) -> list[Job]:
    """One job for each tree chunk that holds a leaf."""
    fields: dict[str, Any] = {
        "count": root.count,
        "depth": root.depth,
        **challenge_fields(challenge),
    }
    shared = {"leaves": leaf_bytes(leaves), **fields}
    public = {"root": to_word(root.root), **fields}
    return [
        Job.make(key, "prove-tree", {**shared, "k": k}, {**public, "k": k})
        for k in range(-(-root.count // key.slots))
    ]


def link_jobs(
    key: KeyFolder, leaves: np.ndarray, secret: Sequence[int], challenge: tuple[int, int]
) -> list[Job]:
    """One link job for each chunk: an `epoch` proof in leaf order whose U is infinity.

    Args:
        secret: the blindings of D.
    """
    public = {**challenge_fields(challenge), "count": len(leaves)}
    shared = {**public, "leaves": leaf_bytes(leaves), "blindings": blindings_bytes(d=secret)}
    return [
        Job.make(key, "prove-link", {**shared, "chunk": c}, {**public, "chunk": c})
        for c in range(chunk_count(len(leaves), key.slots))
    ]


@dataclass(frozen=True)
class EpochWitness:
    """What an epoch's proofs are made from.

    Attributes:
        leaves: of the dataset, (N, 32) uint8.
        order: a[h], shape (N,).
        d_secret: the blindings of D.
        u_secret: the blindings of U.
        registered: each chunk's D, as its link proof has it; empty to make D again, which takes a
            tenth of the time. The prover refuses one that is not of these leaves.
    """

    leaves: np.ndarray
    order: np.ndarray
    d_secret: Sequence[int]
    u_secret: Sequence[int]
    registered: Sequence[RegisteredD] = ()


@dataclass(frozen=True)
class RegisteredD:
    """The commitment to a chunk of a registered dataset, and the proof that its maker knows it.

    Attributes:
        point, knowledge: 64 bytes each.
    """

    point: bytes
    knowledge: bytes

    @classmethod
    def of_link(cls, proof: ProofFile) -> RegisteredD:
        """What a link proof is about."""
        return cls(point_bytes(proof.commitments[0]), point_bytes(proof.poks[0]))

    @property
    def field(self) -> dict[str, Any]:
        """As a job's field."""
        return {"point": point_json(self.point), "knowledge": point_json(self.knowledge)}


def epoch_jobs(key: KeyFolder, epoch: EpochWitness, challenge: tuple[int, int]) -> list[Job]:
    """One job for each chunk of an epoch."""
    public = {**challenge_fields(challenge), "count": len(epoch.leaves)}
    shared = {
        **public,
        "leaves": leaf_bytes(epoch.leaves),
        "used": used_bytes(epoch.leaves, epoch.order),
        "order": order_bytes(epoch.order),
        "blindings": blindings_bytes(d=epoch.d_secret, u=epoch.u_secret),
    }
    chunks = chunk_count(len(epoch.leaves), key.slots)
    own = [{"registered": d.field} for d in epoch.registered] or [{}] * chunks
    return [
        Job.make(key, "prove-epoch", {**shared, **own[c], "chunk": c}, {**public, "chunk": c})
        for c in range(chunks)
    ]

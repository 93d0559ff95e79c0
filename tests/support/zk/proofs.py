"""Proofs of jobs here and now, without a queue."""

from __future__ import annotations

from collections.abc import Sequence

from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.client import ZkProver
from provenance_zk.workers.jobs import Job
from provenance_zk.workers.local import LocalExecutor


def prove(prover: ZkProver, jobs: Sequence[Job]) -> list[ProofFile]:
    """The proofs of jobs of one command and key, in order; raises as the prover does."""
    proofs: dict[int, ProofFile] = {}

    def done(i: int, proof: bytes) -> None:
        proofs[i] = ProofFile.parse(proof)

    with LocalExecutor(prover) as executor:
        executor.prove(jobs, done)
    return [proofs[i] for i in range(len(jobs))]

"""Checks a run's Groth16 evidence off chain: the `ProofVerifier` that a verifier is given.

What can be recomputed is never taken from a proof file: challenges are recomputed from the anchored
facts, positions from the seed's order, products from the logged leaves, block numbers from the
draw. Only what cannot be recomputed is left to the proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from provenance.artifacts.tensors import Tensor
from provenance.verify.protocols import (
    CommittedTensors,
    EpochEvidence,
    RegistrationEvidence,
    SampleEvidence,
    Sampling,
)
from provenance_zk.checker.engine import Engine, ProverEngine, SlowEngine
from provenance_zk.checker.epochs import check_epoch
from provenance_zk.checker.registration import check_registration
from provenance_zk.checker.samples import check_samples

__all__ = ["Engine", "ProofChecker", "ProverEngine", "SlowEngine"]


class ProofChecker:
    """`provenance.verify.protocols.ProofVerifier` over an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def check_registration(self, evidence: RegistrationEvidence) -> None:
        """Check that each chunk's D commits to the leaves under the registered root."""
        check_registration(self._engine, evidence)

    def check_epoch(self, evidence: EpochEvidence) -> None:
        """Check that the logged leaves are the dataset's in the seed's order."""
        check_epoch(self._engine, evidence)

    def check_samples(self, evidence: SampleEvidence) -> Sampling:
        """Check the drawn blocks of a merge or a quantization."""
        return check_samples(self._engine, evidence)

    def commit_tensors(
        self, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
    ) -> CommittedTensors:
        """Recompute the commitments to tensors of safetensors files."""
        return self._engine.commit_tensors(files, tensors)

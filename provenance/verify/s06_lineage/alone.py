"""What log and chain alone say against a run, whatever proofs lie beside its log.

Anyone can put a false proof beside a public log. It shows nothing of the run, and accuses nobody;
a log that disagrees with the chain does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from provenance.artifacts.tensors import Tensor
from provenance.errors import InputError, MissingEvidence
from provenance.judgement.verdict import Claim
from provenance.log.anchoring import SignedHead
from provenance.log.audit.attestation import Attestation
from provenance.log.record import Record
from provenance.log.witness.kept import CosignedHead
from provenance.verify.claims import Notes, Report, Stopped
from provenance.verify.protocols import (
    CommittedTensors,
    EpochEvidence,
    Evidence,
    RegistrationEvidence,
    SampleEvidence,
    Sampling,
)
from provenance.verify.s02_chain import Chain
from provenance.verify.s05_history import check_history
from provenance.verify.s06_lineage import check_lineage
from provenance.verify.s06_lineage.found import Other
from provenance.verify.s08_proofs import check_proofs
from provenance.verify.s08_proofs.run import Run


def contradiction(other: Other, chain: Chain) -> Claim | None:
    """The first claim that fails of a run even if every proof of it is taken to verify.

    What the proofs are compared with is taken from log and chain, and compared. Nothing that holds
    here is kept: the report of this is thrown away but for what fails.
    """
    report = Report()
    verifier = replace(other.case.verifier, prover=_Granted())
    case = replace(other.case, verifier=verifier, notes=Notes(report))
    log = replace(other.log, evidence=_Alone(other.log.evidence))
    with suppress(Stopped):
        lineage = check_lineage(case, log, check_history(case, chain, log))
        check_proofs(Run(case, chain, log, lineage))
    return next((claim for claim in report.claims if claim.holds is False), None)


@dataclass(frozen=True)
class _Alone:
    """`Evidence` that has the log, and nothing else that could be wrong."""

    log: Evidence

    def records(self, most: int | None = None) -> Sequence[Record]:
        return self.log.records(most)

    def heads(self) -> Sequence[SignedHead]:
        return []

    def cosignatures(self) -> Sequence[CosignedHead]:
        return []

    def attestations(self) -> Sequence[Attestation]:
        return []

    def epoch_proofs(self, epoch: int) -> Sequence[Mapping[str, Any]]:
        return []

    def registration(self) -> Mapping[str, Any] | None:
        return {"points": [], "trees": [], "links": []}

    def sample_tables(self, stage: str, number: int) -> Mapping[str, Any] | None:
        return None

    def sample_proofs(self, stage: str, number: int) -> Sequence[Mapping[str, Any]]:
        return []

    def key_words(self, vk_id: str) -> bytes | None:
        return b""

    def key_bases(self, vk_id: str) -> bytes | None:
        return b""

    def merged(self) -> Path | None:
        return None

    def adapter(self) -> Path | None:
        return None


class _Signed(_Alone):
    """`Evidence` that has what was signed of heads and of training, and nothing else."""

    def records(self, most: int | None = None) -> Sequence[Record]:
        raise InputError("the records of this folder are judged apart")

    def heads(self) -> Sequence[SignedHead]:
        return self.log.heads()

    def cosignatures(self) -> Sequence[CosignedHead]:
        return self.log.cosignatures()

    def attestations(self) -> Sequence[Attestation]:
        return self.log.attestations()


def signed_of(evidence: Evidence) -> Evidence:
    """What was signed of heads and of training, from evidence of which nothing else is read."""
    return _Signed(evidence)


class _Granted:
    """A `ProofVerifier` that finds no fault, for what is compared before a proof is checked."""

    def check_registration(self, evidence: RegistrationEvidence) -> None:
        """Granted."""

    def check_epoch(self, evidence: EpochEvidence) -> None:
        """Granted."""

    def check_samples(self, evidence: SampleEvidence) -> Sampling:
        _no_weights()

    def commit_tensors(
        self, files: Sequence[Path], tensors: Sequence[tuple[str, Tensor]]
    ) -> CommittedTensors:
        _no_weights()


def _no_weights() -> NoReturn:
    raise MissingEvidence("log and chain alone hold no tables of weights")

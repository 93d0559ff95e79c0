"""One verification: what is asked, who asks, and what the steps write into."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provenance.digest import Digest
from provenance.ids import RunId
from provenance.judgement.facts import ChainReader
from provenance.judgement.policy import Policy
from provenance.judgement.trust import Trust
from provenance.verify.claims import Notes
from provenance.verify.protocols import (
    DataChecker,
    EvidenceSource,
    FormatInspector,
    NonceOpening,
    ProofVerifier,
    TrainingReplayer,
)


def now() -> datetime.datetime:
    """This machine's time, in UTC."""
    return datetime.datetime.now(datetime.UTC)


_RUN_ID = re.compile(r"(0x)?([0-9a-fA-F]{64})")


MAX_ATTEMPTS = 8
"""How many folders that hold one run's log are tried."""
MAX_RUNS = 4
"""How many runs that released one file are judged of each publisher."""


@dataclass(frozen=True)
class Artifact:
    """A model file by digest; `path` and `metadata` only if the file is at hand.

    metadata: what the file says about itself (attacker-controlled).
    """

    digest: Digest
    name: str
    path: Path | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def claimed_run(self) -> RunId | None:
        """The run that the file says it is from; None where it says none, or nonsense."""
        found = _RUN_ID.fullmatch(self.metadata.get("provenance.run_id", ""))
        return RunId(bytes.fromhex(found[2])) if found else None


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """Who asks: what they believe, what they require, and what they work with.

    reader, source: where chain facts and evidence come from; their answers are attacker-controlled.
    inspector: None if files are judged by digest only.
    clock: the time by which trust file and final block may be too old.
    """

    trust: Trust
    reader: ChainReader
    source: EvidenceSource
    prover: ProofVerifier
    inspector: FormatInspector | None = None
    policy: Policy = field(default_factory=Policy)
    clock: Callable[[], datetime.datetime] = now


@dataclass(frozen=True)
class Options:
    """What the caller adds to one question.

    release: the run that the artifact is said to be from.
    base: a folder with the base model.
    data: recomputes batches, for a caller who has the dataset and its salts.
    openings: proofs of blocks at the caller's own nonce, by stage (`merge`, `quantize`).
    replayer: trains again, for a caller who has base and dataset.
    """

    release: RunId | None = None
    base: Path | None = None
    data: DataChecker | None = None
    openings: Mapping[str, NonceOpening] = field(default_factory=dict)
    replayer: TrainingReplayer | None = None


@dataclass(frozen=True)
class Case:
    """One question to one verifier. Steps read it, and write what they find into `notes`.

    attempt: which of the folders that hold the run's log is the evidence, from 0.
    followed: which of the runs that released the artifact is judged; None for the first.
    """

    artifact: Artifact
    verifier: Verifier
    options: Options
    notes: Notes
    attempt: int = 0
    followed: RunId | None = None

    @property
    def file(self) -> tuple[FormatInspector, Path] | None:
        """The file and who can read it; None where only its digest is known, or nobody can."""
        inspector, path = self.verifier.inspector, self.artifact.path
        return None if inspector is None or path is None else (inspector, path)

"""What the edge hands to the application: trust, evidence folders, access to chain and prover."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from provenance.judgement.facts import ChainReader
from provenance.judgement.policy import Policy
from provenance.judgement.trust import Trust
from provenance.verify.protocols import ProofVerifier
from provenance_api.db import Database


@dataclass(frozen=True)
class Limits:
    """Bounds of one process.

    id_chars: Longest model id.
    cache_entries: Verdicts kept.
    fresh_s: Seconds for which a verdict is served without a look at chain and evidence. A
        revocation shows at most that much later.
    reindex_s: Least seconds between two scans of the evidence folders.
    workers: Verifications at a time.
    queue: Verifications that may wait; beyond them the answer is 503.
    """

    id_chars: int = 512
    cache_entries: int = 256
    fresh_s: float = 1.0
    reindex_s: float = 2.0
    workers: int = 2
    queue: int = 64


@dataclass(frozen=True)
class AppState:
    """Composition of a service.

    trust_bytes: The trust file as the operator wrote it.
    reader, prover: Called per verification, so that a part that was down is found again. Either may
        raise UnavailableError.
    """

    trust: Trust
    trust_bytes: bytes
    database: Database
    folders: tuple[Path, ...]
    reader: Callable[[], ChainReader]
    prover: Callable[[], ProofVerifier]
    policy: Policy = field(default_factory=Policy)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Make the folders absolute: `Redaction` knows a path in a text by its whole length."""
        object.__setattr__(self, "folders", tuple(folder.absolute() for folder in self.folders))

"""What the command line hands to the application: settings, and access to chain and prover."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from provenance.chain.lookup import ChainLookup
from provenance.judgement.facts import ChainReader
from provenance.judgement.policy import Policy
from provenance.judgement.trust import Trust
from provenance.verify.protocols import ProofVerifier
from provenance_api.db import DEFAULT_TENANT, Database
from provenance_api.db.rows import MOST_NAME
from provenance_api.tenants.shelf import Shelf


class PageReader(ChainReader, Protocol):
    """Reads a chain for verdicts and for pages."""

    def lookup(self) -> ChainLookup:
        """Transactions, blocks and events. Raises UnavailableError, as everything here does."""
        ...


@dataclass(frozen=True)
class Limits:
    """Limits of one process.

    id_chars: Characters of the longest model id.
    cache_entries: How many verdicts are kept.
    fresh_s: Seconds for which a kept verdict is served before chain and evidence are checked
        again. A revocation is shown at most this much later.
    reindex_s: Least seconds between two scans of the evidence folders.
    workers: Verifications that run at a time.
    queue: Verifications that may run or wait. Beyond them the answer is 503.
    inbox_bytes: What the pushed runs of one tenant may take.
    """

    id_chars: int = MOST_NAME
    cache_entries: int = 256
    fresh_s: float = 1.0
    reindex_s: float = 2.0
    workers: int = 2
    queue: int = 64
    inbox_bytes: int = 64 << 30


@dataclass(frozen=True)
class AppState:
    """The parts of a service.

    folders: Evidence of the tenant `default`.
    others: Evidence of named tenants. With any, requests show by a token for whom they act, and
        without one see what was released; with none, everybody acts for `default`.
    inbox: Folder of what tenants push, with one in it for each; None for a service that takes none.
    trust_bytes: The trust file as the operator wrote it.
    reader, prover: Called for each verification, so that a part that was down is found again.
        Either may raise UnavailableError.
    """

    trust: Trust
    trust_bytes: bytes
    database: Database
    folders: tuple[Path, ...]
    reader: Callable[[], PageReader]
    prover: Callable[[], ProofVerifier]
    policy: Policy = field(default_factory=Policy)
    limits: Limits = field(default_factory=Limits)
    others: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    inbox: Path | None = None
    shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        """Make the folders absolute: `Redaction` knows a path in a text by its whole length."""
        folders = tuple(folder.absolute() for folder in self.folders)
        others = {t: tuple(f.absolute() for f in each) for t, each in self.others.items()}
        inbox = None if self.inbox is None else self.inbox.absolute()
        object.__setattr__(self, "folders", folders)
        object.__setattr__(self, "others", others)
        object.__setattr__(self, "inbox", inbox)
        each = {tenant: self._evidence_of(tenant) for tenant in self.served}
        object.__setattr__(self, "shelf", Shelf(each, several=bool(others)))

    @property
    def served(self) -> list[str]:
        """Tenants that this service has folders of."""
        default = [DEFAULT_TENANT] if self.folders or not self.others else []
        return [*default, *self.others]

    def _evidence_of(self, tenant: str) -> tuple[Path, ...]:
        given = self.folders if tenant == DEFAULT_TENANT else self.others[tenant]
        return given if self.inbox is None else (*given, self.inbox / tenant)

    @property
    def visitor(self) -> str | None:
        """For whom a request without a token acts; None for nobody."""
        return None if self.others else DEFAULT_TENANT

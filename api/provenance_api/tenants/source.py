"""The evidence by which a verdict for a tenant, or for nobody, is made.

A tenant's own folders count as any verifier's do. Another tenant's folder of a released run is a
stranger's: it may show something, and what the run's key signed counts wherever it lies. But a
journal that is not the run's by the chain accuses nobody.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from provenance.errors import (
    InputError,
    MissingEvidence,
    ProvenanceError,
    UnavailableError,
    VerificationError,
)
from provenance.ids import RunId
from provenance.judgement.facts import ChainReader, ChainSnapshot
from provenance.layout import RunFolder
from provenance.log.record import Record
from provenance.log.tree import require_log
from provenance.verify.sources.evidence import FolderEvidence, FolderSource
from provenance_api.tenants.shelf import Shelf

Faults = dict[Path, ProvenanceError | None]


def records_beyond(evidence: FolderEvidence, chain: ChainSnapshot) -> int | None:
    """How many records a journal (attacker-controlled) has after the log that the chain has.

    None if it does not begin with the whole of that log, or the chain has none.

    Raises:
        UnavailableError: the chain does not answer.
    """
    run_id = evidence.named_run()
    run = None if run_id is None else chain.run(run_id)
    if run is None or run.size == 0:
        return None
    try:
        records = evidence.records()
        require_log(records, run.size, run.root, "the newest head")
    except ProvenanceError:
        return None
    return len(records) - run.size


def require_beginning(records: Sequence[Record], run_id: RunId, chain: ChainSnapshot) -> None:
    """Check that records (attacker-controlled) are a run's, as far as the chain has its log.

    Raises:
        VerificationError: they begin otherwise than the run, or are not the log under the last head
            that they reach.
        UnavailableError: the chain does not answer.
    """
    run = chain.run(run_id)
    if run is None or not records or records[0].digest != run.preregistration:
        raise VerificationError("journal begins otherwise than the run", where="record 0")

    def size(seq: int) -> int:
        head = chain.head(run_id, seq)
        return 0 if head is None else head.size

    seq = bisect_right(range(1, run.seq + 1), len(records), key=size)
    head = chain.head(run_id, seq) if seq else None
    if head is not None:
        require_log(records, head.size, head.root, f"head {seq}")


class Lent(FolderEvidence):
    """`Evidence` in the folder of a tenant other than whoever asks.

    Args:
        faults: what was found wrong with journals before, by folder; one verification shares it.
    """

    def __init__(self, folder: RunFolder, chain: ChainReader, faults: Faults) -> None:
        super().__init__(folder)
        self._chain, self._faults = chain, faults

    def records(self, most: int | None = None) -> Sequence[Record]:
        """As `FolderEvidence`; a journal that is damaged, or not the run's, is missing.

        Raises:
            MissingEvidence: as said.
            UnavailableError: the chain does not answer.
        """
        root = self.folder.root
        if root not in self._faults:
            self._faults[root] = self._fault_of_journal()
        if (fault := self._faults[root]) is not None:
            raise MissingEvidence(
                "a released folder that names the run does not hold its log",
                where="provenance/journal",
                actual=fault.what,
            )
        return super().records(most)

    def _fault_of_journal(self) -> ProvenanceError | None:
        run_id = self.named_run()
        try:
            records = super().records()
            if run_id is not None:
                require_beginning(records, run_id, self._chain.final())
        except UnavailableError:
            raise
        except ProvenanceError as error:
            return error
        return None


class SeenSource(FolderSource):
    """Finds the evidence that a tenant, or nobody, may read. One verification owns it.

    Args:
        tenant: None for nobody.
        chain: with which folders of others are compared.
        without: a tenant whose folders are left out.
    """

    def __init__(
        self, shelf: Shelf, tenant: str | None, chain: ChainReader, without: str | None = None
    ) -> None:
        super().__init__(())
        self._shelf, self._tenant, self._chain, self._without = shelf, tenant, chain, without
        self._faults: Faults = {}
        self._whole: dict[Path, bool] = {}
        self.lenders: set[str] = set()
        """Other tenants who have a folder of a run that was asked for, if not they alone have."""

    @cached_property
    def _seen(self) -> list[tuple[str, RunFolder]]:
        seen = self._shelf.seen_by(self._tenant)
        return [(owner, folder) for owner, folder in seen if owner != self._without]

    def runs(self) -> list[RunFolder]:
        """Every run folder that may be read, each once."""
        return [folder for _, folder in self._seen]

    def candidates(self, run_id: RunId) -> list[FolderEvidence]:
        """As `FolderSource`; of another tenant one folder of a run."""
        found: list[FolderEvidence] = []
        owners = set[str]()
        for owner, evidence in self._evidence():
            of_run = (evidence.named_run() or evidence.drawn_for()) == run_id
            if of_run and self._is_whole(owner, evidence.folder):
                owners.add(owner)
                found.append(evidence)
        if len(owners) > 1:
            self.lenders |= owners - {self._tenant}
        return found

    def makers(self, artifact: str) -> list[FolderEvidence]:
        """As `FolderSource`; of another tenant one folder of a run."""
        return [
            evidence
            for owner, evidence in self._evidence()
            if evidence.names(artifact) and self._is_whole(owner, evidence.folder)
        ]

    def _is_whole(self, owner: str, folder: RunFolder) -> bool:
        """Whether a folder holds no link. It is looked at once."""
        if folder.root not in self._whole:
            self._whole[folder.root] = False
            with suppress(InputError):
                self._shelf.require_own(owner, folder)
                self._whole[folder.root] = True
        return self._whole[folder.root]

    def _evidence(self) -> Iterator[tuple[str, FolderEvidence]]:
        for owner, folder in self._seen:
            own = owner == self._tenant
            yield owner, FolderEvidence(folder) if own else Lent(folder, self._chain, self._faults)

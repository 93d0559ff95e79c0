"""What the pinned chain says, in a final block, of the registration that a statement is about.

It never stands in for the check of a proof: a revocation refuses what was proven, and what the
contract of audits shows is told beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from provenance.digest import Digest
from provenance.ids import DatasetId
from provenance.judgement.facts import ChainSnapshot, Revocation
from provenance.judgement.trust import Trust


@dataclass(frozen=True)
class ChainWitness:
    """A registration in one final block.

    Attributes:
        revokers: addresses whose revocation counts: who registered the dataset, and the trusted
            publishers.
        audits: address of the pinned contract of audits, None if the trust file names none.
    """

    snapshot: ChainSnapshot
    dataset_id: DatasetId
    revokers: tuple[str, ...]
    audits: str | None

    @classmethod
    def of(
        cls, snapshot: ChainSnapshot, trust: Trust, dataset_id: DatasetId, owner: str
    ) -> ChainWitness:
        """The witness that a trust file makes of a snapshot; `owner` registered the dataset."""
        publishers: Iterable[str] = (publisher.address for publisher in trust.publishers)
        audits = trust.addresses.get("audits")
        return cls(snapshot, dataset_id, tuple(sorted({owner, *publishers})), audits)

    @property
    def block(self) -> int:
        """Number of the final block."""
        return self.snapshot.block.number

    def revocation(self) -> Revocation | None:
        """The revocation of the registration by anybody whose word counts."""
        found = (
            self.snapshot.dataset_revocation(self.dataset_id, address) for address in self.revokers
        )
        return next((revocation for revocation in found if revocation is not None), None)

    def shows(self, kind: str, digest: Digest) -> bool:
        """Whether the pinned contract accepted a proof of the same `member` or `absent`."""
        return self.snapshot.is_shown(self.dataset_id, kind, bytes(digest))

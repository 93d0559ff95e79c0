"""What the pinned chain says, in a final block, about a dataset's registration.

It never replaces the check of a proof. A revocation on chain refuses a statement that was proven;
what the contract of audits accepted is a claim of its own.
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
        revokers: addresses whose revocation counts: the owner who registered the dataset, and the
            trusted publishers.
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
        """What a verifier with this trust file asks of a snapshot.

        Args:
            owner: address that registered the dataset.
        """
        publishers: Iterable[str] = (publisher.address for publisher in trust.publishers)
        audits = trust.addresses.get("audits")
        return cls(snapshot, dataset_id, tuple(sorted({owner, *publishers})), audits)

    @property
    def block(self) -> int:
        """Number of the final block."""
        return self.snapshot.block.number

    def revocation(self) -> Revocation | None:
        """The revocation of the registration by one of `revokers`; None if there is none."""
        found = (
            self.snapshot.dataset_revocation(self.dataset_id, address) for address in self.revokers
        )
        return next((revocation for revocation in found if revocation is not None), None)

    def shows(self, kind: str, digest: Digest) -> bool:
        """Whether the pinned contract accepted a proof of this kind about this digest.

        Args:
            kind: `member` or `absent`.
        """
        return self.snapshot.is_shown(self.dataset_id, kind, bytes(digest))

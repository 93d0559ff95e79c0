"""The contract of dataset audits as proving sees it;

`provenance.chain.session.Session` is the real one.
"""

from __future__ import annotations

from typing import Any, Protocol

from provenance.chain.calls import SortedProof
from provenance.ids import DatasetId, KeyId
from provenance.judgement.facts import ChainSnapshot


class AuditLedger(Protocol):
    """Writes that may each be repeated: what the chain has already is found, not sent again.

    `proof` is what `provenance_zk.training.ledger.calldata` makes of a proof file.
    """

    def prove_sorted(self, dataset_id: DatasetId, vk_id: KeyId, chunk: SortedProof) -> Any: ...
    def prove_member(
        self, dataset_id: DatasetId, vk_id: KeyId, digest: bytes, proof: Any
    ) -> Any: ...
    def prove_absent(
        self, dataset_id: DatasetId, vk_id: KeyId, digest: bytes, proof: Any
    ) -> Any: ...
    def latest(self) -> ChainSnapshot: ...
    def final(self, receipt: Any) -> None: ...

"""What statements about datasets need of the contract `DatasetAudits`.

`provenance.chain.session.Session` is the real implementation.
"""

from __future__ import annotations

from typing import Any, Protocol

from provenance.chain.calls import SortedProof
from provenance.ids import DatasetId, KeyId
from provenance.judgement.facts import ChainSnapshot
from provenance_zk.audits.statement_file import Statement


class AuditLedger(Protocol):
    """Writes to the contract. Each may be repeated: what the chain already has is not sent again.

    `proof` is `ProofFile.calldata` of a proof. Every write raises RejectedError if the contract
    refuses it, and UnavailableError if the chain is out of reach.
    """

    def prove_sorted(self, dataset_id: DatasetId, vk_id: KeyId, chunk: SortedProof) -> Any:
        """Submit the proof of one chunk of the sorted set; returns a receipt."""
        ...

    def prove_member(self, dataset_id: DatasetId, vk_id: KeyId, digest: bytes, proof: Any) -> Any:
        """Submit the proof that a record is in the dataset; returns a receipt."""
        ...

    def prove_absent(self, dataset_id: DatasetId, vk_id: KeyId, digest: bytes, proof: Any) -> Any:
        """Submit the proof that no record has this digest; returns a receipt."""
        ...

    def latest(self) -> ChainSnapshot:
        """The newest state."""
        ...

    def final(self, receipt: Any) -> None:
        """Wait until a receipt's block is final."""
        ...


def send_statement(ledger: AuditLedger, dataset_id: DatasetId, statement: Statement) -> Any:
    """Have the contract check a statement; returns a receipt."""
    proof, vk_id = statement.proof, statement.proof.vk_id
    if statement.digest is None:
        first, following = proof.public_value("first"), proof.public_value("next")
        chunk = SortedProof(statement.chunk, first, following, proof.calldata())
        return ledger.prove_sorted(dataset_id, vk_id, chunk)
    prove = ledger.prove_member if statement.kind == "member" else ledger.prove_absent
    return prove(dataset_id, vk_id, bytes(statement.digest), proof.calldata())

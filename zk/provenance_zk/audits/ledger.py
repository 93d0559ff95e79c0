"""What statements about datasets need of the contract `DatasetAudits`.

`provenance.chain.session.Session` is the real implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from provenance.chain.calls import SortedProof
from provenance.errors import InputError
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
    """Have the contract check a statement; returns a receipt.

    Raises:
        InputError: the contract checks no statement of this kind.
    """
    if statement.kind not in _SENDERS:
        raise InputError(
            "contract checks no statement of this kind",
            expected=", ".join(_SENDERS),
            actual=statement.kind[:40],
        )
    return _SENDERS[statement.kind](ledger, dataset_id, statement)


def _send_sorted(ledger: AuditLedger, dataset_id: DatasetId, statement: Statement) -> Any:
    proof = statement.proof
    first, following = proof.public_value("first"), proof.public_value("next")
    chunk = SortedProof(statement.chunk, first, following, proof.calldata())
    return ledger.prove_sorted(dataset_id, proof.vk_id, chunk)


def _send_member(ledger: AuditLedger, dataset_id: DatasetId, statement: Statement) -> Any:
    proof, digest = statement.proof, bytes(statement.require_digest())
    return ledger.prove_member(dataset_id, proof.vk_id, digest, proof.calldata())


def _send_absent(ledger: AuditLedger, dataset_id: DatasetId, statement: Statement) -> Any:
    proof, digest = statement.proof, bytes(statement.require_digest())
    return ledger.prove_absent(dataset_id, proof.vk_id, digest, proof.calldata())


_SENDERS: Mapping[str, Callable[[AuditLedger, DatasetId, Statement], Any]] = {
    "sorted": _send_sorted,
    "member": _send_member,
    "absent": _send_absent,
}

"""What an owner's proofs need of the contract `ModelLedger`.

`provenance.chain.session.Session` is the real implementation. Fields have the order of the
contract's structs (contracts/interfaces/IModelLedger.sol).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from provenance.ids import KeyId, RunId
from provenance.judgement.facts import ChainSnapshot


@dataclass(frozen=True)
class TablePath:
    """Root of a tensor's tree, and the path from the tensor's entry to its table's root."""

    root: int
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Sample:
    """One proof about a group of draws of a tensor, as the contract takes it.

    Attributes:
        tensor: its place in the merged table.
        group: number of the group: draws group*slots to group*slots + slots - 1.
        tables: paths of the base tensor, A, B and the merged tensor for a merge; of the merged
            tensor alone for a quantization.
        proof: `ProofFile.calldata` of the proof.
        codes: the code words among its public inputs; none for a merge.
        rank: number of rows of A; 0 for a quantization.
    """

    tensor: int
    group: int
    vk_id: KeyId
    name: str
    rows: int
    columns: int
    tables: tuple[TablePath, ...]
    proof: Any
    codes: tuple[int, ...] = ()
    rank: int = 0

    def calldata(self) -> Any:
        """The contract's struct."""
        return (
            self.tensor,
            self.group,
            self.vk_id,
            self.name,
            self.rows,
            self.columns,
            self.rank,
            [(table.root, list(table.path)) for table in self.tables],
            list(self.codes),
            self.proof,
        )


class ModelLedger(Protocol):
    """Writes to the contract. Each may be repeated: what the chain already has is not sent again.

    Stages are numbered 1 (merge) and 2 (quantize). Every write raises RejectedError if the contract
    refuses it, and UnavailableError if the chain is out of reach.
    """

    def anchor_model(self, run_id: RunId, stage: int, anchoring: Any) -> int:
        """Anchor a stage by `Anchoring.calldata`; returns the number of the anchoring."""
        ...

    def draw_model(self, run_id: RunId, stage: int, number: int) -> bytes:
        """Wait for the draw; returns its 32-byte seed."""
        ...

    def prove_samples(
        self, run_id: RunId, stage: int, number: int, items: Sequence[Any], previous: str
    ) -> Any:
        """Submit proofs under one key, in order, each as `Sample.calldata`; returns a receipt.

        Args:
            previous: name of the tensor before that of the first item; empty if there is none.
        """
        ...

    def latest(self) -> ChainSnapshot:
        """The newest state."""
        ...

    def final(self, receipt: Any) -> None:
        """Wait until a receipt's block is final."""
        ...

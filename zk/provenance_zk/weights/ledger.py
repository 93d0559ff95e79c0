"""The contract of anchored models as an owner's proofs see it.

`provenance.chain.session.Session` is the real one. The order of fields is that of the contract's
structs (contracts/interfaces/IModelLedger.sol).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from provenance.ids import KeyId, RunId
from provenance.judgement.facts import ChainSnapshot


@dataclass(frozen=True)
class TablePath:
    """Root of a tensor's tree, and the path from the tensor's entry to its table's root.

    The contract calls it `Opening`.
    """

    root: int
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Sample:
    """One proof: draws group*slots and on of a tensor.

    Attributes:
        tensor: its place in the merged table.
        tables: of base, A, B and merged for a merge, of merged alone for a quantization.
        proof: `ProofFile.calldata` of the proof.
        codes: its code words; none for a merge.
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
    """Writes that may each be repeated: what the chain has already is found, not sent again.

    Stages are numbered 1 (merge) and 2 (quantize). Raises (every write): RejectedError if the
    contract refuses it; UnavailableError if the chain is out of reach.
    """

    def anchor_model(self, run_id: RunId, stage: int, anchoring: Any) -> int:
        """Anchor a stage by `Anchoring.calldata`; returns the number of the anchoring."""
        ...

    def draw_model(self, run_id: RunId, stage: int, number: int) -> bytes:
        """Wait for the draw; returns its 32-byte seed."""
        ...

    def prove_samples(self, run_id: RunId, stage: int, number: int, items: Sequence[Any]) -> Any:
        """Submit `Sample.calldata` of proofs under one key, in order; returns a receipt."""
        ...

    def latest(self) -> ChainSnapshot:
        """The newest state."""
        ...

    def final(self, receipt: Any) -> None:
        """Wait until a receipt's block is final."""
        ...

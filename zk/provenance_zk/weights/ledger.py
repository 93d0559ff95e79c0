"""The contract of anchored models as proving sees it;

`provenance.chain.session.Session` is the real one.

The order of fields is that of the contract's structs (contracts/interfaces/IModelLedger.sol).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from provenance.ids import RunId
from provenance.judgement.facts import ChainSnapshot


@dataclass(frozen=True)
class Opening:
    """Root of a tensor's tree, and the path from the tensor's entry to its table's root."""

    root: int
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Sample:
    """One proof: draws group*slots and on of tensor `tensor` (its place in the merged table).

    `rank` is A's number of rows, `openings` are base, A, B and merged in stage 1; rank 0 and merged
    only in stage 2. `proof` is what `provenance_zk.training.ledger.calldata` makes of a proof file,
    `codes` its code words.
    """

    tensor: int
    group: int
    vk_id: bytes
    name: str
    rows: int
    columns: int
    openings: tuple[Opening, ...]
    proof: Any
    codes: tuple[int, ...] = ()
    rank: int = 0

    def calldata(self) -> Any:
        openings = [(opening.root, list(opening.path)) for opening in self.openings]
        return (
            self.tensor,
            self.group,
            self.vk_id,
            self.name,
            self.rows,
            self.columns,
            self.rank,
            openings,
            list(self.codes),
            self.proof,
        )


class ModelLedger(Protocol):
    """Writes that may each be repeated: what the chain has already is found, not sent again."""

    def anchor_model(self, run_id: RunId, stage: int, anchoring: Any) -> int: ...
    def draw_model(self, run_id: RunId, stage: int, number: int) -> bytes: ...
    def prove_samples(
        self, run_id: RunId, stage: int, number: int, items: Sequence[Any]
    ) -> Any: ...
    def latest(self) -> ChainSnapshot: ...
    def final(self, receipt: Any) -> None: ...

"""The contract of anchored models as proving sees it; `provenance._chain.session.Session` is the real one.

The order of fields is that of the contract's structs (contracts/interfaces/IModelLedger.sol).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from provenance.facts import ZERO_WORD, ChainSnapshot, TableFacts
from provenance_zk.kinds import KINDS

MERGE_STAGE, QUANTIZE_STAGE = 1, 2
MIN_DRAWS = 2  # of each tensor
NO_TABLE = TableFacts(ZERO_WORD, 0)


@dataclass(frozen=True)
class ModelAnchoring:
    """What a stage anchors. In stage 2 only `merged` is a table and `scale` is 0; `artifact` is the digest's 32 bytes."""

    merged: TableFacts
    artifact: bytes
    kind: str
    slots: int
    draws: int
    blocks: int
    base: TableFacts = NO_TABLE
    adapter: TableFacts = NO_TABLE
    scale: int = 0

    @property
    def stage(self) -> int:
        return MERGE_STAGE if self.kind == "merge" else QUANTIZE_STAGE

    def calldata(self) -> Any:
        tables = tuple((table.root, table.entries) for table in (self.base, self.adapter, self.merged))
        return (*tables, self.artifact, KINDS[self.kind].number, self.slots, self.scale, self.draws, self.blocks)

    def groups(self, blocks: int) -> int:
        """Proofs that a tensor with so many blocks takes."""
        drawn = max(MIN_DRAWS, -(-self.draws * blocks // self.blocks))
        return -(-drawn // self.slots)


@dataclass(frozen=True)
class Opening:
    """Root of a tensor's tree, and the path from the tensor's entry to its table's root."""

    root: int
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Sample:
    """One proof: draws group*slots and on of tensor `tensor` (its place in the merged table).

    `rank` is A's number of rows, `openings` are base, A, B and merged in stage 1; rank 0 and merged only in stage 2. `proof` is
    what `provenance_zk.ledger.calldata` makes of a proof file, `codes` its code words.
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
        return (self.tensor, self.group, self.vk_id, self.name, self.rows, self.columns, self.rank, openings, list(self.codes), self.proof)


class ModelLedger(Protocol):
    """Writes that may each be repeated: what the chain has already is found, not sent again."""

    def anchor_model(self, run_id: bytes, stage: int, anchoring: Any) -> int: ...
    def draw_model(self, run_id: bytes, stage: int, number: int) -> bytes: ...
    def prove_samples(self, run_id: bytes, stage: int, number: int, items: Sequence[Any]) -> Any: ...
    def latest(self) -> ChainSnapshot: ...
    def final(self, receipt: Any) -> None: ...

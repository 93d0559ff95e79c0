"""What a chain says, as values: the types that verification reads and the protocols it needs from the chain adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

ZERO_WORD = bytes(32)


@dataclass(frozen=True)
class BlockRef:
    """A block: number, hash (32 bytes), time in Unix seconds."""

    number: int
    hash: bytes
    timestamp: int


@dataclass(frozen=True)
class ChainIdentity:
    """Which chain and code answered: addresses and code hashes are lower-case 0x hex."""

    chain_id: int
    genesis: str
    registry: str
    registry_code_hash: str
    ledger: str
    ledger_code_hash: str


@dataclass(frozen=True)
class RunFacts:
    run_id: bytes
    owner: str
    draw_block: int
    seq: int
    size: int
    root: bytes
    preregistration: bytes
    dataset_id: bytes
    seed: bytes


@dataclass(frozen=True)
class HeadFacts:
    root: bytes
    size: int
    block_number: int
    timestamp: int


@dataclass(frozen=True)
class ClaimFacts:
    """A release on chain: record `index` of run `run_id` names the model, under head `seq`."""

    run_id: bytes
    owner: str
    seq: int
    index: int
    block_number: int
    revoked_block: int
    manifest: bytes
    record: bytes


@dataclass(frozen=True)
class DatasetFacts:
    """A registration of a dataset with one pair of keys. `slots` is n, `chunks` is m."""

    owner: str
    epoch_key: bytes
    tree_key: bytes
    root: int
    depth: int
    count: int
    slots: int
    chunks: int
    finished: bool
    link_seed: bytes
    d_hash: bytes


@dataclass(frozen=True)
class AnchoringFacts:
    """One numbered anchoring of an epoch. Its points are not stored: `seed` hashes them with everything else it binds."""

    dataset_id: bytes
    seed: bytes
    consumed: int
    log_size: int
    log_root: bytes
    accepted: bool
    block_number: int


@dataclass(frozen=True)
class ModelAnchoringFacts:
    """One numbered anchoring of a run's merge or quantization. Tables are (root, entries), zero where the stage has none.

    `kind` is the number of the key kind, `seed` the draw's (zero until drawn), `draw_block` the block whose hash makes it, `void` a
    missed window. `log_size`, `log_root` are those of the run's log at anchoring.
    """

    base: tuple[bytes, int]
    adapter: tuple[bytes, int]
    merged: tuple[bytes, int]
    artifact: bytes
    kind: int
    slots: int
    scale: int
    draws: int
    blocks: int
    log_size: int
    log_root: bytes
    block_number: int
    draw_block: int
    seed: bytes
    accepted: bool
    void: bool


@dataclass(frozen=True)
class Revocation:
    block_number: int
    reason: str


class ChainSnapshot(Protocol):
    """The contracts' state at one block. Absent things come back as None.

    Raises (every method): UnavailableError if the chain does not answer or answers with bytes that are not the contract's.
    """

    @property
    def block(self) -> BlockRef: ...
    def run(self, run_id: bytes) -> RunFacts | None: ...
    def head(self, run_id: bytes, seq: int) -> HeadFacts | None: ...
    def claims(self, model: bytes) -> list[ClaimFacts]: ...
    def revocation(self, run_id: bytes, index: int) -> Revocation | None: ...
    def dataset_revocation(self, dataset_id: bytes, owner: str) -> Revocation | None: ...
    def dataset(self, dataset_id: bytes) -> DatasetFacts | None: ...
    def anchoring(self, run_id: bytes, epoch: int, number: int) -> AnchoringFacts | None: ...
    def anchoring_count(self, run_id: bytes, epoch: int) -> int: ...
    def model_anchoring(self, run_id: bytes, stage: int, number: int) -> ModelAnchoringFacts | None: ...
    def model_anchoring_count(self, run_id: bytes, stage: int) -> int: ...
    def runs_of(self, owner: str) -> list[bytes]: ...


class ChainReader(Protocol):
    """Reads a chain for a verifier. `final` is what may count as verified, `latest` only tells what is pending."""

    def identity(self) -> ChainIdentity: ...
    def final(self) -> ChainSnapshot: ...
    def latest(self) -> ChainSnapshot: ...
    def block(self, number: int) -> BlockRef: ...

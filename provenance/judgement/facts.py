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
    audits: str | None = None  # None where the reader was not told of one
    audits_code_hash: str | None = None
    models: str | None = None
    models_code_hash: str | None = None


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
class TableFacts:
    """A table of tensors: RFC 6962 root over `entries` entries; zeros where the stage has none."""

    root: bytes
    entries: int


@dataclass(frozen=True)
class ModelAnchoringFacts:
    """One numbered anchoring of a stage (1 merge, 2 quantize): what was anchored, its draw, how far its proofs are.

    `seed` is zero before the draw; `codes_hash` binds all accepted codes and must be recomputed from the file
    (docs/formats/statements.md). A `void` anchoring missed its draw: nothing is ever proven of it, and it counts.
    """

    base: TableFacts
    adapter: TableFacts
    merged: TableFacts
    artifact: bytes
    kind: int
    slots: int
    scale: int
    draws: int
    blocks: int
    seed: bytes
    codes_hash: bytes
    log_root: bytes
    log_size: int
    block_number: int
    draw_block: int
    next_tensor: int
    next_group: int
    blocks_proved: int
    accepted: bool
    void: bool


@dataclass(frozen=True)
class Revocation:
    block_number: int
    reason: str


class ChainSnapshot(Protocol):
    """The contracts' state at one block. Absent things come back as None; a contract that the trust file does not name says
    nothing: no dataset is sorted, no record shown and no model anchored there. `kind` is `member` or `absent`.

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
    def runs_of(self, owner: str) -> list[bytes]: ...
    def sorted_complete(self, dataset_id: bytes, vk_id: bytes) -> bool: ...
    def is_sorted(self, dataset_id: bytes) -> bool: ...
    def is_shown(self, dataset_id: bytes, kind: str, digest: bytes) -> bool: ...
    def model_anchoring(
        self, run_id: bytes, stage: int, number: int
    ) -> ModelAnchoringFacts | None: ...
    def model_anchoring_count(self, run_id: bytes, stage: int) -> int: ...


class ChainReader(Protocol):
    """Reads a chain for a verifier. `final` is what may count as verified, `latest` only tells what is pending."""

    def identity(self) -> ChainIdentity: ...
    def final(self) -> ChainSnapshot: ...
    def latest(self) -> ChainSnapshot: ...
    def block(self, number: int) -> BlockRef: ...

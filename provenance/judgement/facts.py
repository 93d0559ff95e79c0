"""What a chain says, as values, and the protocols through which a verifier asks it.

Everything here comes from an endpoint that an attacker may run. The verifier compares
`ChainIdentity` with the trust file before it uses the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from provenance.ids import Address, DatasetId, KeyId, RunId

ZERO_WORD = bytes(32)
CONTRACTS = ("registry", "ledger", "audits", "models", "attestations")
"""The contracts by the names that trust file and deployment file give them. Every chain has the
first two; the others may be missing."""
MAX_ATTESTED = 64
"""How many digests of one account about one run are read, the first ones."""


@dataclass(frozen=True)
class Contract:
    """A contract: its address, and the Keccak-256 of its runtime code as `0x` and 64 digits."""

    address: Address
    code_hash: str


@dataclass(frozen=True)
class BlockRef:
    """A block: number, hash (32 bytes), time in Unix seconds."""

    number: int
    hash: bytes
    timestamp: int


@dataclass(frozen=True)
class ChainIdentity:
    """Which chain answered, with which code. `genesis` is the hash of block 0, `0x` and 64 digits.

    `contracts` has an entry for each contract whose address the reader was given.
    """

    chain_id: int
    genesis: str
    contracts: Mapping[str, Contract]


@dataclass(frozen=True)
class Agreement:
    """How several endpoints were compared.

    needed: so many gave the same answer to each of the `questions`.
    endpoints: scheme, host and port of each.
    notes: who said otherwise, did not answer, or was behind.
    """

    needed: int
    endpoints: tuple[str, ...]
    questions: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RunFacts:
    """A run in the registry.

    `draw_block` is the block whose hash makes the seed; `seed` is zero until it is drawn. `seq`,
    `size` and `root` are those of the newest head, zero before the first.
    """

    run_id: RunId
    owner: Address
    draw_block: int
    seq: int
    size: int
    root: bytes
    preregistration: bytes
    dataset_id: DatasetId
    seed: bytes


@dataclass(frozen=True)
class HeadFacts:
    """A committed head: `size` entries under `root`, and the block it was committed in."""

    root: bytes
    size: int
    block_number: int
    timestamp: int


@dataclass(frozen=True)
class ClaimFacts:
    """A release on chain: record `index` of a run names the model, under head `seq`.

    `revoked_block` is 0 unless the record was revoked. `manifest` and `record` are digests.
    """

    run_id: RunId
    owner: Address
    seq: int
    index: int
    block_number: int
    revoked_block: int
    manifest: bytes
    record: bytes


@dataclass(frozen=True)
class DatasetFacts:
    """A registration of a dataset with one pair of keys.

    `slots` is the number of leaves per chunk, `chunks` the number of chunks: n and m of
    docs/formats/proofs.md. `d_hash` is the Keccak-256 of the points D, the commitments to the
    dataset's leaves.
    """

    owner: Address
    epoch_key: KeyId
    tree_key: KeyId
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
    """One numbered anchoring of an epoch.

    The contract does not store the points. `seed` is a hash of them and of everything else that
    the anchoring binds.
    """

    dataset_id: DatasetId
    seed: bytes
    consumed: int
    log_size: int
    log_root: bytes
    accepted: bool
    block_number: int


@dataclass(frozen=True)
class TableFacts:
    """A table of tensors: RFC 6962 root over `entries` entries; both 0 if the stage has none."""

    root: bytes
    entries: int


@dataclass(frozen=True)
class ModelAnchoringFacts:
    """One numbered anchoring of a stage (1 merge, 2 quantize).

    It says what was anchored, its draw, and how many of its proofs were accepted. `seed` is zero
    before the draw. `codes_hash` binds all accepted codes; a verifier must recompute it from the
    file (docs/formats/statements.md). A `void` anchoring missed its draw: nothing can be proven
    about it any more, but it counts as an anchoring.
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
    """When an owner revoked something, and the reason given."""

    block_number: int
    reason: str


@dataclass(frozen=True)
class SignerRevocation:
    """Somebody revoked an account's key: what it anchored from `from_block` on does not count.

    `block_number` is the block in which that was said, `from_block` at most the one after it.
    """

    block_number: int
    from_block: int
    reason: str


@dataclass(frozen=True)
class AttestedDigest:
    """The digest of an attestation, and the block in which its auditor sent it."""

    digest: bytes
    block_number: int


@dataclass(frozen=True)
class Attested:
    """What an account attested about a run: the first `MAX_ATTESTED` digests in their order.

    `total` is how many there are, no fewer than `entries`. No block is before that of the entry
    before it.
    """

    entries: tuple[AttestedDigest, ...] = ()
    total: int = 0


class ChainSnapshot(Protocol):
    """The contracts' state at one block; None stands for what does not exist.

    A contract that the trust file does not name is not asked: then no dataset counts as sorted, no
    record as shown, no model as anchored, and nothing as attested.

    Raises (every method): UnavailableError if the chain does not answer, or answers with bytes that
    cannot be the contract's.
    """

    @property
    def block(self) -> BlockRef:
        """The block that every answer is about."""
        ...

    def run(self, run_id: RunId) -> RunFacts | None:
        """A run as the registry knows it."""
        ...

    def head(self, run_id: RunId, seq: int) -> HeadFacts | None:
        """The run's head number `seq`, from 1."""
        ...

    def claims(self, model: bytes) -> list[ClaimFacts]:
        """Every release that names a file by its SHA-256, oldest first."""
        ...

    def revocation(self, run_id: RunId, index: int) -> Revocation | None:
        """The revocation of one record of a run."""
        ...

    def revoked_entries(self, run_id: RunId) -> list[int] | None:
        """The indices of all revoked records of a run; None if the pinned code cannot list them."""
        ...

    def signer_revocation(self, signer: str, by: str, until: int) -> SignerRevocation | None:
        """What one account said last of an account's key, in a block up to `until` (inclusive).

        It may say so again from an earlier block only, so of all that it said up to then this
        reaches furthest back. What it says later changes no answer about the time before. None if
        it said nothing by then, or the pinned code, of an earlier release, keeps no such list.
        """
        ...

    def dataset_revocation(self, dataset_id: DatasetId, owner: str) -> Revocation | None:
        """The revocation of a dataset by one account."""
        ...

    def contract_code(self, account: Address) -> str | None:
        """Keccak-256 of an account's code, None if it is no contract.

        An account that delegates to a contract (EIP-7702) is none: its own key still signs for it.
        """
        ...

    def accepts_signature(self, account: Address, digest: bytes, signature: bytes) -> bool:
        """Whether a contract says that a signature of a 32-byte digest is its own (EIP-1271)."""
        ...

    def dataset(self, dataset_id: DatasetId) -> DatasetFacts | None:
        """A registration of a dataset, finished or not."""
        ...

    def anchoring(self, run_id: RunId, epoch: int, number: int) -> AnchoringFacts | None:
        """Anchoring `number` (from 0) of an epoch."""
        ...

    def anchoring_count(self, run_id: RunId, epoch: int) -> int:
        """Anchorings of an epoch so far."""
        ...

    def runs_of(self, owner: str) -> list[RunId]:
        """Every run that an account opened, oldest first."""
        ...

    def sorted_complete(self, dataset_id: DatasetId, vk_id: KeyId) -> bool:
        """Whether every chunk of a dataset was shown to be sorted under this key."""
        ...

    def is_sorted(self, dataset_id: DatasetId) -> bool:
        """Whether that was shown under some key. Before, no statement of absence is accepted."""
        ...

    def is_shown(self, dataset_id: DatasetId, kind: str, digest: bytes) -> bool:
        """Whether a statement about a record digest was shown; `kind` is `member` or `absent`."""
        ...

    def model_anchoring(self, run_id: RunId, stage: int, number: int) -> ModelAnchoringFacts | None:
        """Anchoring `number` (from 0) of a stage."""
        ...

    def model_anchoring_count(self, run_id: RunId, stage: int) -> int:
        """Anchorings of a stage so far, void ones included."""
        ...

    def attested(self, run_id: RunId, auditor: Address) -> Attested:
        """What an account attested about a run, all of it sent up to this block."""
        ...


class ChainReader(Protocol):
    """Reads a chain for a verifier. Raises as ChainSnapshot."""

    def identity(self) -> ChainIdentity:
        """Which chain and code answers."""
        ...

    def final(self) -> ChainSnapshot:
        """The state at the newest final block: only this state may count as verified."""
        ...

    def latest(self) -> ChainSnapshot:
        """The state at the newest block, which tells only what is pending."""
        ...

    def block(self, number: int) -> BlockRef:
        """A block by its number."""
        ...

    def agreement(self) -> Agreement | None:
        """How several endpoints agreed on everything asked so far; None if there is only one."""
        ...

"""Shapes of the answers about the chain. Amounts of wei are texts: they are larger than 2^53."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from provenance_api.explorer.models import Answered, ReleaseLine, RunLine

Standing = Literal["final", "mined", "replaced"]


class Party(BaseModel):
    """An account that sent something.

    name: what the trust file calls it as a publisher or auditor.
    runs_here: how many runs that you may see say in their first record that it signs their heads.
    """

    address: str
    name: str | None
    role: Literal["publisher", "auditor"] | None
    runs_here: int


class Value(BaseModel):
    """A value of a call or event. Of a list `value` is null, and `count` is its length."""

    name: str
    type: str
    value: str | None
    count: int | None
    href: str | None = Field(description="Where this service shows what the value names.")


class Told(BaseModel):
    """A call of one of the pinned contracts, or an event that it emitted, by its ABI.

    name: null where the bytes are of no function or event of the ABI. whole: false where they are
    not of its form, so that nothing more could be read.
    """

    contract: str
    address: str
    name: str | None
    says: str | None = Field(description="The same in plain words.")
    values: list[Value]
    whole: bool


class BlockLine(BaseModel):
    """A block.

    standing: final, as the trust file defines it; mined, but not final yet; replaced: the chain
    has another block at this height.
    """

    number: int
    hash: str
    time: int
    standing: Standing


class TransactionDetail(BaseModel):
    """A transaction to one of the pinned contracts, or with events of them, as the chain tells it.

    price_wei: per unit of gas. other_events: events of contracts that are not pinned.
    """

    hash: str
    status: Literal["succeeded", "reverted", "waiting"]
    block: BlockLine | None
    sender: Party
    to: str | None
    contract: str | None = Field(description="The pinned contract that was called or deployed.")
    deploys: bool
    gas_used: int | None
    price_wei: str | None
    fee_wei: str | None
    input_bytes: int
    input_digest: str = Field(description="SHA-256 of the input, without any prefix.")
    call: Told | None
    events: list[Told]
    more_events: bool
    other_events: int
    chain: Answered
    commands: dict[str, str]


class TransactionLine(BaseModel):
    """A transaction in a list. `function`: what it calls; null where that cannot be told."""

    hash: str
    sender: str
    contract: str | None
    function: str | None
    events: int


class EventLine(Told):
    """An event in a block."""

    transaction: str


class BlockDetail(BlockLine):
    """A block, and what concerns the pinned contracts in it.

    size: transactions of all kinds. previous, next: numbers of its neighbours.
    """

    parent: str
    size: int
    transactions: list[TransactionLine]
    events: list[EventLine]
    more: bool = Field(description="There are more of one of them than are listed.")
    previous: int | None
    next: int | None
    confirmations: int | None = Field(
        description="Blocks on top that make one final; null where the chain itself says so."
    )
    chain: Answered
    commands: dict[str, str]


class Member(BaseModel):
    """A function or event of an ABI, as Solidity writes it."""

    kind: Literal["view", "function", "event"]
    signature: str
    returns: str | None


class Reading(BaseModel):
    """What a view without arguments returns at the final block; null if it does not answer."""

    name: str
    value: str | None
    href: str | None


class ContractDetail(BaseModel):
    """A pinned contract.

    code: whether its runtime code is that of the package of this service: exact_match, match (but
    for the metadata hash), none; null if the chain did not answer. Immutable values are masked.
    """

    name: str
    solidity: str
    pinned_code: str
    code: Literal["exact_match", "match", "none"] | None
    code_bytes: int | None
    sources: str = Field(description="Digest of the sources that this package was compiled from.")
    members: list[Member]
    values: list[Reading]


class RevocationLine(BaseModel):
    """A revocation, as an event of the registry tells it.

    from_block: of a key, from which block on nothing that it anchors counts.
    by: who revoked, where the event says it.
    """

    kind: Literal["record", "dataset", "key"]
    run_id: str | None
    run_here: bool
    index: int | None
    dataset_id: str | None
    signer: str | None
    by: str | None
    from_block: int | None
    reason: str
    block: int
    transaction: str


class Revoked(BaseModel):
    """Revocations, the newest first; `chain` says whether the endpoint told of them."""

    revocations: list[RevocationLine]
    more: bool
    chain: Answered


class Revocations(Revoked):
    """Everything that was revoked on the pinned registry."""

    commands: dict[str, str]


class AttestationLine(BaseModel):
    """The digest of an attestation that somebody sent to the chain about a run.

    auditor: the name that the trust file gives the address; null for anybody else.
    """

    digest: str
    address: str
    auditor: str | None
    block: int
    transaction: str


class Attestations(BaseModel):
    """Attestations about a run, the newest first. deployed: whether the trust file pins a contract
    that takes them."""

    deployed: bool
    attestations: list[AttestationLine]
    more: bool
    chain: Answered


class RunProofs(BaseModel):
    """How many proof files a run has here."""

    run_id: str
    proofs: int


class AccountDetail(BaseModel):
    """An account. Runs, datasets, releases and proofs are those here that you may see.

    opened: runs that it opened on chain, as the registry counts them.
    """

    party: Party
    opened: int | None
    runs: list[RunLine]
    datasets: list[str]
    releases: list[ReleaseLine]
    proofs: list[RunProofs]
    more: bool
    revoked: Revoked


class AddressDetail(BaseModel):
    """An address: a pinned contract, or an account."""

    address: str
    contract: ContractDetail | None
    account: AccountDetail | None
    chain: Answered
    commands: dict[str, str]


class KeyLine(BaseModel):
    """A verifying key that the trust file pins."""

    vk_id: str
    kind: str
    setup: Literal["ceremony", "single_party"]


class Keys(BaseModel):
    """The keys of the trust file, in its order."""

    keys: list[KeyLine]


class KeyOnChain(BaseModel):
    """A key as the contract that uses it has it.

    matches: whether its id is the Keccak-256 of the bytes at `data`.
    """

    contract: str
    data: str
    kind: int
    slots: int
    depth: int
    bytes: int
    matches: bool


class KeyedProof(BaseModel):
    """A record of a run here that says that proofs of an epoch verify under a key."""

    run_id: str
    index: int
    epoch: int
    number: int | None


class KeyDetail(KeyLine):
    """A verifying key: what its proofs show, its set-up, its shape, and proofs under it here."""

    shows: str
    shows_not: list[str]
    transcript: str | None
    contract: str
    on_chain: KeyOnChain | None
    proofs: list[KeyedProof]
    more: bool
    chain: Answered
    commands: dict[str, str]

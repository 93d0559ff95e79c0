"""Shapes of the answers about addresses and verifying keys."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from provenance_api.explorer.models import Answered, ReleaseLine, RunLine
from provenance_api.explorer.onchain.models import Party
from provenance_api.explorer.onchain.revoked_models import Revoked


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

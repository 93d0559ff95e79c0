"""Shapes of the answers about the chain. Amounts of wei are texts: they are larger than 2^53."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from provenance_api.explorer.models import Answered

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

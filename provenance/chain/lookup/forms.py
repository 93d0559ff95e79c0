"""What an endpoint says of transactions, blocks and events, as values.

Everything read here is attacker-controlled. Each `canonical_..` keeps what its reader below takes,
in a form in which equal facts are equal values, so that several endpoints can be compared.

Source: the JSON-RPC methods of the Ethereum execution APIs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provenance.chain.answers import block_hash_of, bytes_of, number_of
from provenance.ids import Address, to_hex

SELECTOR_BYTES = 4
_WORD_BITS = 256
UNKNOWN: Mapping[str, Any] = {}
"""Stands for null, with which an endpoint says that it does not know what was asked for."""


@dataclass(frozen=True)
class Log:
    """An event: who emitted it, its words of 32 bytes, its data, and the transaction it is of."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    tx_hash: bytes
    block_number: int
    index: int


@dataclass(frozen=True)
class Transaction:
    """A transaction. `to` is None where it deploys a contract; `block_hash` None while it waits."""

    hash: bytes
    sender: Address
    to: Address | None
    data: bytes
    block_hash: bytes | None
    block_number: int | None


@dataclass(frozen=True)
class Outcome:
    """What came of a mined transaction. `ok` is false if the EVM reverted it.

    price_wei: what it paid per unit of gas; None where the endpoint does not say.
    created: the contract that it deployed.
    """

    tx_hash: bytes
    ok: bool
    block_hash: bytes
    block_number: int
    gas_used: int
    price_wei: int | None
    created: Address | None
    logs: tuple[Log, ...]


@dataclass(frozen=True)
class Listed:
    """A transaction of a block; of its input the first four bytes."""

    hash: bytes
    sender: Address
    to: Address | None
    selector: bytes


@dataclass(frozen=True)
class WholeBlock:
    """A block with its transactions, in their order."""

    number: int
    hash: bytes
    parent: bytes
    timestamp: int
    transactions: tuple[Listed, ...]


def _address(value: object) -> str:
    return Address.parse(value)


def _maybe(value: Any, read: Any) -> Any:
    return None if value is None else read(value)


def _hash(value: object) -> str:
    return to_hex(block_hash_of(value))


def canonical_log(value: Any) -> dict[str, Any]:
    """An event."""
    return {
        "address": _address(value["address"]),
        "topics": [_hash(topic) for topic in value["topics"]],
        "data": to_hex(bytes_of(value["data"])),
        "transactionHash": _hash(value["transactionHash"]),
        "blockNumber": hex(number_of(value["blockNumber"])),
        "logIndex": hex(number_of(value["logIndex"])),
    }


def canonical_logs(value: Any) -> list[dict[str, Any]]:
    """The answer of eth_getLogs."""
    return [canonical_log(each) for each in value]


def canonical_transaction(value: Any) -> Mapping[str, Any]:
    """The answer of eth_getTransactionByHash."""
    if not value:
        return UNKNOWN
    return {
        "hash": _hash(value["hash"]),
        "from": _address(value["from"]),
        "to": _maybe(value.get("to"), _address),
        "input": to_hex(bytes_of(value["input"])),
        "blockHash": _maybe(value.get("blockHash"), _hash),
        "blockNumber": _maybe(value.get("blockNumber"), lambda v: hex(number_of(v))),
    }


def canonical_outcome(value: Any) -> Mapping[str, Any]:
    """The answer of eth_getTransactionReceipt."""
    if not value or value.get("blockHash") is None:
        return UNKNOWN
    price = value.get("effectiveGasPrice")
    return {
        "transactionHash": _hash(value["transactionHash"]),
        "status": hex(number_of(value["status"])),
        "blockHash": _hash(value["blockHash"]),
        "blockNumber": hex(number_of(value["blockNumber"])),
        "gasUsed": hex(number_of(value["gasUsed"])),
        "effectiveGasPrice": _maybe(price, lambda v: hex(number_of(v, _WORD_BITS))),
        "contractAddress": _maybe(value.get("contractAddress"), _address),
        "logs": canonical_logs(value["logs"]),
    }


def canonical_whole_block(value: Any) -> Mapping[str, Any]:
    """The answer of eth_getBlockByHash with whole transactions."""
    if not value:
        return UNKNOWN
    return {
        "number": hex(number_of(value["number"])),
        "hash": _hash(value["hash"]),
        "parentHash": _hash(value["parentHash"]),
        "timestamp": hex(number_of(value["timestamp"])),
        "transactions": [
            {
                "hash": _hash(each["hash"]),
                "from": _address(each["from"]),
                "to": _maybe(each.get("to"), _address),
                "input": to_hex(bytes_of(each["input"][: 2 + 2 * SELECTOR_BYTES])),
            }
            for each in value["transactions"]
        ],
    }


def log_of(value: Mapping[str, Any]) -> Log:
    """An event, from what `canonical_log` makes."""
    return Log(
        Address(value["address"]),
        tuple(bytes_of(topic) for topic in value["topics"]),
        bytes_of(value["data"]),
        bytes_of(value["transactionHash"]),
        number_of(value["blockNumber"]),
        number_of(value["logIndex"]),
    )


def transaction_of(value: Mapping[str, Any]) -> Transaction | None:
    """A transaction, from what `canonical_transaction` makes; None where it is not known."""
    if not value:
        return None
    return Transaction(
        bytes_of(value["hash"]),
        Address(value["from"]),
        _maybe(value["to"], Address),
        bytes_of(value["input"]),
        _maybe(value["blockHash"], bytes_of),
        _maybe(value["blockNumber"], number_of),
    )


def outcome_of(value: Mapping[str, Any]) -> Outcome | None:
    """What came of a transaction, from what `canonical_outcome` makes; None while it waits."""
    if not value:
        return None
    return Outcome(
        bytes_of(value["transactionHash"]),
        number_of(value["status"]) == 1,
        bytes_of(value["blockHash"]),
        number_of(value["blockNumber"]),
        number_of(value["gasUsed"]),
        _maybe(value["effectiveGasPrice"], lambda v: number_of(v, _WORD_BITS)),
        _maybe(value["contractAddress"], Address),
        tuple(map(log_of, value["logs"])),
    )


def whole_block_of(value: Mapping[str, Any]) -> WholeBlock | None:
    """A block, from what `canonical_whole_block` makes; None where it is not known."""
    if not value:
        return None
    return WholeBlock(
        number_of(value["number"]),
        bytes_of(value["hash"]),
        bytes_of(value["parentHash"]),
        number_of(value["timestamp"]),
        tuple(
            Listed(
                bytes_of(each["hash"]),
                Address(each["from"]),
                _maybe(each["to"], Address),
                bytes_of(each["input"]),
            )
            for each in value["transactions"]
        ),
    )


LOOKUPS = {
    "eth_getTransactionByHash": canonical_transaction,
    "eth_getTransactionReceipt": canonical_outcome,
    "eth_getBlockByHash": canonical_whole_block,
    "eth_getLogs": canonical_logs,
}
"""Reads of pages. An honest endpoint that is behind answers them otherwise than one that is not."""

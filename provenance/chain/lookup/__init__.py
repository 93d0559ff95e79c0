"""Transactions, blocks and events of the contracts, for pages. No verdict rests on them.

Each method asks the endpoint once, unless it says otherwise. What it says is attacker-controlled,
and is compared with what was asked for: an endpoint cannot answer about something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provenance.chain.answers import RpcError, answering, hostile
from provenance.chain.artifact import ARTIFACTS, Addresses, abi_of, address_of
from provenance.chain.lookup.forms import (
    LOOKUPS,
    Log,
    Outcome,
    Transaction,
    WholeBlock,
    log_of,
    outcome_of,
    transaction_of,
    whole_block_of,
)
from provenance.chain.rpc import Block, Rpc
from provenance.errors import UnavailableError
from provenance.ids import Address, to_hex

MOST_TOLD = 10_000
"""Events of one answer that are looked at; an endpoint that tells of more is not believed."""


class ChainLookup:
    """Asks an endpoint, or several as one. One thread uses it at a time.

    Args:
        addresses: the contracts that a trust file pins.

    Raises (every method): UnavailableError if the endpoint does not answer, refuses, or answers
        with something else than what was asked for.
    """

    def __init__(self, rpc: Rpc, addresses: Addresses) -> None:
        self._rpc, self.addresses = rpc, addresses

    def newest(self) -> int:
        """Number of the newest block."""
        with answering():
            return self._rpc.block("latest").number

    def header(self, number: int) -> Block:
        """Number, hash and time of a block that the endpoint has."""
        with answering():
            return self._rpc.block(number)

    def block(self, block_hash: bytes) -> WholeBlock | None:
        """A block with its transactions; None if the endpoint does not know it."""
        found = whole_block_of(self._ask("eth_getBlockByHash", [to_hex(block_hash), True]))
        return None if found is None else _same(found, found.hash, block_hash)

    def transaction(self, tx_hash: bytes) -> Transaction | None:
        """A transaction, mined or waiting; None if the endpoint does not know it."""
        found = transaction_of(self._ask("eth_getTransactionByHash", [to_hex(tx_hash)]))
        return None if found is None else _same(found, found.hash, tx_hash)

    def outcome(self, tx_hash: bytes) -> Outcome | None:
        """What came of a transaction; None while no block has it."""
        found = outcome_of(self._ask("eth_getTransactionReceipt", [to_hex(tx_hash)]))
        return None if found is None else _same(found, found.tx_hash, tx_hash)

    def events_in(self, block_hash: bytes) -> list[Log]:
        """Events of the pinned contracts in one block, in their order."""
        addresses = sorted(self.addresses.values())
        return self._logs({"blockHash": to_hex(block_hash), "address": addresses})

    def events(
        self, contract: str, names: Sequence[str], last: int, about: bytes | None = None
    ) -> list[Log]:
        """Events of one contract from the first block to block `last`, in their order.

        Args:
            contract: one of `ARTIFACTS` that the trust file pins.
            names: of events of its ABI.
            about: 32 bytes, the first indexed value; None for any.
        """
        topics: list[Any] = [[to_hex(abi_of(ARTIFACTS[contract]).topic(name)) for name in names]]
        topics += [] if about is None else [to_hex(about)]
        return self._logs(
            {
                "fromBlock": hex(0),
                "toBlock": hex(last),
                "address": address_of(self.addresses, contract),
                "topics": topics,
            }
        )

    def code(self, address: Address, block_hash: bytes) -> bytes:
        """Runtime code at an address in a block; empty where no contract is."""
        with answering():
            return self._rpc.code(address, block_hash)

    def view(self, contract: str, function: str, block_hash: bytes, *args: Any) -> Any:
        """What a view of a contract returns in a block; None if its code does not answer to it."""
        abi = abi_of(ARTIFACTS[contract])
        address = address_of(self.addresses, contract)
        with answering():
            try:
                data = self._rpc.call(address, abi.encode(function, args), block_hash)
            except RpcError as error:
                if not error.is_revert:
                    raise
                return None
        return abi.decode(function, data) if data else None

    def _logs(self, query: Mapping[str, Any]) -> list[Log]:
        value = self._ask("eth_getLogs", [query])
        if len(value) > MOST_TOLD:
            raise UnavailableError(
                "endpoint tells of too many events", expected=MOST_TOLD, actual=len(value)
            )
        named = query["address"]
        asked = {named} if isinstance(named, str) else set(named)
        found = [log_of(each) for each in value]
        for log in found:
            if log.address not in asked:
                raise UnavailableError(
                    "endpoint answered something else",
                    where="eth_getLogs",
                    expected=", ".join(sorted(asked)),
                    actual=log.address,
                )
        return sorted(found, key=lambda log: (log.block_number, log.index))

    def _ask(self, method: str, params: Sequence[Any]) -> Any:
        with answering(), hostile(method):
            return LOOKUPS[method](self._rpc.request(method, params))


def _same(found: Any, told: bytes, asked: bytes) -> Any:
    if told != asked:
        raise UnavailableError(
            "endpoint answered something else", expected=to_hex(asked), actual=to_hex(told)
        )
    return found

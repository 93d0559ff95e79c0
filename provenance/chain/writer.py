"""Sending the contracts' transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from provenance.chain.abi import checksum_address
from provenance.chain.answers import hostile
from provenance.chain.artifact import ARTIFACTS, Addresses, abi_of, address_of
from provenance.chain.contracts import Snapshot
from provenance.chain.rpc import Receipt, Rpc
from provenance.chain.transactions import TransactionManager
from provenance.errors import UnavailableError
from provenance.ids import to_hex


class Writer:
    """Sends the contracts' transactions for one account.

    Args:
        mine: Mines blocks on an embedded chain; None on a real one.
    """

    def __init__(
        self,
        rpc: Rpc,
        addresses: Addresses,
        manager: TransactionManager,
        mine: Callable[[int], None] | None,
    ) -> None:
        self.rpc, self.addresses, self.manager, self.mine = rpc, addresses, manager, mine

    def latest(self) -> Snapshot:
        """The contracts' state at the newest block."""
        return Snapshot(self.rpc, self.addresses, "latest")

    def send(self, contract: str, label: str, function: str, *args: Any) -> Receipt:
        """Call `function` of a contract and wait until it is mined.

        Args:
            contract: its name in `provenance.judgement.facts.CONTRACTS`.
            label: names the intent; see `TransactionManager.send`.

        Raises:
            ConfigError: this contract has no address here.
            RejectedError, UnavailableError, OutcomeUnknown: as `TransactionManager.send`.
        """
        abi = abi_of(ARTIFACTS[contract])
        to = checksum_address(address_of(self.addresses, contract))
        return self.manager.send(label, to, abi.encode(function, args), abi)

    def event(self, receipt: Receipt, contract: str, name: str) -> dict[str, Any]:
        """Arguments of the one event `name` of a contract in a receipt.

        Raises:
            UnavailableError: the endpoint's receipt has no such event.
        """
        where = f"{ARTIFACTS[contract]}.{name}"
        for log in receipt.logs:
            with hostile(where):
                decoded = abi_of(ARTIFACTS[contract]).decode_log(log)
            if decoded and decoded[0] == name:
                return decoded[1]
        raise UnavailableError(
            "receipt lacks its event",
            where=where,
            actual=to_hex(receipt.tx_hash),
        )

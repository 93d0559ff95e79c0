"""A wallet of two owners, as an account's session: it acts through a contract, and both sign."""

from __future__ import annotations

import json
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from provenance.chain.abi import Abi, checksum_address
from provenance.chain.rpc import Receipt
from provenance.chain.session import Session
from provenance.ids import Address, from_hex
from provenance.log.tree import Head
from provenance.signing import sign_head
from tests.support.chain import Lab
from tests.support.places import REPO

SECOND: LocalAccount = Account.from_key(b"\x77" * 32)
WALLET = Abi(
    [
        {
            "type": "constructor",
            "inputs": [
                {"name": "first_", "type": "address"},
                {"name": "second_", "type": "address"},
            ],
        },
        {
            "type": "function",
            "name": "execute",
            "inputs": [{"name": "target", "type": "address"}, {"name": "data", "type": "bytes"}],
            "outputs": [{"name": "", "type": "bytes"}],
        },
    ]
)


class Through:
    """A `TransactionManager` whose calls a wallet makes."""

    def __init__(self, manager: Any, wallet: Address) -> None:
        self._manager, self._wallet = manager, checksum_address(wallet)

    def send(self, label: str, to: str | None, data: bytes, abi: Abi | None = None) -> Receipt:
        call = WALLET.encode("execute", (to, data))
        return self._manager.send(f"wallet:{label}", self._wallet, call, abi)


class WalletSession(Session):
    """An owner of the wallet, who acts and signs in its name."""

    wallet: Address

    @property
    def address(self) -> Address:
        return self.wallet

    def sign_head(self, head: Head) -> bytes:
        return sign_head(self.account, head, self.domain) + sign_head(SECOND, head, self.domain)


def make_wallet(lab: Lab, owner: str, name: str) -> WalletSession:
    """Deploy a wallet of this owner and of SECOND; `lab.session(name)` is it from now on."""
    first = lab.session(owner)
    code = from_hex(json.loads((REPO / "tests/vectors/wallet.json").read_text())["bytecode"])
    owners = (checksum_address(first.account.address), SECOND.address)
    receipt = first.manager.send(name, None, code + WALLET.encode_constructor(owners))
    session = WalletSession(lab.settings, owner)
    session.wallet = Address(receipt.contract_address or "")
    session.writer.manager = Through(session.manager, session.wallet)  # type: ignore[assignment]
    lab._sessions[name] = session
    return session

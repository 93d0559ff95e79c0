"""A node in memory that keeps an EVM node's rules for transactions, and fails where a test tells it
to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from provenance.chain.answers import RpcError
from provenance.chain.rpc import Block, Receipt
from provenance.errors import UnavailableError


def refused(message: str) -> RpcError:
    return RpcError("eth_sendRawTransaction", {"message": message})


@dataclass(frozen=True)
class Sent:
    raw: bytes
    hash: bytes
    sender: str
    nonce: int
    fee: int
    tip: int
    data: bytes


def decode(raw: bytes) -> Sent:
    fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    return Sent(
        raw,
        bytes(keccak(raw)),
        Account.recover_transaction(raw),
        fields["nonce"],
        fields["maxFeePerGas"],
        fields["maxPriorityFeePerGas"],
        bytes(fields["data"]),
    )


@dataclass
class FakeRpc:
    """A chain as one account sees it, with faults that a test switches on.

    automine: Mine each transaction as it arrives.
    down: Every call raises UnavailableError.
    lose: `send_raw` in it loses the next answer after the transaction was taken.
    refuse: Errors that the next broadcasts raise.
    reverts: Estimating gas says that the call reverts.
    before: Called with the name of a method before the method does anything.
    forks: Counts reorganisations; each gives all blocks other hashes.
    """

    automine: bool = True
    down: bool = False
    base_fee: int = 10**9
    lose: list[str] = field(default_factory=list)
    refuse: list[RpcError] = field(default_factory=list)
    reverts: bool = False
    pool: dict[int, Sent] = field(default_factory=dict)
    mined: list[tuple[Sent, bool]] = field(default_factory=list)
    broadcasts: list[Sent] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    height: int = 1
    forks: int = 0

    def _enter(self, method: str) -> None:
        self.calls.append(method)
        self.before(method)
        if self.down:
            raise UnavailableError("chain does not answer", where=method)

    def chain_id(self) -> int:
        return 31337

    def block(self, tag: Any) -> Block:
        self._enter("block")
        number = {"latest": self.height, "finalized": max(0, self.height - 2)}.get(tag, tag)
        return Block(number, self._hash(number), number)

    def _hash(self, number: int) -> bytes:
        return bytes(keccak(b"%d:%d" % (self.forks, number)))

    def base_fee_wei(self) -> int:
        self._enter("base_fee")
        return self.base_fee

    def mined_nonce(self, address: str) -> int:
        self._enter("mined_nonce")
        return len(self.mined)

    def estimate_gas(self, sender: str, to: str | None, data: bytes) -> int:
        self._enter("estimate_gas")
        if self.reverts:
            raise RpcError("eth_estimateGas", {"message": "execution reverted", "data": "0x"})
        return 100_000

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        self._enter("receipt")
        for number, (sent, ok) in enumerate(self.mined, start=2):
            if sent.hash == tx_hash:
                return Receipt(tx_hash, ok, number, self._hash(number), 21000, "0x" + "cc" * 20, ())
        return None

    def is_known(self, tx_hash: bytes) -> bool:
        self._enter("is_known")
        return any(s.hash == tx_hash for s in [*self.pool.values(), *(s for s, _ in self.mined)])

    def send_raw(self, raw: bytes) -> None:
        self._enter("send_raw")
        if self.refuse:
            raise self.refuse.pop(0)
        sent = decode(raw)
        if self.is_known(sent.hash):
            raise refused("already known")
        if sent.nonce < len(self.mined):
            raise refused("nonce too low")
        old = self.pool.get(sent.nonce)
        if old is not None and (10 * sent.fee < 11 * old.fee or 10 * sent.tip < 11 * old.tip):
            raise refused("replacement transaction underpriced")
        self.broadcasts.append(sent)
        self.pool[sent.nonce] = sent
        if self.automine:
            self.mine()
        if "send_raw" in self.lose:
            self.lose.remove("send_raw")
            raise UnavailableError("the answer was lost")

    def mine(self, ok: bool = True) -> None:
        """Mine what the pool holds in the order of nonces."""
        while (sent := self.pool.pop(len(self.mined), None)) is not None:
            self.mined.append((sent, ok))
            self.height += 1

    def reorg(self, *, keep_in_pool: bool = True) -> None:
        """Take the last transaction out of the chain."""
        sent, _ = self.mined.pop()
        self.forks += 1
        if keep_in_pool:
            self.pool[sent.nonce] = sent

    def wipe(self) -> None:
        self.mined.clear()
        self.pool.clear()
        self.height, self.forks = 1, self.forks + 1

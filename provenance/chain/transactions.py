"""Sending transactions so that a crash at any line neither loses one nor sends one twice.

An attempt is signed, then persisted, then broadcast. Looking up its hash tells what became of it;
of the text of an error only "already known" counts, which says that the endpoint has these very
bytes. Each key has at most one attempt in flight; its nonce comes from mined blocks only.

    crash before the attempt is durable   nothing was broadcast; the next call starts anew
    crash after it is durable             the next `recover` or `send` broadcasts the same bytes
                                          again and waits for them
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provenance.causes import cause_of
from provenance.chain.abi import Abi
from provenance.chain.answers import RpcError
from provenance.chain.rpc import Receipt, Rpc
from provenance.encoding import canonical_json
from provenance.errors import (
    OutcomeUnknown,
    OutputError,
    ProvenanceError,
    RejectedError,
    UnavailableError,
)
from provenance.ids import to_hex
from provenance.log.frames import read_frames
from provenance.log.journal import Journal
from provenance.progress import Say, silent

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

PRIORITY_FEE_WEI = 1_000_000_000
MAX_BUMPS = 10


def bump(fee_wei: int) -> int:
    """The lowest fee with which nodes accept a replacement transaction.

    It is 10 % more, rounded up, on both fee fields. Source: go-ethereum, `PriceBump`.
    """
    return fee_wei + max(1, -(-fee_wei // 10))


@dataclass(frozen=True)
class Limits:
    """Limits of one account's transactions.

    wait_s: seconds until the fees of an attempt that is not mined are raised.
    max_fee_wei: highest fee per gas.
    """

    wait_s: float = 30.0
    max_fee_wei: int = 500 * 10**9


@dataclass(frozen=True)
class Call:
    """A wanted transaction. `label` names the intent; without `to`, `data` is deployed."""

    label: str
    to: str | None
    data: bytes


@dataclass(frozen=True)
class Bid:
    """What an attempt offers; the fees are per unit of gas."""

    nonce: int
    gas: int
    fee_wei: int
    tip_wei: int


class TransactionManager:
    """Sends for one account on one chain.

    Args:
        folder: Holds `attempts` (a journal of signed attempts) and the lock of this key.
    """

    def __init__(
        self,
        rpc: Rpc,
        account: LocalAccount,
        folder: Path,
        limits: Limits = Limits(),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rpc, self._account = rpc, account
        self._folder = folder / str(account.address).lower()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                "cannot keep a journal of transactions",
                where=str(self._folder),
                actual=cause_of(error),
            ) from error
        self._path = self._folder / "attempts"
        self._limits, self._sleep = limits, sleep
        self.say: Say = silent  # told of fees that are raised

    @property
    def address(self) -> str:
        """The account's, with the checksum of EIP-55."""
        return str(self._account.address)

    def send(self, label: str, to: str | None, data: bytes, abi: Abi | None = None) -> Receipt:
        """Send a transaction and wait until it is mined.

        If an attempt with the same `label` was mined before, its receipt is returned and nothing is
        sent.

        Args:
            label: Names the intent, for example `commit:0x..:3`; no other intent may have it.

        Raises:
            RejectedError: the call would revert (nothing sent) or was mined and reverted.
            UnavailableError: the chain does not answer; nothing was broadcast.
            OutcomeUnknown: it was broadcast and is not mined yet; the next call with this label
                waits for it again.
        """
        with self._locked():
            journal = self._open()
            try:
                found = self._settle(journal)
                if label in found:
                    return _accepted(label, found[label])
                return _accepted(label, self._send_new(journal, Call(label, to, data), abi))
            finally:
                journal.close()

    def recover(self) -> dict[str, Receipt]:
        """Finish every attempt that a crash left open; returns the receipts by label."""
        with self._locked():
            journal = self._open()
            try:
                return self._settle(journal)
            finally:
                journal.close()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _open(self) -> Journal:
        if self._path.exists():
            return Journal.open(self._path)
        return Journal.create(
            self._path, {"format": "provenance-attempts/1", "address": self.address}
        )

    def _attempts(self) -> dict[str, list[dict[str, Any]]]:
        """Attempts by label, oldest first.

        An attempt that was withdrawn before broadcast is left out.
        """
        result: dict[str, list[dict[str, Any]]] = {}
        for frame in read_frames(self._path):
            event = json.loads(frame.payload)
            if event["event"] == "attempt":
                result.setdefault(event["label"], []).append(event)
            elif event["event"] == "void":
                result[event["label"]] = [
                    a for a in result[event["label"]] if a["hash"] != event["hash"]
                ]
        return result

    def _settle(self, journal: Journal) -> dict[str, Receipt]:
        receipts: dict[str, Receipt] = {}
        mined: int | None = None
        for label, attempts in self._attempts().items():
            receipt = self._lookup(attempts)
            if receipt is None and attempts:
                mined = self._rpc.mined_nonce(self.address) if mined is None else mined
                if attempts[-1]["nonce"] < mined:
                    # It may have been mined between the first look and the nonce.
                    receipt = self._lookup(attempts)
                    if receipt is not None and receipt.ok:
                        receipts[label] = receipt
                    # Else another transaction took the nonce (a reorg, a wiped chain), so the
                    # intent must be sent anew.
                    continue
                mined = None
                try:
                    self._broadcast(journal, attempts[-1])
                except RejectedError:
                    continue  # withdrawn: the caller's own send decides what is wanted now
                receipt = self._await(journal, attempts)
            if receipt is not None and receipt.ok:
                receipts[label] = receipt
        return receipts

    def _lookup(self, attempts: list[dict[str, Any]]) -> Receipt | None:
        for attempt in reversed(attempts):
            receipt = self._rpc.receipt(bytes.fromhex(attempt["hash"]))
            if receipt is not None:
                return receipt
        return None

    def _send_new(self, journal: Journal, call: Call, abi: Abi | None) -> Receipt:
        try:
            gas = self._rpc.estimate_gas(self.address, call.to, call.data)
        except RpcError as error:
            reason = abi.describe_revert(error.data) if abi else None
            raise RejectedError(
                "contract refuses the call", where=call.label, actual=reason or error.actual
            ) from error
        tip = PRIORITY_FEE_WEI
        fee = min(self._limits.max_fee_wei, 2 * self._rpc.base_fee_wei() + tip)
        bid = Bid(self._rpc.mined_nonce(self.address), gas + gas // 5, fee, tip)
        attempt = self._sign(call, bid)
        self._persist(journal, attempt)
        try:
            self._broadcast(journal, attempt)
            return self._await(journal, [attempt])
        except UnavailableError as error:
            raise OutcomeUnknown(
                "chain stopped answering after the transaction was sent",
                where=call.label,
                actual=f"{to_hex(bytes.fromhex(attempt['hash']))}, {error.what}, {error.actual}",
                hint="run the same command again later",
            ) from error

    def _sign(self, call: Call, bid: Bid) -> dict[str, Any]:
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": self._rpc.chain_id(),
            "nonce": bid.nonce,
            "gas": bid.gas,
            "maxFeePerGas": bid.fee_wei,
            "maxPriorityFeePerGas": min(bid.tip_wei, bid.fee_wei),
            "value": 0,
            "data": call.data,
        }
        if call.to is not None:
            transaction["to"] = call.to
        signed = self._account.sign_transaction(transaction)
        return {
            "event": "attempt",
            "label": call.label,
            "nonce": bid.nonce,
            "hash": bytes(signed.hash).hex(),
            "raw": bytes(signed.raw_transaction).hex(),
            "fee": str(bid.fee_wei),
            "tip": str(bid.tip_wei),
            "gas": bid.gas,
            "to": call.to or "",
            "data": call.data.hex(),
        }

    def _persist(self, journal: Journal, event: Mapping[str, Any]) -> None:
        journal.append(canonical_json(event))
        journal.barrier()  # the attempt survives a crash from here on: now it may be broadcast

    def _broadcast(self, journal: Journal, attempt: Mapping[str, Any]) -> None:
        tx_hash = bytes.fromhex(attempt["hash"])
        try:
            self._rpc.send_raw(bytes.fromhex(attempt["raw"]))
        except ProvenanceError as error:
            if isinstance(error, RpcError) and error.is_known:
                return  # these very bytes wait there already: they were sent before
            # "nonce too low" and silence can both mean success, so only the hash decides.
            if self._rpc.receipt(tx_hash) is not None or self._rpc.is_known(tx_hash):
                return
            if isinstance(error, RejectedError):
                # No node took it: it is withdrawn, so that its nonce is free for the next attempt.
                self._persist(
                    journal, {"event": "void", "label": attempt["label"], "hash": attempt["hash"]}
                )
            raise

    def _await(self, journal: Journal, attempts: list[dict[str, Any]]) -> Receipt:
        for _ in range(MAX_BUMPS):
            deadline = time.monotonic() + self._limits.wait_s
            pause = 0.01
            while time.monotonic() < deadline:
                receipt = self._lookup(attempts)
                if receipt is not None:
                    return receipt
                self._sleep(pause)
                pause = min(1.0, pause * 1.5)
            last = attempts[-1]
            bid = Bid(last["nonce"], last["gas"], bump(int(last["fee"])), bump(int(last["tip"])))
            if bid.fee_wei > self._limits.max_fee_wei:
                break
            waited = f"not mined after {self._limits.wait_s:.0f} s"
            self.say(f"warning: transaction {last['label']} is {waited}: its fee is raised")
            call = Call(last["label"], last["to"] or None, bytes.fromhex(last["data"]))
            raised = self._sign(call, bid)
            self._persist(journal, raised)
            try:
                self._broadcast(journal, raised)
            except RejectedError:
                continue  # perhaps an earlier attempt was mined just now: the next look-up tells
            attempts.append(raised)
        raise OutcomeUnknown(
            "transaction is not mined yet",
            where=attempts[-1]["label"],
            actual=to_hex(bytes.fromhex(attempts[-1]["hash"])),
            hint="run the same command again later",
        )


def _accepted(label: str, receipt: Receipt) -> Receipt:
    if not receipt.ok:
        raise RejectedError(
            "transaction was mined and reverted", where=label, actual=to_hex(receipt.tx_hash)
        )
    return receipt

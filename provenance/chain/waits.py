"""Waiting for blocks: until one is there, and until one is final; each wait says how it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from provenance.chain.rpc import Receipt, Rpc
from provenance.errors import OutcomeUnknown, UnavailableError
from provenance.ids import to_hex
from provenance.progress import Say, silent

STALL_S = 30.0
"""A chain without a new block for so long is said to make none by itself."""
POLL_S = 1.0
_AGAIN = "run the same command again later"


@dataclass(frozen=True)
class Waits:
    """Waits for blocks of one chain.

    mine: makes blocks on an embedded chain, which makes none until it is told to or gets a
        transaction; None on a real chain.
    say: told once what is waited for, again when that changes, and when no block comes.
    timeout_s: seconds until a wait is given up.
    """

    rpc: Rpc
    mine: Callable[[int], None] | None
    say: Say = silent
    timeout_s: float = 1800.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def for_final(self, receipt: Receipt) -> None:
        """Return once the receipt's block is finalized and still the canonical one.

        Raises:
            OutcomeUnknown: a reorg removed the block; look the transaction up again.
            UnavailableError: not final in time.
        """
        self.until_final(receipt.block_number)
        if self.rpc.block(receipt.block_number).hash != receipt.block_hash:
            raise OutcomeUnknown(
                "a reorganisation removed the transaction's block",
                where=to_hex(receipt.tx_hash),
                hint="run the same command again",
            )

    def until_final(self, wanted: int) -> None:
        """Return once a block of this number is finalized.

        Raises:
            UnavailableError: not final in time.
        """
        wait = _Wait(self)
        while (final := self.rpc.block("finalized").number) < wanted:
            if self.mine is not None:
                self.mine(wanted - final)
                continue
            newest = self.rpc.block("latest").number
            wait.step(f"waiting for block {wanted} to become final, newest {newest}", newest)
            if wait.is_over:
                raise UnavailableError(
                    "block is not final yet", expected=wanted, actual=final, hint=_AGAIN
                )

    def for_block(self, number: int) -> None:
        """Return once the chain has a block of this number.

        Raises:
            UnavailableError: it has not in time.
        """
        wait = _Wait(self)
        while (newest := self.rpc.block("latest").number) < number:
            if self.mine is not None:
                self.mine(number - newest)
                continue
            wait.step(f"waiting for block {number}, newest {newest}", newest)
            if wait.is_over:
                raise UnavailableError(
                    "block is not there yet", expected=number, actual=newest, hint=_AGAIN
                )


class _Wait:
    """One wait: says what changed, warns of a chain that stands still, and sleeps."""

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._begin = self._moved = waits.clock()
        self._said, self._newest, self._warned = "", -1, False

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return self._waits.clock() - self._begin > self._waits.timeout_s

    def step(self, text: str, newest: int) -> None:
        """One look at the chain, whose newest block has this number."""
        now = self._waits.clock()
        if text != self._said:
            self._said = text
            self._waits.say(text)
        if newest != self._newest:
            self._newest, self._moved, self._warned = newest, now, False
        elif not self._warned and now - self._moved >= STALL_S:
            self._warned = True
            self._waits.say(
                f"warning: this chain makes no blocks by itself: none after block {newest} for "
                f"{now - self._moved:.0f} s; let its node make some (anvil: --block-time 2)"
            )
        self._waits.sleep(POLL_S)

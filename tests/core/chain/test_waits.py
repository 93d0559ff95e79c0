"""Waits for blocks say so, mine where that is possible, and tell of a chain that stands still."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.chain.anvil import EmbeddedChain
from provenance.chain.rpc import Receipt, Rpc
from provenance.chain.session import connect, miner
from provenance.chain.waits import STALL_S, Waits
from provenance.errors import UnavailableError
from provenance.settings import Settings
from tests.support.fake_rpc import FakeRpc
from tests.support.processes.rpc_proxy import limiting_proxy


class Clock:
    """A clock that moves when somebody sleeps; `then` happens at each second."""

    def __init__(self, then: Callable[[int], None] = lambda second: None) -> None:
        self.now, self.said, self._then = 0.0, list[str](), then

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self._then(int(self.now))

    def waits(self, rpc: FakeRpc, timeout_s: float = 1800.0) -> Waits:
        return Waits(rpc, None, self.said.append, timeout_s, self.sleep, lambda: self.now)  # type: ignore[arg-type]


def receipt_of(rpc: FakeRpc | Rpc) -> Receipt:
    block = rpc.block("latest")
    return Receipt(b"\1" * 32, True, block.number, block.hash, 21_000, None, ())


def test_a_wait_for_finality_is_said_once_and_when_it_changes() -> None:
    rpc = FakeRpc()
    receipt, first = receipt_of(rpc), rpc.height

    def grow(second: int) -> None:
        rpc.height += second % 10 == 0

    clock = Clock(grow)
    clock.waits(rpc).for_final(receipt)
    assert clock.said == [
        f"waiting for block {first} to become final, newest {first}",
        f"waiting for block {first} to become final, newest {first + 1}",
    ]


@pytest.mark.parametrize("what", ["final", "block"])
def test_a_chain_that_stands_still_is_told_and_given_up_in_the_end(what: str) -> None:
    rpc, clock = FakeRpc(), Clock()
    waits, receipt = clock.waits(rpc, timeout_s=100.0), receipt_of(rpc)
    wait = {
        "final": lambda: waits.for_final(receipt),
        "block": lambda: waits.for_block(rpc.height + 1),
    }[what]
    with pytest.raises(UnavailableError, match="block is not") as caught:
        wait()
    assert "again later" in (caught.value.hint or "")
    assert clock.now == pytest.approx(100.0, abs=2.0)
    waiting, warning = clock.said
    assert waiting.startswith("waiting for block")
    assert warning.startswith("warning: this chain makes no blocks by itself")
    assert f"for {STALL_S:.0f} s" in warning


def test_blocks_are_mined_where_that_is_possible_without_a_word() -> None:
    rpc, said, mined = FakeRpc(), list[str](), list[int]()
    receipt = receipt_of(rpc)

    def mine(blocks: int) -> None:
        mined.append(blocks)
        rpc.height += blocks

    waits = Waits(rpc, mine, said.append)  # type: ignore[arg-type]
    waits.for_final(receipt)
    waits.for_block(rpc.height + 3)
    assert (mined, said) == ([1, 1, 3], [])


def test_the_own_embedded_chain_is_mined_on_also_behind_a_proxy_that_limits(
    tmp_path: Path,
) -> None:
    """Its URL says nothing: a proxy has another one, and another chain may have taken the port."""
    own, other = EmbeddedChain(tmp_path / "chain"), EmbeddedChain(tmp_path / "other")
    try:
        with limiting_proxy(own.up().url) as proxy:
            behind = settings_for(tmp_path, proxy)
            rpc = connect(behind)
            mine = miner(behind, rpc)
            assert mine is not None
            before = rpc.block("finalized").number
            Waits(rpc, mine).for_final(receipt_of(rpc))
            assert rpc.block("finalized").number > before
        strange = settings_for(tmp_path, other.up().url)
        assert miner(strange, connect(strange)) is None
        own.down()
        assert miner(strange, connect(strange)) is None
    finally:
        own.down()
        other.down()


def settings_for(home: Path, url: str) -> Settings:
    return Settings.load({"PROVENANCE_HOME": str(home), "PROVENANCE_RPC_URL": url})

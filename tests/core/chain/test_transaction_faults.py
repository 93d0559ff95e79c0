"""A transaction is sent once, whatever crashes: the process at any line, the node, or the chain."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from provenance.chain.rpc import Receipt
from provenance.chain.transactions import Limits, TransactionManager, bump
from provenance.chain.waits import Waits
from provenance.errors import OutcomeUnknown, ProvenanceError, RejectedError, UnavailableError
from tests.support.fake_rpc import FakeRpc, refused

KEY = Account.from_key(b"\x01" * 32)
TO = Account.from_key(b"\x02" * 32).address


class Crash(BaseException):
    """The process ends here."""


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder, self.rpc = folder, FakeRpc()

    def manager(
        self, *, max_fee_wei: int = 500 * 10**9, sleep: Callable[[float], None] = lambda _: None
    ) -> TransactionManager:
        """A process that just started; waiting for a receipt takes no time."""
        return TransactionManager(self.rpc, KEY, self.folder, Limits(0.02, max_fee_wei), sleep)

    def send(self, label: str = "a", data: bytes = b"\x01") -> Receipt:
        return self.manager().send(label, TO, data)

    def crash_at(self, method: str, nth: int = 1) -> None:
        """Let the process end at the n-th call of a method."""
        seen = 0

        def before(name: str) -> None:
            nonlocal seen
            seen += name == method
            if name == method and seen == nth:
                self.rpc.before = lambda _: None
                raise Crash

        self.rpc.before = before


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_transaction_is_sent_and_found_again(bench: Bench) -> None:
    first = bench.send()
    assert bench.send() == first
    assert len(bench.rpc.broadcasts) == 1


def test_already_known_counts_as_sent_even_where_the_hash_is_not_found(bench: Bench) -> None:
    """A balanced endpoint may take the bytes at one node and look for them at another."""
    bench.rpc.automine = False
    taken = bench.rpc.send_raw

    def twice(raw: bytes) -> None:
        bench.rpc.send_raw = taken  # type: ignore[method-assign]
        taken(raw)
        bench.rpc.mine()
        bench.rpc.is_known = lambda _: False  # type: ignore[method-assign]
        raise refused("already known")

    bench.rpc.send_raw = twice  # type: ignore[method-assign]
    assert bench.send().ok
    assert len(bench.rpc.broadcasts) == 1


def test_an_endpoint_that_runs_out_of_patience_leaves_the_outcome_open(bench: Bench) -> None:
    def limited(_: bytes) -> None:
        bench.rpc.down = True
        raise UnavailableError("endpoint limits requests", actual="HTTP 429")

    bench.rpc.send_raw = limited  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown, match="run the same command again"):
        bench.send()
    del bench.rpc.send_raw
    bench.rpc.down = False
    assert bench.send().ok
    assert [s.nonce for s in bench.rpc.broadcasts] == [0]


def test_each_label_has_a_transaction_of_its_own(bench: Bench) -> None:
    assert bench.send("a").tx_hash != bench.send("b").tx_hash
    assert [s.nonce for s in bench.rpc.broadcasts] == [0, 1]


def test_a_crash_before_the_attempt_is_durable_sends_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(TransactionManager, "_persist", crash)
        with pytest.raises(Crash):
            bench.send()
    assert bench.rpc.broadcasts == []
    bench.send()
    assert len(bench.rpc.mined) == 1


def test_a_crash_after_the_attempt_is_durable_sends_the_same_bytes_later(bench: Bench) -> None:
    bench.crash_at("send_raw")
    with pytest.raises(Crash):
        bench.send()
    assert bench.rpc.broadcasts == []
    receipt = bench.send()
    assert (len(bench.rpc.mined), receipt.tx_hash) == (1, bench.rpc.broadcasts[0].hash)


def test_a_crash_after_the_broadcast_does_not_send_twice(bench: Bench) -> None:
    bench.crash_at("receipt")
    with pytest.raises(Crash):
        bench.send()
    bench.send()
    assert len(bench.rpc.broadcasts) == 1


def test_recover_ends_what_a_crash_left_open(bench: Bench) -> None:
    bench.crash_at("send_raw")
    with pytest.raises(Crash):
        bench.send("open")
    receipts = bench.manager().recover()
    assert list(receipts) == ["open"]
    bench.send("open")
    assert len(bench.rpc.broadcasts) == 1


@pytest.mark.parametrize(
    "method", ["estimate_gas", "base_fee", "mined_nonce", "send_raw", "receipt"]
)
@pytest.mark.parametrize("pooled", [False, True])
def test_a_crash_at_any_call_sends_exactly_once(bench: Bench, method: str, pooled: bool) -> None:
    bench.rpc.automine = not pooled
    bench.crash_at(method)
    with pytest.raises(Crash):
        bench.send()
    bench.rpc.automine = True
    bench.rpc.mine()
    bench.send()
    assert [s.data for s, _ in bench.rpc.mined] == [b"\x01"]


def test_a_lost_answer_to_the_broadcast_is_success(bench: Bench) -> None:
    bench.rpc.lose = ["send_raw"]
    bench.send()
    assert len(bench.rpc.mined) == 1


def test_a_transaction_mined_after_its_sender_gave_up_is_found(bench: Bench) -> None:
    bench.rpc.automine = False
    with pytest.raises(OutcomeUnknown):
        bench.manager(max_fee_wei=0).send("a", TO, b"\x01")
    bench.rpc.mine()
    assert bench.send().ok
    assert len(bench.rpc.broadcasts) == 1


def test_a_transaction_that_the_node_already_knows_is_waited_for(bench: Bench) -> None:
    """The node answers `already known` to the second broadcast of the same bytes."""
    bench.rpc.automine = False
    bench.crash_at("receipt")
    with pytest.raises(Crash):
        bench.send()

    def mine_later(name: str) -> None:
        if name == "receipt" and bench.rpc.calls.count("send_raw") == 2:
            bench.rpc.mine()

    bench.rpc.before = mine_later
    receipt = bench.send()
    assert [receipt.tx_hash] == [sent.hash for sent in bench.rpc.broadcasts]


def test_a_transaction_mined_while_its_attempt_is_looked_up_is_not_sent_twice(bench: Bench) -> None:
    """It is mined after the question for a receipt and before the question for the nonce."""
    bench.rpc.automine = False
    with pytest.raises(OutcomeUnknown):
        bench.manager(max_fee_wei=0).send("a", TO, b"\x01")
    bench.rpc.before = lambda name: bench.rpc.mine() if name == "mined_nonce" else None
    bench.send()
    assert len(bench.rpc.broadcasts) == 1


def test_a_replacement_refused_because_the_first_was_mined_is_success(bench: Bench) -> None:
    """The node answers `nonce too low` to the raised attempt, because the first was mined."""
    bench.rpc.automine = False
    bench.rpc.before = lambda name: (
        bench.rpc.mine() if name == "send_raw" and bench.rpc.broadcasts else None
    )
    receipt = bench.send()
    assert (receipt.tx_hash, len(bench.rpc.mined)) == (bench.rpc.broadcasts[0].hash, 1)


def test_a_transaction_nobody_took_is_withdrawn_and_its_nonce_free(bench: Bench) -> None:
    bench.rpc.refuse = [refused("insufficient funds for gas * price + value")]
    with pytest.raises(RejectedError, match="chain refused"):
        bench.send("a")
    bench.send("b", b"\x02")
    assert [(s.nonce, s.data) for s, _ in bench.rpc.mined] == [(0, b"\x02")]
    bench.send("a")
    assert [(s.nonce, s.data) for s, _ in bench.rpc.mined] == [(0, b"\x02"), (1, b"\x01")]


def test_a_call_that_would_revert_is_not_sent(bench: Bench) -> None:
    bench.rpc.reverts = True
    with pytest.raises(RejectedError, match="contract refuses"):
        bench.send()
    assert bench.rpc.broadcasts == []


def test_a_transaction_mined_and_reverted_is_rejected_and_may_be_tried_again(bench: Bench) -> None:
    bench.rpc.automine = False
    bench.rpc.before = lambda name: bench.rpc.mine(ok=False) if name == "receipt" else None
    with pytest.raises(RejectedError, match="mined and reverted"):
        bench.send()
    bench.rpc.before = lambda _: None
    bench.rpc.automine = True
    assert bench.send().ok
    assert [ok for _, ok in bench.rpc.mined] == [False, True]


def test_a_chain_that_is_down_before_the_broadcast_sends_nothing(bench: Bench) -> None:
    bench.rpc.down = True
    with pytest.raises(UnavailableError):
        bench.send()
    bench.rpc.down = False
    bench.send()
    assert len(bench.rpc.broadcasts) == 1


@pytest.mark.parametrize("method", ["send_raw", "receipt"])
def test_a_chain_that_goes_down_after_signing_leaves_the_outcome_unknown(
    bench: Bench, method: str
) -> None:
    bench.rpc.before = lambda name: setattr(bench.rpc, "down", bench.rpc.down or name == method)
    with pytest.raises(OutcomeUnknown, match="stopped answering"):
        bench.send()
    bench.rpc.before, bench.rpc.down = (lambda _: None), False
    bench.send()
    assert len(bench.rpc.mined) == 1


# Fees and nonces


@given(st.integers(0, 10**18))
def test_a_bump_is_at_least_ten_per_cent(fee: int) -> None:
    assert 10 * bump(fee) >= 11 * fee
    assert bump(fee) > fee
    assert 10 * (bump(fee) - 1) < 11 * fee or bump(fee) == fee + 1


def test_both_fees_are_raised_until_it_is_mined(bench: Bench) -> None:
    """The node takes a replacement only at +10 % on both fields (go-ethereum's PriceBump)."""
    bench.rpc.automine = False
    bench.rpc.base_fee = 7
    bench.rpc.before = lambda name: bench.rpc.mine() if len(bench.rpc.broadcasts) == 4 else None
    bench.send()
    sent = bench.rpc.broadcasts
    assert [s.nonce for s in sent] == [0] * 4
    for old, new in itertools.pairwise(sent):
        assert 10 * new.fee >= 11 * old.fee
        assert 10 * new.tip >= 11 * old.tip
        assert new.tip <= new.fee


def test_fees_stop_at_the_cap(bench: Bench) -> None:
    bench.rpc.automine = False
    cap = 4 * 10**9
    with pytest.raises(OutcomeUnknown, match="not mined yet"):
        bench.manager(max_fee_wei=cap).send("a", TO, b"\x01")
    assert [s.fee <= cap for s in bench.rpc.broadcasts] == [True] * len(bench.rpc.broadcasts)
    assert bump(bench.rpc.broadcasts[-1].fee) > cap


def test_a_base_fee_above_the_cap_is_cut_to_the_cap(bench: Bench) -> None:
    bench.rpc.base_fee = 10**12
    bench.manager(max_fee_wei=10**9).send("a", TO, b"\x01")
    assert (bench.rpc.broadcasts[0].fee, bench.rpc.broadcasts[0].tip) == (10**9, 10**9)


def test_raised_attempts_survive_a_crash_and_any_of_them_counts(bench: Bench) -> None:
    bench.rpc.automine = False
    with pytest.raises(OutcomeUnknown):
        bench.send()
    first = bench.rpc.broadcasts[0]
    assert len(bench.rpc.broadcasts) > 2
    bench.rpc.pool[0] = first  # the first attempt is mined
    bench.rpc.mine()
    assert bench.send().tx_hash == first.hash


def test_the_nonce_comes_from_mined_blocks_only(bench: Bench) -> None:
    bench.send("a")
    assert "pending_nonce" not in bench.rpc.calls
    assert bench.rpc.broadcasts[0].nonce == 0
    bench.send("b")
    assert bench.rpc.broadcasts[1].nonce == 1


def test_an_open_attempt_is_finished_before_another_is_sent(bench: Bench) -> None:
    bench.rpc.automine = False
    with pytest.raises(OutcomeUnknown):
        bench.manager(max_fee_wei=0).send("a", TO, b"\x01")
    bench.rpc.automine = True
    bench.rpc.mine()
    bench.send("b", b"\x02")
    assert [(s.nonce, s.data) for s, _ in bench.rpc.mined] == [(0, b"\x01"), (1, b"\x02")]


def test_a_stuck_attempt_blocks_others_rather_than_skipping_its_nonce(bench: Bench) -> None:
    bench.rpc.automine = False
    for label in ("a", "b"):
        with pytest.raises(OutcomeUnknown):
            bench.manager(max_fee_wei=0).send(label, TO, label.encode())
    assert {s.data for s in bench.rpc.broadcasts} == {b"a"}


def test_a_fee_that_is_raised_is_told(bench: Bench) -> None:
    bench.rpc.automine = False
    bench.rpc.before = lambda name: (
        bench.rpc.mine() if name == "send_raw" and bench.rpc.broadcasts else None
    )
    manager, said = bench.manager(), list[str]()
    manager.say = said.append
    manager.send("a", TO, b"\x01")
    assert said
    assert said[0].startswith("warning: transaction a is not mined after")


# Reorgs and wiped chains


def test_a_reorged_transaction_is_sent_again(bench: Bench) -> None:
    first = bench.send()
    bench.rpc.reorg(keep_in_pool=False)
    assert bench.send().tx_hash == first.tx_hash
    assert len(bench.rpc.mined) == 1


def test_a_nonce_taken_by_another_transaction_opens_the_intent_again(bench: Bench) -> None:
    bench.send("a")
    bench.rpc.reorg(keep_in_pool=False)
    elsewhere = TransactionManager(bench.rpc, KEY, bench.folder / "elsewhere", Limits(wait_s=0.02))
    elsewhere.send("other", TO, b"\x99")
    bench.send("a")
    assert [s.data for s, _ in bench.rpc.mined] == [b"\x99", b"\x01"]


def test_finality_after_a_reorg_is_an_unknown_outcome(bench: Bench) -> None:
    receipt = bench.send()
    bench.rpc.height += 5
    Waits(bench.rpc, None).for_final(receipt)
    bench.rpc.forks += 1
    with pytest.raises(OutcomeUnknown, match="reorganisation"):
        Waits(bench.rpc, None).for_final(receipt)


def test_after_a_wiped_chain_everything_is_sent_again_in_order(bench: Bench) -> None:
    for label in ("a", "b"):
        bench.send(label, label.encode())
    bench.rpc.wipe()
    bench.send("b", b"b")
    assert [s.data for s, _ in bench.rpc.mined] == [b"a", b"b"]


def test_a_torn_attempts_file_is_no_obstacle(bench: Bench) -> None:
    bench.send("a")
    attempts = bench.folder / KEY.address.lower() / "attempts"
    attempts.write_bytes(attempts.read_bytes() + b"\0\0\1")
    bench.send("b")
    assert len(bench.rpc.mined) == 2


@given(
    st.lists(st.sampled_from(["send_raw", "receipt", "mined_nonce", "estimate_gas"]), max_size=5),
    st.booleans(),
)
def test_any_sequence_of_crashes_sends_each_intent_once(
    tmp_path_factory: pytest.TempPathFactory, crashes: list[str], mines: bool
) -> None:
    bench = Bench(tmp_path_factory.mktemp("attempts"))
    for method in crashes:
        bench.rpc.automine = mines
        bench.crash_at(method)
        try:
            bench.send("a", b"a")
        except (Crash, ProvenanceError):
            bench.rpc.mine()
        bench.rpc.before = lambda _: None
    bench.rpc.automine = True
    bench.rpc.mine()
    bench.send("a", b"a")
    assert [s.data for s, _ in bench.rpc.mined] == [b"a"]

"""The anchorer against a chain that goes away, forgets to answer, or holds something else."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from eth_account import Account

from provenance.errors import InputError, RejectedError, UnavailableError, VerificationError
from provenance.ids import RunId
from provenance.layout import RunFolder
from provenance.log.anchoring import Anchorer, AnchorThread, Committed, SignedHead, read_heads
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.tree import Head
from provenance.merkle import EMPTY_ROOT
from provenance.signing import Domain, sign_head, verify_head
from tests.support import plain
from tests.support.core.consistency import verify_consistency
from tests.support.journals import HEADER

RUN = RunId(b"\x11" * 32)
KEY = Account.from_key(b"\x01" * 32)
DOMAIN = Domain(31337, "0x" + "ab" * 20)


class StrictCommitter:
    """The registry's `commit` in memory, with the contract's rules.

    The sequence number must be the next, the size must grow, the root must be consistent. Calls and
    answers can be lost.
    """

    def __init__(self) -> None:
        self.state = Committed(0, 0, b"")
        self.commits: list[int] = []
        self.down = False
        self.lose_answer = 0

    def committed(self, run_id: bytes) -> Committed:
        assert run_id == RUN
        if self.down:
            raise UnavailableError("chain does not answer")
        return self.state

    def sign_head(self, head: Head) -> bytes:
        return sign_head(KEY, head, DOMAIN)

    def commit(self, seq: int, head: Head, proof: list[bytes]) -> None:
        assert head.run_id == RUN
        if self.down:
            raise UnavailableError("chain does not answer")
        if seq != self.state.seq + 1 or head.size <= self.state.size:
            raise RejectedError(
                "contract refuses the call", expected=self.state.seq + 1, actual=seq
            )
        verify_consistency(
            self.state.size, head.size, proof, self.state.root or EMPTY_ROOT, head.root
        )
        self.state = Committed(seq, head.size, head.root)
        self.commits.append(head.size)
        if self.lose_answer:
            self.lose_answer -= 1
            raise UnavailableError("the answer was lost")


def record(i: int) -> Record:
    return Record.make("tombstone", plain.TIME, dataset=plain.W["a"], leaf=f"0x{i:064x}")


class Bench:
    """A journal, an anchorer over it and the committer behind."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.committer = RunFolder(folder), StrictCommitter()
        self.journal = Journal.create(self.folder.journal, HEADER)
        self.anchorer = self.make()

    def make(self) -> Anchorer:
        return Anchorer(RUN, self.folder, self.committer, lambda: self.journal.durable)

    def write(self, count: int) -> None:
        for _ in range(count):
            self.journal.append(record(len(self.journal)).to_bytes())
        self.journal.barrier()

    def heads(self) -> list[SignedHead]:
        return read_heads(self.folder.heads)

    def close(self) -> None:
        self.anchorer.close()
        self.journal.close()


@pytest.fixture
def bench(tmp_path: Path) -> object:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_the_backlog_drains_when_the_chain_comes_back(bench: Bench) -> None:
    bench.write(3)
    assert bench.anchorer.anchor().size == 3
    bench.committer.down = True
    for _ in range(4):
        bench.write(5)
        with pytest.raises(UnavailableError):
            bench.anchorer.anchor()
    bench.committer.down = False
    assert bench.anchorer.anchor().size == 23
    assert bench.committer.commits == [3, 23]


def test_a_lost_answer_does_not_commit_twice(bench: Bench) -> None:
    bench.write(3)
    bench.committer.lose_answer = 1
    with pytest.raises(UnavailableError, match="lost"):
        bench.anchorer.anchor()
    assert bench.anchorer.anchor() == bench.committer.state
    bench.write(1)
    assert bench.anchorer.anchor().seq == 2
    assert bench.committer.commits == [3, 4]


def test_a_lost_answer_and_a_restart_do_not_commit_twice(bench: Bench) -> None:
    bench.write(3)
    bench.committer.lose_answer = 1
    with pytest.raises(UnavailableError):
        bench.anchorer.anchor()
    bench.anchorer.close()
    bench.anchorer = bench.make()
    bench.write(2)
    assert bench.anchorer.anchor().size == 5
    assert bench.committer.commits == [3, 5]


def test_nothing_new_means_no_commit(bench: Bench) -> None:
    bench.write(2)
    bench.anchorer.anchor()
    bench.anchorer.anchor()
    assert (bench.committer.commits, len(bench.heads())) == ([2], 1)


def test_an_empty_journal_is_not_committed(bench: Bench) -> None:
    assert bench.anchorer.anchor().size == 0
    assert bench.committer.commits == []


def test_only_durable_frames_are_committed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(3)
    durable = 2
    bench.anchorer.close()
    anchorer = Anchorer(RUN, bench.folder, bench.committer, lambda: durable)
    assert anchorer.anchor().size == 2
    durable = 3
    assert anchorer.anchor().size == 3
    anchorer.close()
    bench.close()


@pytest.mark.parametrize(
    "state",
    [Committed(1, 9, bytes(32)), Committed(1, 2, bytes(32)), Committed(5, 3, bytes(32))],
    ids=["longer", "another prefix", "another root of the same size"],
)
def test_a_journal_that_does_not_extend_the_committed_head_is_refused(
    bench: Bench, state: Committed
) -> None:
    bench.write(3)
    bench.committer.state = state
    with pytest.raises(VerificationError, match="not a prefix"):
        bench.anchorer.anchor()
    assert (bench.heads(), bench.committer.commits) == ([], [])


def test_a_journal_replaced_after_anchoring_is_refused(bench: Bench) -> None:
    bench.write(3)
    bench.anchorer.anchor()
    bench.anchorer.close()
    bench.journal.close()
    bench.folder.journal.unlink()
    bench.journal = Journal.create(bench.folder.journal, HEADER)
    bench.journal.append(record(99).to_bytes())
    bench.write(4)
    bench.anchorer = bench.make()
    with pytest.raises(VerificationError, match="not a prefix"):
        bench.anchorer.anchor()


def test_every_committed_head_was_signed_and_stored_before(bench: Bench) -> None:
    bench.write(2)
    bench.committer.lose_answer = 1
    with pytest.raises(UnavailableError):
        bench.anchorer.anchor()
    (signed,) = bench.heads()
    assert (signed.seq, signed.head.size) == (1, 2)
    verify_head(signed.head, DOMAIN, signed.signature, KEY.address)


def test_a_torn_line_of_heads_is_overwritten(bench: Bench) -> None:
    bench.write(1)
    bench.anchorer.anchor()
    heads = bench.folder.heads
    heads.write_bytes(heads.read_bytes() + b'{"run_id": "0x11')
    assert len(bench.heads()) == 1
    bench.write(1)
    bench.anchorer.anchor()
    assert [h.head.size for h in bench.heads()] == [1, 2]


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"1",
        b"x",
        b"[" * 100_000,
        b'{"run_id":5}',
        b'{"run_id":"0x%s","seq":1,"size":Infinity,"root":"0x%s","signature":"0x"}'
        % (b"11" * 32, b"11" * 32),
        b'{"run_id":"0x%s","seq":1,"size":1e999,"root":"0x%s","signature":"0x"}'
        % (b"11" * 32, b"11" * 32),
        b'{"run_id":"0x%s","seq":1,"size":-1,"root":"0x%s","signature":"0x"}'
        % (b"11" * 32, b"11" * 32),
        b'{"run_id":"0x%s","seq":1.5,"size":1,"root":"0x%s","signature":"0x"}'
        % (b"11" * 32, b"11" * 32),
        b'{"run_id":"0x%s","seq":1,"size":1,"root":"0x11","signature":"0x"}' % (b"11" * 32),
        b'{"run_id":"0x%s","seq":1,"size":1,"root":["11"],"signature":"0x"}' % (b"11" * 32),
    ],
    ids=[
        "no fields",
        "a list",
        "a number",
        "no JSON",
        "deeply nested",
        "run id a number",
        "size infinite",
        "size beyond floats",
        "size negative",
        "seq a fraction",
        "root short",
        "root a list",
    ],
)
def test_malformed_heads_are_refused(line: bytes) -> None:
    with pytest.raises(InputError, match="not a signed head"):
        SignedHead.parse(line)


def test_signed_heads_round_trip(bench: Bench) -> None:
    bench.write(1)
    bench.anchorer.anchor()
    (head,) = bench.heads()
    assert SignedHead.parse(head.to_line()) == head


def test_the_thread_reports_once_and_drains_the_backlog(tmp_path: Path) -> None:
    bench, said, spoke = Bench(tmp_path), [], threading.Event()

    def report(text: str) -> None:
        said.append(text)
        spoke.set()

    bench.committer.down = True
    bench.write(2)
    thread = AnchorThread(bench.anchorer, 3600, report)
    thread.request()
    assert spoke.wait(30)
    assert "behind" in thread.status()
    bench.committer.down = False
    assert thread.close() is True
    assert (bench.committer.commits, said[1:]) == ([2], ["anchoring works again; backlog drained"])
    bench.journal.close()


def test_the_thread_says_when_a_backlog_is_left(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(2)
    bench.committer.down = True
    thread = AnchorThread(bench.anchorer, 3600, lambda _: None)
    assert thread.close() is False
    bench.journal.close()

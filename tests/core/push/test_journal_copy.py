"""A journal that arrives in pieces: what is written, what is refused, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.errors import Conflict, InputError, VerificationError
from provenance.log.frames import make_frame
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.push import copy as copying
from provenance.push.copy import NOTHING, JournalCopy, OffsetConflict, Received, pieces
from tests.support.journals import HEADER

TIME = "2026-01-02T03:04:05Z"


def record(number: int, padding: int = 0) -> Record:
    return Record.make("eval", TIME, step=number, metrics={"loss": padding}, subject="training")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "own" / "journal"
    with Journal.create(path, HEADER) as made:
        for number in range(40):
            made.append(record(number).to_bytes())
    return path


@pytest.fixture
def copy(tmp_path: Path) -> JournalCopy:
    (tmp_path / "copy").mkdir()
    return JournalCopy(tmp_path / "copy" / "journal", lambda _: None)


def sent(journal: Path, copy: JournalCopy, most: int | None = None) -> int:
    """Send pieces, at most so many; how many were sent."""
    count = 0
    for offset, piece, then in pieces(journal, copy.received()):
        if count == most:
            break
        assert copy.append(offset, piece) == then == copy.received()
        count += 1
    return count


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "PIECE_BYTES", 1500)


def test_a_copy_becomes_the_journal(journal: Path, copy: JournalCopy, tmp_path: Path) -> None:
    assert copy.received() == NOTHING
    assert sent(journal, copy) > 3
    assert (tmp_path / "copy" / "journal").read_bytes() == journal.read_bytes()
    assert copy.received().records == 40
    assert sent(journal, copy) == 0
    with Journal.open(journal) as more:
        more.append(record(40).to_bytes())
    assert sent(journal, copy) == 1
    assert (tmp_path / "copy" / "journal").read_bytes() == journal.read_bytes()


def test_it_goes_on_where_it_was_stopped(journal: Path, copy: JournalCopy, tmp_path: Path) -> None:
    sent(journal, copy, most=2)
    again = JournalCopy(tmp_path / "copy" / "journal", lambda _: None)  # another process
    assert 0 < again.received().records < 40
    sent(journal, again)
    assert (tmp_path / "copy" / "journal").read_bytes() == journal.read_bytes()


def test_a_piece_that_comes_twice_is_written_once(journal: Path, copy: JournalCopy) -> None:
    offset, piece, then = next(pieces(journal, NOTHING))
    copy.append(offset, piece)
    with pytest.raises(OffsetConflict) as caught:
        copy.append(offset, piece)
    assert caught.value.received == then == copy.received()


@pytest.mark.parametrize("end", [1, 20, 60, 100])
def test_what_a_crash_tore_is_cut_off(
    journal: Path, copy: JournalCopy, tmp_path: Path, end: int
) -> None:
    sent(journal, copy, most=2)
    before, path = copy.received(), tmp_path / "copy" / "journal"
    rest = journal.read_bytes()[before.size :]
    path.write_bytes(path.read_bytes() + rest[:end])
    again = JournalCopy(path, lambda _: None)
    assert again.received() == before
    assert path.stat().st_size == before.size
    sent(journal, again)
    assert path.read_bytes() == journal.read_bytes()


def test_damage_is_not_taken_for_a_crash(journal: Path, copy: JournalCopy, tmp_path: Path) -> None:
    sent(journal, copy)
    path = tmp_path / "copy" / "journal"
    for at in (4, 60, 900):
        data = bytearray(journal.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)
        with pytest.raises(VerificationError):
            JournalCopy(path, lambda _: None).received()
        assert path.read_bytes() == data


def altered(piece: bytes, at: int) -> bytes:
    return piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :]


REFUSED: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "torn": lambda piece: piece[:-1],
    "altered": lambda piece: altered(piece, len(piece) // 2),
    "the header again": lambda piece: b"PROVJNL1" + piece,
    "a frame twice": lambda piece: piece + piece[-200:],
    "zeros": lambda piece: piece + bytes(4096),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_a_piece_that_is_not_the_next_whole_records_is_refused(
    journal: Path, copy: JournalCopy, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    first, second, *_ = pieces(journal, NOTHING)
    with pytest.raises(InputError):
        copy.append(0, change(first[1]))
    assert copy.received() == NOTHING
    copy.append(first[0], first[1])
    with pytest.raises(InputError):
        copy.append(second[0], change(second[1]))
    assert copy.received() == first[2]
    assert (tmp_path / "copy" / "journal").read_bytes() == first[1]


def test_a_frame_that_is_no_record_is_refused(journal: Path, copy: JournalCopy) -> None:
    sent(journal, copy)
    received = copy.received()
    for payload in (b"", b"{}", b'{"type":"resume"}', b"\x80"):
        frame, _ = make_frame(received.records, received.last, payload)
        with pytest.raises(InputError):
            copy.append(received.size, frame)
    assert copy.received() == received


def test_what_the_opening_refuses_leaves_nothing(journal: Path, tmp_path: Path) -> None:
    def refuse(_: Record) -> None:
        raise InputError("another run")

    path = tmp_path / "journal"
    offset, piece, _ = next(pieces(journal, NOTHING))
    with pytest.raises(InputError, match="another run"):
        JournalCopy(path, refuse).append(offset, piece)
    assert not path.exists()


def test_a_journal_beyond_a_verifiers_budget_is_refused(
    journal: Path, copy: JournalCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "MAX_EVIDENCE_BYTES", 3000)
    monkeypatch.setattr(copying, "MEAN_RECORD_BYTES", 0)
    with pytest.raises(InputError, match="too much evidence"):
        sent(journal, copy)
    assert 0 < copy.received().size <= 3000 + 200


def test_a_record_that_no_piece_holds_is_refused_before_it_is_sent(
    journal: Path, copy: JournalCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "MOST_PIECE_BYTES", 100)
    with pytest.raises(InputError, match="longer than a service takes"):
        sent(journal, copy)


def test_another_journal_is_not_continued(journal: Path, copy: JournalCopy, tmp_path: Path) -> None:
    """The attack: one run's journal is pushed over another's copy."""
    sent(journal, copy, most=2)
    other = tmp_path / "other"
    with Journal.create(other, HEADER) as made:
        for number in range(60):
            made.append(record(number, 1).to_bytes())
    with pytest.raises(Conflict, match="another journal"):
        sent(other, copy)


@pytest.mark.parametrize(
    "claim",
    [
        Received(1, 0, bytes(32)),
        Received(10**9, 40, bytes(32)),
        Received(0, 3, bytes(32)),
        Received(0, 0, b"\1" * 32),
    ],
)
def test_a_service_that_claims_what_it_cannot_have_gets_nothing(
    journal: Path, claim: Received
) -> None:
    with pytest.raises(Conflict):
        list(pieces(journal, claim))


def test_a_service_with_more_than_is_here_is_told(
    journal: Path, copy: JournalCopy, tmp_path: Path
) -> None:
    """A folder restored from an old copy must not look as if all were well."""
    sent(journal, copy)
    older = tmp_path / "older"
    with Journal.create(older, HEADER) as made:
        for number in range(30):
            made.append(record(number).to_bytes())
    with pytest.raises(Conflict, match="goes further"):
        sent(older, copy)


def test_a_torn_record_here_is_not_sent(journal: Path, copy: JournalCopy, tmp_path: Path) -> None:
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-5])
    sent(journal, copy)
    assert copy.received().records == 39
    journal.write_bytes(whole)
    sent(journal, copy)
    assert (tmp_path / "copy" / "journal").read_bytes() == whole

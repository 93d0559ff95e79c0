"""A copy of a journal that grows by pieces which somebody sends.

Each piece is whole frames. It is written if it goes on exactly where the copy ends, and if its
frames are chained to it and hold records. So a piece that is sent twice, or by two senders at a
time, is written once, and what was written is a beginning of the sender's journal.

What survives a crash: every piece whose `append` returned, and perhaps whole frames of the next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from provenance.causes import cause_of
from provenance.digest import open_regular
from provenance.durable import write_all
from provenance.errors import Conflict, InputError, OutputError, VerificationError
from provenance.layout import write_atomically
from provenance.log.frames import (
    Allowance,
    Frame,
    Place,
    TornTail,
    parse_frames,
    parse_header,
)
from provenance.log.record import Record
from provenance.verify.sources.evidence import MAX_EVIDENCE_BYTES, MEAN_RECORD_BYTES
from provenance.windows import FileBytes

PIECE_BYTES = 1 << 20
"""Bytes of a piece that a sender aims at."""
MOST_PIECE_BYTES = 8 << 20
"""Bytes of the longest piece that is taken, so also of a record with what frames it."""


@dataclass(frozen=True)
class Received:
    """How much of a journal is there.

    size: bytes of the file, with its header.
    records: whole frames.
    last: SHA-256 of the last frame, which covers all before it; of the header if there is none.
    """

    size: int
    records: int
    last: bytes


_NAME = Path("journal")  # in errors about what somebody else sent
NOTHING = Received(0, 0, bytes(32))


class OffsetConflict(Conflict):
    """A piece does not go on where the copy ends. `received` says where that is."""

    code = "offset"

    def __init__(self, received: Received, offset: int) -> None:
        super().__init__(
            "piece of a journal does not go on where the copy ends",
            expected=f"offset {received.size}",
            actual=f"offset {offset}",
            hint="ask how far the copy is, and go on there",
        )
        self.received = received


class JournalCopy:
    """The copy at a path, in a folder that is there. Whoever appends holds the run's lock.

    Args:
        opening: is given record 0 before anything is written, and refuses it with an error.
    """

    def __init__(self, path: Path, opening: Callable[[Record], None]) -> None:
        self._path, self._opening = path, opening
        self._known: tuple[tuple[int, int, int], Place] | None = None

    def received(self) -> Received:
        """How much is there. A torn last frame, which a crash left, is cut off.

        Raises:
            VerificationError: the copy is damaged before its end.
            OutputError: it cannot be read or cut.
        """
        place = self._place()
        return NOTHING if place is None else Received(place.offset, place.seq, place.prev)

    def append(self, offset: int, piece: bytes) -> Received:
        """Write a piece (attacker-controlled); durable on return.

        Args:
            offset: in the sender's journal, of the piece's first byte.

        Raises:
            OffsetConflict: the copy ends elsewhere.
            InputError: the piece is not whole frames of records that are chained to the copy, or
                makes it longer than a verifier reads.
            OutputError: the disk refuses; the copy is as it was.
        """
        received = self.received()
        if offset != received.size:
            raise OffsetConflict(received, offset)
        place, start = Place(received.records, received.last, offset), 0
        if offset == 0:
            _, place = parse_header(piece, _NAME)
            start = place.offset
        end = place
        for frame in self._frames(piece, start, place):
            record = Record.parse(frame.payload)
            if frame.seq == 0:
                self._opening(record)
            end = frame.next
        if end is place:
            raise InputError("piece of a journal holds no record", where=f"offset {offset}")
        self._write(offset, piece)
        self._known = (seen_as(os.stat(self._path)), end)
        return Received(end.offset, end.seq, end.prev)

    def _frames(self, piece: bytes, start: int, place: Place) -> Iterator[Frame]:
        used = max(0, place.offset - start)
        left = Allowance(
            MAX_EVIDENCE_BYTES + place.seq * MEAN_RECORD_BYTES - used, MEAN_RECORD_BYTES
        )
        try:
            yield from parse_frames(piece, start, place, _NAME, left)
        except TornTail as tail:
            raise InputError(
                "piece of a journal ends in an unfinished record", where=f"offset {tail.offset}"
            ) from None
        except VerificationError as error:
            raise InputError(
                "piece of a journal is damaged, or does not go on from the copy",
                where=f"record {place.seq} or after",
            ) from error

    def _write(self, offset: int, piece: bytes) -> None:
        if offset == 0:
            write_atomically(self._path, piece)  # so a header is never torn
            return
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                write_all(fd, piece, offset)
                os.fdatasync(fd)
            except OSError:
                os.ftruncate(fd, offset)
                raise
            finally:
                os.close(fd)
        except OSError as error:
            raise OutputError(
                "cannot write journal", where=str(self._path), actual=cause_of(error, self._path)
            ) from error

    def _place(self) -> Place | None:
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            with os.fdopen(fd, "r+b") as stream:
                status = os.fstat(stream.fileno())
                if self._known is not None and self._known[0] == seen_as(status):
                    return self._known[1]
                place = _end_of(FileBytes(stream), self._path)
                if place.offset < status.st_size:
                    os.ftruncate(stream.fileno(), place.offset)
                self._known = (seen_as(os.fstat(stream.fileno())), place)
                return place
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(
                "cannot read journal", where=str(self._path), actual=cause_of(error, self._path)
            ) from error


def _end_of(data: FileBytes, path: Path) -> Place:
    try:
        *_, end = _ends(data, path)
    except InputError as error:
        raise VerificationError(error.what, where=error.where) from error
    return end


def pieces(
    path: Path, after: Received, *, compared: bool = False
) -> Iterator[tuple[int, bytes, Received]]:
    """(offset, piece, what is there once it was written) of a journal, after what a copy has.

    What is sent was made durable before, though another process may be writing the journal.

    Args:
        after: what the copy says that it has (attacker-controlled).
        compared: whether it is known to be a beginning of this journal, which is not read again.

    Raises:
        Conflict: the copy is not a beginning of this journal.
        InputError: it is no journal, or has a record that no piece can hold.
        VerificationError: it is damaged before its end.
    """
    with open_regular(path) as stream:
        data = FileBytes(stream)
        os.fdatasync(stream.fileno())  # a copy never has more than what outlives a crash here
        place = Place(after.records, after.last, after.size) if compared else None
        ends = _ends(data, path, place)
        own, start = next(ends), after.size if compared else 0
        if after != NOTHING and not compared:
            while own.offset < after.size and (more := next(ends, None)) is not None:
                own = more
            _require_same(after, own, path)
            start = own.offset
        whole = 0  # bytes of whole records after `start`
        for more in ends:
            if whole and more.offset - start > PIECE_BYTES:
                yield start, _slice(data, start, own), _received(own)
                start = own.offset
            own, whole = more, more.offset - start
        if whole:
            yield start, _slice(data, start, own), _received(own)


def _ends(data: FileBytes, path: Path, place: Place | None = None) -> Iterator[Place]:
    """Where the header of a journal ends, and each whole frame; or a place, and all after it."""
    if place is None:
        _, place = parse_header(data, path)
    yield place
    with suppress(TornTail):
        for frame in parse_frames(data, place.offset, place, path):
            yield frame.next


def _slice(data: FileBytes, start: int, end: Place) -> bytes:
    if end.offset - start > MOST_PIECE_BYTES:
        raise InputError(
            "record is longer than a service takes",
            where=f"record {end.seq - 1}",
            expected=f"<= {MOST_PIECE_BYTES} bytes",
            actual=f"{end.offset - start} bytes",
        )
    return data[start : end.offset]


def _received(place: Place) -> Received:
    return Received(place.offset, place.seq, place.prev)


def _require_same(copy: Received, own: Place, path: Path) -> None:
    if copy != _received(own):
        raise Conflict(
            "service has another journal of this run, or one that goes further",
            where=str(path),
            expected=f"a beginning of the journal here, {own.seq} records of which were compared",
            actual=f"{copy.records} records",
            hint="push from the machine that trained the run",
        )


def seen_as(status: os.stat_result) -> tuple[int, int, int]:
    """What tells a file from a changed one: inode, bytes, nanoseconds of the last change."""
    return status.st_ino, status.st_size, status.st_mtime_ns

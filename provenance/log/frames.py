"""The bytes of a journal: reading them, and telling a crash from damage.

File layout (integers big-endian):

    offset 0   8   magic "PROVJNL1"
           8   4   length of header
          12   ..  header, canonical JSON
    then frames: length u32 | seq u64 | prev 32 | payload | sha256 32

`sha256` covers everything of the frame before it. `prev` is the `sha256` of the frame before; for
frame 0 it is the SHA-256 of magic, length and header. So nobody can move or remove a frame
unnoticed.

NOT promised: secrecy, or that the file was not rewritten as a whole. Heads on the chain show that.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from provenance.causes import cause_of
from provenance.encoding import canonical_json, parse_json, u32, u64
from provenance.errors import InputError, VerificationError
from provenance.windows import FileBytes

MAGIC = b"PROVJNL1"
MAX_PAYLOAD_BYTES = 1 << 30
MAX_HEADER_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20
_SECTOR_BYTES = 512
_HEAD = struct.Struct(">IQ32s")
_OVERHEAD_BYTES = _HEAD.size + 32


@dataclass(frozen=True)
class Frame:
    """One frame of a journal; `end` is the file offset after it."""

    seq: int
    payload: bytes
    hash: bytes
    end: int

    @property
    def next(self) -> Place:
        """Where the following frame stands."""
        return Place(self.seq + 1, self.hash, self.end)


@dataclass(frozen=True)
class Place:
    """Between two frames: the seq and `prev` of the frame that follows, and its file offset."""

    seq: int
    prev: bytes
    offset: int


class Allowance:
    """How many bytes of payloads a reader takes: `most` in all, and `each` more for every frame."""

    def __init__(self, most: int, each: int) -> None:
        self._left, self._each = most, each

    def take(self, length: int, where: str) -> None:
        """Account for a payload before it is read.

        Raises:
            InputError: it is more than what is left.
        """
        self._left += self._each
        if length > self._left:
            raise InputError(
                "too much evidence", where=where, expected=f"<= {self._left} bytes", actual=length
            )
        self._left -= length


class TornTail(Exception):
    """The file ends in an unfinished frame, which begins at `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


def make_header(header: Mapping[str, Any]) -> bytes:
    """The first bytes of a journal."""
    data = canonical_json(header)
    return MAGIC + u32(len(data)) + data


def make_frame(seq: int, prev: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """(bytes of frame `seq` that holds `payload`, its hash).

    `prev` is the hash of the one before.
    """
    head = _HEAD.pack(len(payload), seq, prev)
    digest = hashlib.sha256(head + payload).digest()
    return head + payload + digest, digest


Bytes = bytes | FileBytes
"""What is parsed: bytes, or a file of which no more is in memory than one payload."""


def parse_header(data: Bytes, path: Path) -> tuple[dict[str, Any], Place]:
    """The header of a journal, and the place of its first frame (`data` is attacker-controlled).

    Raises:
        InputError: not a journal, or a damaged header.
    """
    if data[:8] != MAGIC or len(data) < 12:
        raise InputError(
            "not a journal", where=str(path), expected=MAGIC.decode(), actual=repr(data[:8])
        )
    end = 12 + int.from_bytes(data[8:12], "big")
    if end > MAX_HEADER_BYTES:
        raise InputError("journal header is damaged", where=str(path))
    try:
        header = parse_json(data[12:end])
    except ValueError as error:
        raise InputError("journal header is damaged", where=str(path)) from error
    if len(data) < end or not isinstance(header, dict):
        raise InputError("journal header is damaged", where=str(path))
    return header, Place(0, hashlib.sha256(data[:end]).digest(), end)


def parse_frames(
    data: Bytes, start: int, place: Place, path: Path, allowance: Allowance | None = None
) -> Iterator[Frame]:
    """The frames in `data[start:]`, the first of which stands at `place` in the file.

    Raises:
        InputError: more than the allowance.
        TornTail: the last frame is unfinished.
        VerificationError: a frame before it is damaged.
    """
    base = place.offset - start
    while start < len(data):
        if allowance is not None and (length := _length(data, start)) is not None:
            allowance.take(length, f"{path} frame {place.seq}")
        frame = _parse_frame(data, start, place, base)
        if frame is None:
            if _is_torn(_Rest(data, start), place):
                raise TornTail(place.offset)
            raise VerificationError(
                "journal is damaged before its end",
                where=f"{path} frame {place.seq}",
                hint="restore the journal from a copy; heads on the chain tell which copy is whole",
            )
        yield frame
        place, start = frame.next, frame.end - base


def _length(data: Bytes, start: int) -> int | None:
    """The payload's length by the frame's first bytes; None if the file holds no such frame."""
    length = int.from_bytes(data[start : start + 4], "big")
    return length if start + _OVERHEAD_BYTES + length <= len(data) else None


def _parse_frame(data: Bytes, start: int, place: Place, base: int) -> Frame | None:
    if len(data) - start < _OVERHEAD_BYTES:
        return None
    head = data[start : start + _HEAD.size]
    if len(head) < _HEAD.size:
        return None  # the file shrank
    length, seq, prev = _HEAD.unpack(head)
    end = start + _OVERHEAD_BYTES + length
    if length > MAX_PAYLOAD_BYTES or end > len(data) or (seq, prev) != (place.seq, place.prev):
        return None
    digest = _Rest(data, start).hash(0, end - start - 32)
    if digest != data[end - 32 : end]:
        return None
    return Frame(seq, data[start + _HEAD.size : end - 32], digest, base + end)


@dataclass(frozen=True)
class _Rest:
    """What follows offset `start` of a file; its positions count from there."""

    data: Bytes
    start: int

    def __len__(self) -> int:
        return len(self.data) - self.start

    def part(self, begin: int, end: int) -> bytes:
        return self.data[self.start + begin : self.start + end]

    def find(self, marker: bytes, at: int) -> int:
        return max(self.data.find(marker, self.start + at) - self.start, -1)

    def hash(self, begin: int, end: int, first: bytes = b"") -> bytes:
        state = hashlib.sha256(first)
        for at in range(begin, end, _CHUNK_BYTES):
            state.update(self.part(at, min(end, at + _CHUNK_BYTES)))
        return state.digest()

    def is_zero(self, begin: int = 0) -> bool:
        """Whether only zeros follow this position."""
        chunks = range(begin, len(self), _CHUNK_BYTES)
        return not any(self.part(at, at + _CHUNK_BYTES).strip(b"\0") for at in chunks)


def _is_torn(rest: _Rest, place: Place) -> bool:
    """Whether a crash left the broken frame at the start of `rest`; if not, it is damage.

    A crash leaves a prefix of what was written, and perhaps zeros from some sector on. So a frame
    is torn in two cases:

    - Its length reaches beyond the end of the file, and the length field is not what is broken.
    - It ends within the file, only zeros follow, and its hash never reached the disk.
    """
    if len(rest) < 4 or rest.is_zero():
        return True
    end = _OVERHEAD_BYTES + int.from_bytes(rest.part(0, 4), "big")
    if end > len(rest):
        return not _was_whole(rest, place.seq)
    return rest.is_zero(end) and _is_zeroed(rest, end, place.offset)


def _was_whole(rest: _Rest, seq: int) -> bool:
    """Whether only the length field of the frame at the start of `rest` is damaged.

    It is if a later frame has this frame's hash as its `prev`, or if the hash fits when the length
    is set to what the file holds.
    """
    marker, at = u64(seq + 1), -1
    while (at := rest.find(marker, at + 1)) >= 0:
        if at - 4 >= _OVERHEAD_BYTES and rest.part(at + 8, at + 40) == rest.part(at - 36, at - 4):
            return True
    if len(rest) < _OVERHEAD_BYTES:
        return False
    length, size = u32((len(rest) - _OVERHEAD_BYTES) % 2**32), len(rest)
    return rest.hash(4, size - 32, length) == rest.part(size - 32, size)


def _is_zeroed(rest: _Rest, end: int, offset: int) -> bool:
    """Whether the hash of the frame of `end` bytes at this file offset never reached the disk.

    Then it is zeros, all of it or from a sector boundary on.
    """
    stored = rest.part(end - 32, end)
    if not any(stored):
        return True
    before_sector = -(offset + end - 32) % _SECTOR_BYTES  # bytes of the hash
    if not 0 < before_sector < 32:
        return False
    return stored == rest.hash(0, end - 32)[:before_sector] + bytes(32 - before_sector)


def read_frames(
    path: Path,
    *,
    allow_torn: bool = True,
    allowance: Allowance | None = None,
    stream: BinaryIO | None = None,
) -> Iterator[Frame]:
    """Every frame of a journal (attacker-controlled), each checked against the chain of hashes.

    Args:
        stream: the journal, opened by somebody who follows no links; by default `path` is opened,
            and may be a link.

    Raises:
        InputError: missing, not a journal, or more than the allowance.
        VerificationError: damaged before its end, or torn while `allow_torn` is false.
    """
    with _opened(path) if stream is None else nullcontext(FileBytes(stream)) as data:
        _, place = parse_header(data, path)
        try:
            yield from parse_frames(data, place.offset, place, path, allowance)
        except TornTail as tail:
            if not allow_torn:
                raise VerificationError(
                    "journal ends in an unfinished frame",
                    where=str(path),
                    actual=f"byte {tail.offset}",
                ) from None


def read_header(path: Path) -> dict[str, Any]:
    """The header of a journal (attacker-controlled).

    Raises:
        InputError: missing or not a journal.
    """
    with _opened(path) as data:
        return parse_header(data, path)[0]


@contextmanager
def _opened(path: Path) -> Iterator[Bytes]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(
            "cannot read journal", where=str(path), actual=cause_of(error, path)
        ) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):  # reading a FIFO would wait for ever
        os.close(fd)
        raise InputError("not a regular file", where=str(path))
    with os.fdopen(fd, "rb") as stream:
        yield FileBytes(stream)


class JournalTail:
    """Follows a journal that another thread or process writes.

    It returns every whole frame of the file, durable or not: `until` sets the limit.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        _, self._place = parse_header(path.read_bytes(), path)

    def read(self, until: int | None = None) -> Iterator[Frame]:
        """Whole frames that were not returned before, up to seq `until` (exclusive; None: all)."""
        with self._path.open("rb") as stream:
            stream.seek(self._place.offset)
            data = stream.read()
        try:
            for frame in parse_frames(data, 0, self._place, self._path):
                if until is not None and frame.seq >= until:
                    return
                self._place = frame.next
                yield frame
        except TornTail:
            return

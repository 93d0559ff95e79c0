"""The append-only journal: the source of truth that database and chain are projections of.

File layout (integers big-endian):

    offset 0   8   magic "PROVJNL1"
           8   4   length of header
          12   ..  header, canonical JSON
    then frames: length u32 | seq u64 | prev 32 | payload | sha256 32

`sha256` covers everything of the frame before it; `prev` is the `sha256` of the frame before (of
the file's first bytes for frame 0), so a frame can be neither moved nor removed unnoticed. NOT
promised: secrecy, or that the file was not rewritten as a whole; that is what heads on the chain
are for.

What survives a crash: every frame for which `barrier()` returned. A torn last frame is cut off on
the next open, and only
that: damage anywhere else is refused.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.encoding import canonical_json, parse_json, u32, u64
from provenance.errors import Conflict, InputError, UnavailableError, VerificationError

MAGIC = b"PROVJNL1"
MAX_PAYLOAD_BYTES = 1 << 30
_SECTOR_BYTES = 512
_HEAD = struct.Struct(">IQ32s")
_OVERHEAD_BYTES = _HEAD.size + 32


@dataclass(frozen=True)
class Frame:
    """One record in the journal: its number from 0, and its bytes."""

    seq: int
    payload: bytes
    hash: bytes
    end: int  # file offset after this frame


def sync_directory(path: Path) -> None:
    """Make a create or rename in `path` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _read_header(data: bytes, path: Path) -> tuple[dict[str, Any], int]:
    if data[:8] != MAGIC or len(data) < 12:
        raise InputError(
            "not a journal", where=str(path), expected=MAGIC.decode(), actual=repr(data[:8])
        )
    end = 12 + int.from_bytes(data[8:12], "big")
    try:
        header = parse_json(data[12:end])
    except ValueError as error:
        raise InputError("journal header is damaged", where=str(path)) from error
    if len(data) < end or not isinstance(header, dict):
        raise InputError("journal header is damaged", where=str(path))
    return header, end


class _TornTail(Exception):
    """The bytes from `offset` on are an unfinished last frame."""

    def __init__(self, offset: int) -> None:
        self.offset = offset


def _parse_frames(
    data: bytes, start: int, seq: int, prev: bytes, base: int, path: Path
) -> Iterator[Frame]:
    """Frames in data[start:];

    `base` is the file offset of data[0]. Raises _TornTail at an unfinished last frame.
    """
    offset = start
    while offset < len(data):
        frame = _parse_frame(data, offset, seq, prev)
        if frame is None:
            if _is_torn(data, offset, seq, base):
                raise _TornTail(base + offset)
            raise VerificationError(
                "journal is damaged before its end",
                where=f"{path} frame {seq}",
                hint="restore the journal from a copy; heads on the chain tell which copy is whole",
            )
        payload, digest, offset = frame
        yield Frame(seq, payload, digest, base + offset)
        seq, prev = seq + 1, digest


def _parse_frame(
    data: bytes, offset: int, seq: int, prev: bytes
) -> tuple[bytes, bytes, int] | None:
    if len(data) - offset < _OVERHEAD_BYTES:
        return None
    length, frame_seq, frame_prev = _HEAD.unpack_from(data, offset)
    end = offset + _OVERHEAD_BYTES + length
    if length > MAX_PAYLOAD_BYTES or end > len(data) or frame_seq != seq or frame_prev != prev:
        return None
    digest = hashlib.sha256(data[offset : end - 32]).digest()
    if digest != data[end - 32 : end]:
        return None
    return data[offset + _HEAD.size : end - 32], digest, end


def _is_torn(data: bytes, offset: int, seq: int, base: int) -> bool:
    """Whether the broken frame at `offset` is the last thing in the file (a crash), not damage in
    the middle.

    A crash leaves a prefix of what was written, or zeros after it from some sector on. A frame that
    ends before the end of the file was once whole, and so was one that a whole frame follows: that
    is damage, in its length field in the second case.
    """
    rest = data[offset:]
    if len(rest) < 4 or not any(rest):
        return True
    end = _OVERHEAD_BYTES + int.from_bytes(rest[:4], "big")
    if end > len(rest):
        return not _was_whole(rest, seq)
    return not any(rest[end:]) and _is_zeroed(rest[:end], base + offset)


def _was_whole(rest: bytes, seq: int) -> bool:
    """Whether only the length field of this frame is damaged: the next frame continues it, or its
    own hash fits its true length.
    """
    marker, at = u64(seq + 1), -1
    while (at := rest.find(marker, at + 1)) >= 0:
        if at - 4 >= _OVERHEAD_BYTES and rest[at + 8 : at + 40] == rest[at - 36 : at - 4]:
            return True
    if len(rest) < _OVERHEAD_BYTES:
        return False
    return hashlib.sha256(u32(len(rest) - _OVERHEAD_BYTES) + rest[4:-32]).digest() == rest[-32:]


def _is_zeroed(frame: bytes, position: int) -> bool:
    """Whether the frame's hash (`position`: file offset of the frame) never reached the disk,
    wholly or from a sector on.
    """
    stored = frame[-32:]
    if not any(stored):
        return True
    sector = (
        -(position + len(frame) - 32) % _SECTOR_BYTES
    )  # bytes of the hash that lie before the next sector
    written = hashlib.sha256(frame[:-32]).digest()[:sector]
    return 0 < sector < 32 and stored == written + bytes(32 - sector)


def read_frames(path: Path, *, allow_torn: bool = True) -> Iterator[Frame]:
    """Every frame of a journal, each checked against the chain of hashes (the file is
    attacker-controlled).

    Raises:
        InputError: missing or not a journal.
        VerificationError: damaged before its end, or torn while `allow_torn` is false.
    """
    data = _read_regular(path)
    _, start = _read_header(data, path)
    try:
        yield from _parse_frames(data, start, 0, hashlib.sha256(data[:start]).digest(), 0, path)
    except _TornTail as tail:
        if not allow_torn:
            raise VerificationError(
                "journal ends in an unfinished frame", where=str(path), actual=f"byte {tail.offset}"
            ) from None


def read_header(path: Path) -> dict[str, Any]:
    """The header of a journal file (attacker-controlled)."""
    return _read_header(_read_regular(path), path)[0]


def _read_regular(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(
                "not a regular file", where=str(path)
            )  # reading a FIFO would wait for ever
        return path.read_bytes()
    except OSError as error:
        raise InputError("cannot read journal", where=str(path), actual=error.strerror) from error


class Journal:
    """A journal open for appending by one process (an flock keeps a second one out).

    `append` frames and hands over to a writer thread; `barrier` returns once everything appended so
    far is on disk. Writes are grouped: one fdatasync covers all frames that arrived while the last
    one ran. A failed write is not lost: its frames stay queued, the file is cut back to its last
    durable frame, and each later `barrier` tries again.
    """

    def __init__(
        self,
        path: Path,
        fd: int,
        header: Mapping[str, Any],
        seq: int,
        prev: bytes,
        end: int,
        sync: Callable[[int], None],
    ) -> None:
        self.path = path
        self.header = header
        self._fd, self._sync = fd, sync
        self._seq, self._prev = seq, prev
        self._end = end  # offset after the last durable frame
        self._durable_seq = seq
        self._pending: list[bytes] = []
        self._failure: OSError | None = None
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @classmethod
    def create(
        cls, path: Path, header: Mapping[str, Any], *, sync: Callable[[int], None] = os.fdatasync
    ) -> Journal:
        """Start a journal; the file and its directory entry are durable on return.

        Raises:
            Conflict: the file exists.
            UnavailableError: it cannot be written.
        """
        data = canonical_json(header)
        start = MAGIC + len(data).to_bytes(4, "big") + data
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError as error:
            raise Conflict(
                "journal exists already",
                where=str(path),
                hint="choose another output folder, or resume",
            ) from error
        except OSError as error:
            raise UnavailableError(
                "cannot create journal", where=str(path), actual=error.strerror
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_all(fd, start, 0)
            sync(fd)
            sync_directory(path.parent)
        except OSError as error:
            os.close(fd)
            path.unlink(missing_ok=True)  # nothing half-written: the header never became durable
            raise UnavailableError(
                "cannot write journal", where=str(path), actual=error.strerror
            ) from error
        return cls(path, fd, header, 0, hashlib.sha256(start).digest(), len(start), sync)

    @classmethod
    def open(cls, path: Path, *, sync: Callable[[int], None] = os.fdatasync) -> Journal:
        """Continue a journal; a torn last frame is cut off.

        Raises:
            InputError: missing or not a journal.
            Conflict: another process is appending to it.
            VerificationError: damaged before its end.
        """
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(
                "cannot open journal", where=str(path), actual=error.strerror
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise Conflict("another process is writing this journal", where=str(path)) from error
        try:
            data = path.read_bytes()
            header, start = _read_header(data, path)
            seq, prev, end = 0, hashlib.sha256(data[:start]).digest(), start
            try:
                for frame in _parse_frames(data, start, 0, prev, 0, path):
                    seq, prev, end = frame.seq + 1, frame.hash, frame.end
            except _TornTail:
                os.ftruncate(fd, end)
                sync(fd)
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd, header, seq, prev, end, sync)

    def __len__(self) -> int:
        """Frames appended, durable or not."""
        return self._seq

    @property
    def durable(self) -> int:
        """Frames that survive a crash now."""
        with self._wake:
            return self._durable_seq

    @property
    def failure(self) -> OSError | None:
        """The error of the last write, None once one succeeded."""
        with self._wake:
            return self._failure

    def append(self, payload: bytes) -> int:
        """Queue one frame; returns its seq. Durable only after `barrier`.

        Raises:
            InputError: the journal is closed, or no reader would accept a frame of this length.
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise InputError(
                "frame is too long",
                where=str(self.path),
                expected=f"<= {MAX_PAYLOAD_BYTES} bytes",
                actual=len(payload),
            )
        with self._wake:
            if self._closing:
                raise InputError("journal is closed", where=str(self.path))
            head = _HEAD.pack(len(payload), self._seq, self._prev)
            digest = hashlib.sha256(head + payload).digest()
            self._pending.append(head + payload + digest)
            self._prev, self._seq = digest, self._seq + 1
            if self._failure is None:
                self._wake.notify_all()
            return self._seq - 1

    def barrier(self) -> None:
        """Return once every frame appended before this call is on disk.

        Raises:
            UnavailableError: the disk refused (full, for example). Frames stay queued; a later
                barrier tries again.
        """
        with self._wake:
            target = self._seq
            self._failure = None  # try again
            self._wake.notify_all()
            self._wake.wait_for(lambda: self._durable_seq >= target or self._failure is not None)
            if self._durable_seq < target and self._failure is not None:
                raise UnavailableError(
                    "cannot write journal",
                    where=str(self.path),
                    actual=self._failure.strerror,
                    hint="free disk space; queued records are kept and written at the next barrier",
                )

    def close(self) -> None:
        """Flush and close; closing twice does nothing.

        Raises:
            UnavailableError: frames could not be written; the journal stays open.
        """
        with self._wake:
            if self._closing:
                return
        self.barrier()
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join()
        os.close(self._fd)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(
                    lambda: self._closing or (bool(self._pending) and self._failure is None)
                )
                if not self._pending:
                    return
                frames, self._pending = self._pending, []
            data, failure = b"".join(frames), None
            try:
                _write_all(self._fd, data, self._end)
                self._sync(self._fd)  # frames are safe after this line and not before
            except OSError as error:
                failure = error
                self._cut_back()
            with self._wake:
                if failure is None:
                    self._end += len(data)
                    self._durable_seq += len(frames)
                else:
                    self._pending = frames + self._pending
                self._failure = failure
                self._wake.notify_all()

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._fd, self._end)
        except OSError:
            # The half-written tail stays; the next write overwrites it from the same offset, and
            # open() cuts it off.
            return


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


class JournalTail:
    """Reads frames as they become durable, for a second reader in the same or another process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        data = path.read_bytes()
        _, start = _read_header(data, path)
        self._seq, self._prev, self._end = 0, hashlib.sha256(data[:start]).digest(), start

    def read(self, until: int | None = None) -> Iterator[Frame]:
        """Whole frames that were not returned before, up to seq `until` (exclusive)."""
        with self._path.open("rb") as stream:
            stream.seek(self._end)
            data = stream.read()
        base = self._end
        try:
            for frame in _parse_frames(data, 0, self._seq, self._prev, base, self._path):
                if until is not None and frame.seq >= until:
                    return
                self._seq, self._prev, self._end = frame.seq + 1, frame.hash, frame.end
                yield frame
        except _TornTail:
            return

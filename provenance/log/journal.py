"""The append-only journal: the source of truth that database and chain are projections of.

What survives a crash: every frame for which `barrier()` returned. The next `open` cuts off a torn
last frame, and nothing else: it refuses damage anywhere else. The bytes: `provenance.log.frames`.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from provenance.causes import cause_of
from provenance.durable import sync_directory, write_all
from provenance.errors import Conflict, InputError, OutputError, UnavailableError
from provenance.log.frames import (
    MAX_PAYLOAD_BYTES,
    Place,
    TornTail,
    make_frame,
    make_header,
    parse_frames,
    parse_header,
)


class Journal:
    """A journal open for appending by one process (an flock keeps a second one out).

    `append` queues a frame for a writer thread; `barrier` returns once everything appended so far
    is on disk. Writes are grouped: one fdatasync covers all frames that arrived while the last one
    ran. A failed write loses nothing: its frames stay queued, the file is cut back to its last
    durable frame, and each later `barrier` tries again.
    """

    def __init__(self, path: Path, fd: int, place: Place, sync: Callable[[int], None]) -> None:
        """Take over the open descriptor `fd`; frames go on at `place`. Use `create` or `open`."""
        self.path = path
        self._fd, self._sync = fd, sync
        self._seq, self._prev = place.seq, place.prev
        self._end = place.offset  # offset after the last durable frame
        self._durable_seq = place.seq
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
        start = make_header(header)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                "cannot create journal", where=str(path), actual=cause_of(error)
            ) from error
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError as error:
            raise Conflict(
                "journal exists already",
                where=str(path),
                hint="choose another output folder, or resume",
            ) from error
        except OSError as error:
            raise OutputError(
                "cannot create journal", where=str(path), actual=cause_of(error, path)
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            write_all(fd, start, 0)
            sync(fd)
            sync_directory(path.parent)
        except OSError as error:
            os.close(fd)
            path.unlink(missing_ok=True)  # nothing half-written: the header never became durable
            raise UnavailableError(
                "cannot write journal", where=str(path), actual=cause_of(error, path)
            ) from error
        return cls(path, fd, parse_header(start, path)[1], sync)

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
                "cannot open journal", where=str(path), actual=cause_of(error, path)
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise Conflict(
                "another process is writing this journal",
                where=str(path),
                hint="wait until it ends, then give the command again",
            ) from error
        try:
            data = path.read_bytes()
            _, place = parse_header(data, path)
            try:
                for frame in parse_frames(data, place.offset, place, path):
                    place = frame.next
            except TornTail:
                os.ftruncate(fd, place.offset)
                sync(fd)
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd, place, sync)

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
            data, digest = make_frame(self._seq, self._prev, payload)
            self._pending.append(data)
            self._prev, self._seq = digest, self._seq + 1
            if self._failure is None:
                self._wake.notify_all()
            return self._seq - 1

    def barrier(self) -> None:
        """Return once every frame appended before this call is on disk.

        Raises:
            UnavailableError: the disk refused (full, for example). Frames stay queued, and a later
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
                write_all(self._fd, data, self._end)
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
            # The half-written tail stays: the next write overwrites it from the same offset, and
            # `open` cuts it off.
            return

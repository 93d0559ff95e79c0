"""SHA-256 digests and the domain separation around them (docs/formats/bytes.md)."""

from __future__ import annotations

import hashlib
import os
import stat
import weakref
from pathlib import Path, PosixPath
from typing import BinaryIO

from provenance.causes import cause_of
from provenance.errors import InputError
from provenance.ids import bare_digits, to_hex

PREFIX = b"provenance/v1/"
_CHUNK_BYTES = 1 << 20


class Digest(bytes):
    """32 bytes of SHA-256. Prints as `sha256:<64 lower hex>`; law: `Digest.parse(str(d)) == d`."""

    def __new__(cls, value: bytes) -> Digest:
        """Raises InputError if `value` does not have 32 bytes."""
        if len(value) != 32:
            raise InputError("a digest has 32 bytes", expected=32, actual=len(value))
        return super().__new__(cls, value)

    def __str__(self) -> str:
        return f"sha256:{self.hex()}"

    def __repr__(self) -> str:
        return f"Digest({self})"

    @property
    def hex0x(self) -> str:
        """The digest as contracts print it: `0x<64 lower hex>`."""
        return to_hex(self)

    @property
    def limbs(self) -> tuple[int, int]:
        """(hi, lo): the two 128-bit halves in which a digest enters a circuit."""
        return int.from_bytes(self[:16], "big"), int.from_bytes(self[16:], "big")

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `sha256:..`, `0x..` or bare hex of 64 digits (`text` is attacker-controlled).

        Raises:
            InputError: not 64 hexadecimal digits.
        """
        body = bare_digits(text.removeprefix("sha256:"))
        if len(body) != 64 or any(c not in "0123456789abcdefABCDEF" for c in body):
            raise InputError(
                "not a SHA-256 digest", expected="sha256: and 64 hex digits", actual=text[:80]
            )
        return cls(bytes.fromhex(body))


def sha256(data: bytes) -> Digest:
    """SHA-256 without a domain tag."""
    return Digest(hashlib.sha256(data).digest())


def tagged(tag: str, payload: bytes) -> Digest:
    """`SHA256("provenance/v1/" || tag || 0x00 || payload)`; tags are listed in
    docs/formats/bytes.md.
    """
    return Digest(hashlib.sha256(PREFIX + tag.encode("ascii") + b"\0" + payload).digest())


class OwnPath(PosixPath):
    """A path that the caller's own user named: links there are followed.

    Paths made from it (`/`, `glob`, `iterdir`) are of the same type. A plain `Path` may come from
    evidence, where a link would make a verifier read what nobody named.
    """


class HeldFile(PosixPath):
    """A path whose file was opened once and stays open.

    `open_regular` opens that very file again, whatever lies at the path by then. So what is hashed
    is what is read later. Paths made from it are plain names.
    """

    descriptor: int | None = None
    _state: tuple[int, ...] = ()

    @classmethod
    def open(cls, path: Path) -> HeldFile:  # type: ignore[override]  # what it holds is read only
        """Open the file at `path` (attacker-controlled); raises as `open_regular`.

        It is closed when nothing refers to the result any more.
        """
        held = cls(path)
        with open_regular(path) as stream:
            held.descriptor = os.dup(stream.fileno())
        weakref.finalize(held, os.close, held.descriptor)
        held._state = held._now()
        return held

    @property
    def is_unchanged(self) -> bool:
        """Whether nobody wrote to the file since it was opened, as far as its times tell."""
        return self._state == self._now()

    def _now(self) -> tuple[int, ...]:
        if self.descriptor is None:
            return ()
        status = os.fstat(self.descriptor)
        return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _open_held(descriptor: int) -> int:
    """Another descriptor of the same file, with a position of its own where /proc is mounted."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return os.open(f"{folder}/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
    return os.dup(descriptor)


def open_regular(path: Path, *, dir_fd: int | None = None) -> BinaryIO:
    """Open a regular file without following a final symlink, so that what is hashed is what was
    named. Links are followed where the path is an `OwnPath`.

    Raises:
        InputError: missing, a symlink, or not a regular file (FIFO, device, directory).
    """
    if isinstance(path, HeldFile) and path.descriptor is not None:
        return os.fdopen(_open_held(path.descriptor), "rb")
    follow = 0 if isinstance(path, OwnPath) else os.O_NOFOLLOW
    try:
        fd = os.open(path, os.O_RDONLY | follow | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError as error:
        cause = cause_of(error, path) if dir_fd is None else error.strerror
        raise InputError("cannot open file", where=str(path), actual=cause) from error
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        kind = "it is a folder" if stat.S_ISDIR(mode) else "it is a pipe, socket or device"
        raise InputError("not a regular file", where=str(path), actual=kind)
    return os.fdopen(fd, "rb")


def hash_stream(stream: BinaryIO) -> tuple[Digest, int]:
    """(SHA-256, size in bytes) of the rest of a stream."""
    state, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK_BYTES):
        state.update(chunk)
        size += len(chunk)
    return Digest(state.digest()), size


def hash_file(path: Path, most: int | None = None) -> Digest:
    """SHA-256 of a regular file, hashed through the descriptor that was checked.

    Args:
        most: bytes that it may have; None for any number. A hole of terabytes takes no room on a
            disk, and a day to hash.

    Raises:
        InputError: as `open_regular`, or it is larger.
    """
    with open_regular(path) as stream:
        if most is not None and (size := os.fstat(stream.fileno()).st_size) > most:
            raise InputError(
                "file is too large", where=str(path), expected=f"<= {most} bytes", actual=size
            )
        return hash_stream(stream)[0]

"""Packed files as bytes. An archive may expand to 200 times its size, or to 256 MiB if more."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from typing import IO, Any, BinaryIO

from provenance.errors import ConfigError, InputError

ARCHIVES = {".gz": "gzip", ".zst": "zstd"}
MAGIC = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
"""How an archive begins. Sources: RFC 1952, RFC 8878."""
MAX_EXPANSION = 200
MIN_EXPANDED_BYTES = 256 << 20


def unpack(raw: BinaryIO, head: bytes, suffix: str) -> io.RawIOBase:
    """The bytes of an archive. Reading them raises InputError where it is damaged or too large.

    Args:
        raw: The archive, at its beginning. head: Its first bytes. Both are attacker-controlled.
        suffix: The end of its name, one of `ARCHIVES`.

    Raises:
        InputError: no such archive.
        ConfigError: the package that unpacks it is not installed.
    """
    kind = ARCHIVES[suffix]
    if head and not head.startswith(MAGIC[suffix]):
        raise InputError(
            f"file is not packed with {kind}, though its name ends in {suffix}",
            hint=f"leave {suffix} out of its name, if it holds the records as they are",
        )
    limit = max(MIN_EXPANDED_BYTES, MAX_EXPANSION * os.fstat(raw.fileno()).st_size)
    return _Unpacked(gzip.GzipFile(fileobj=raw) if suffix == ".gz" else _zstd(raw), kind, limit)


def _zstd(raw: BinaryIO) -> IO[bytes]:
    try:
        import pyarrow
    except ImportError as error:
        raise ConfigError(
            "the package that unpacks .zst is not installed",
            hint="pip install 'model-provenance[train]'",
        ) from error
    stream: IO[bytes] = pyarrow.CompressedInputStream(raw, "zstd")
    return stream


class _Unpacked(io.RawIOBase):
    """Bytes of an archive, counted so that a small one cannot expand without end."""

    def __init__(self, archive: IO[bytes] | gzip.GzipFile, kind: str, limit: int) -> None:
        self._archive, self._kind, self._left, self._limit = archive, kind, limit, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise InputError(
                "archive expands too far",
                expected=f"<= {self._limit} bytes",
                hint="unpack it first if you trust it",
            )
        buffer[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            return self._archive.read(size)
        except EOFError as error:
            raise _truncated(self._kind) from error
        except gzip.BadGzipFile as error:
            # The first archive begins as one does, so this is what comes behind it.
            if "Not a gzipped file" not in str(error):
                raise _unreadable(self._kind, error) from error
            raise InputError(
                "something stands behind the end of the gzip archive",
                hint="download or copy it again; `gzip -t FILE` says whether it is whole",
            ) from error
        except (OSError, zlib.error, ValueError) as error:
            if "truncated" in str(error).lower():
                raise _truncated(self._kind) from error
            raise _unreadable(self._kind, error) from error


def _unreadable(kind: str, error: Exception) -> InputError:
    return InputError(f"not a readable {kind} archive", actual=error)


def _truncated(kind: str) -> InputError:
    return InputError(f"{kind} archive is cut off", hint="download or copy it again")

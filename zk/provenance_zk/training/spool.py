"""Rows that are about to be committed: canonical bytes on disk, digests in memory.

The file has no name and goes away with the process. A record takes 40 bytes of memory, however long
its text is.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any

from provenance.causes import cause_of
from provenance.digest import Digest
from provenance.encoding import dataset_record_bytes, dataset_record_digest
from provenance.errors import InputError, ProvenanceError, UnavailableError
from provenance.progress import Progress
from provenance.statements import MAX_RECORDS

STEP = 1000  # records between two reports of progress


class Spool:
    """Canonical bytes of rows in reading order; rows count from 0."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digests = bytearray()
        self._offsets = array("Q", [0])

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def append(self, canonical: bytes) -> None:
        """Add a row's canonical bytes."""
        self._stream.write(canonical)
        self.digests += dataset_record_digest(canonical)
        self._offsets.append(self._offsets[-1] + len(canonical))

    def digest(self, row: int) -> Digest:
        """Digest of a row."""
        return Digest(bytes(self.digests[32 * row : 32 * row + 32]))

    def size(self, row: int) -> int:
        """Bytes of a row's canonical form."""
        return self._offsets[row + 1] - self._offsets[row]

    def canonical(self, row: int) -> bytes:
        """A row's canonical form."""
        self._stream.seek(self._offsets[row])
        return self._stream.read(self.size(row))


def read_rows(
    rows: Iterable[Mapping[str, Any]],
    spool: Spool,
    locate: Callable[[int], str],
    progress: Progress,
) -> None:
    """Spool every row.

    Args:
        rows: attacker-controlled.
        locate: tells where row i stands, for errors.

    Raises:
        InputError: a row without canonical bytes, or too many rows.
        UnavailableError: the disk cannot be written.
    """
    for i, row in enumerate(rows):
        # More rows than records may be read, since deduplication drops some; this bounds the disk.
        if i == 2 * MAX_RECORDS:
            raise InputError("source has too many rows", expected=f"<= {2 * MAX_RECORDS}")
        try:
            spool.append(dataset_record_bytes(row))
        except ProvenanceError as error:
            error.where = f"{locate(i)} {error.where}" if error.where else locate(i)
            raise
        except OSError as error:
            raise UnavailableError(
                "cannot spool records", where=locate(i), actual=cause_of(error)
            ) from error
        if i % STEP == 0:
            progress("read", i, None)
    progress("read", len(spool), len(spool))

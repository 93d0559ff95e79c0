"""The end of a journal whose batch records need salts: each salt is on disk before its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from provenance.dataset.saltstore import BATCH_SALTS
from provenance.errors import UnavailableError
from provenance.log.journal import Journal
from provenance.log.record import Record


class Salts(Protocol):
    """Where batch salts go: `provenance.dataset.saltstore.SaltStore`, or one with its contract."""

    def put(self, kind: str, id: int | str, value: bytes, *, replace: bool = False) -> None:
        """Keep a salt; without `replace` one that is kept already is refused."""
        ...

    def sync(self) -> None:
        """Make every salt that was put durable."""
        ...


@dataclass(frozen=True)
class _Staged:
    seq: int
    payload: bytes
    salt: bytes | None


class SaltedJournal:
    """Stages records and appends them in order. One thread stages and commits.

    next_seq: seq of the next record that is staged.
    """

    def __init__(self, journal: Journal, salts: Salts) -> None:
        self.next_seq = len(journal)
        self._journal, self._salts = journal, salts
        self._staged: list[_Staged] = []

    def stage(self, record: Record, salt: bytes | None) -> None:
        """Take up a record, and the salt that it needs; neither is durable."""
        self._staged.append(_Staged(self.next_seq, record.to_bytes(), salt))
        self.next_seq += 1

    def commit(self) -> None:
        """Store the salts, then append the records; on an error all stay staged for the next try.

        Raises:
            UnavailableError: the disk refused, or somebody else appended to the journal.
        """
        if not self._staged:
            return
        self._require_place()
        salted = [(staged.seq, staged.salt) for staged in self._staged if staged.salt is not None]
        for seq, salt in salted:
            # A place that is still free may have a salt from before a crash. No record uses it.
            self._salts.put(BATCH_SALTS, seq, salt, replace=True)
        if salted:
            # Salts are safe after this line and not before; only then may records use them.
            self._salts.sync()
        for staged in self._staged:
            self._journal.append(staged.payload)
        self._staged = []

    def _require_place(self) -> None:
        if len(self._journal) != self._staged[0].seq:
            raise UnavailableError(
                "somebody else appends to the journal",
                where=str(self._journal.path),
                expected=self._staged[0].seq,
                actual=len(self._journal),
            )

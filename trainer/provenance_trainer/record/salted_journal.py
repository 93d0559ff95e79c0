"""Appends records to a journal, and keeps each salt on disk before the record that needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from provenance.dataset.saltstore import BATCH_SALTS
from provenance.errors import UnavailableError
from provenance.log.journal import Journal
from provenance.log.record import Record


class Salts(Protocol):
    """A store of batch salts, such as `provenance.dataset.saltstore.SaltStore`."""

    def put(self, kind: str, id: int | str, value: bytes, *, replace: bool = False) -> None:
        """Keep a salt. Without `replace`, an id that has a salt already is refused."""
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
    """Collects drafted records, and appends them in order. Only one thread may use it.

    next_seq: Number that the next record will have in the journal.
    """

    def __init__(self, journal: Journal, salts: Salts) -> None:
        self.next_seq = len(journal)
        self._journal, self._salts = journal, salts
        self._staged: list[_Staged] = []

    def stage(self, record: Record, salt: bytes | None) -> None:
        """Collect a record, and the salt that it needs. Neither is durable yet."""
        self._staged.append(_Staged(self.next_seq, record.to_bytes(), salt))
        self.next_seq += 1

    def commit(self) -> None:
        """Store the salts, then append the records. After an error, the next call tries all again.

        Raises:
            UnavailableError: the disk refused, or something else appended to the journal.
        """
        if not self._staged:
            return
        self._require_place()
        salted = [(staged.seq, staged.salt) for staged in self._staged if staged.salt is not None]
        for seq, salt in salted:
            # After a crash the store may have a salt for a record that was never appended. No
            # record uses such a salt, so it may be replaced.
            self._salts.put(BATCH_SALTS, seq, salt, replace=True)
        if salted:
            # Salts are durable only after this line. Records that use them are appended below.
            self._salts.sync()
        for staged in self._staged:
            self._journal.append(staged.payload)
        self._staged = []

    def _require_place(self) -> None:
        if len(self._journal) != self._staged[0].seq:
            raise UnavailableError(
                "another writer has appended to the journal",
                where=str(self._journal.path),
                expected=self._staged[0].seq,
                actual=len(self._journal),
            )

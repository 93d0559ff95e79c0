"""Sending what a service lacks of a run: the journal first, then the files that differ."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from provenance.digest import sha256
from provenance.errors import Conflict
from provenance.layout import RunFolder
from provenance.progress import Progress, silent
from provenance.push.copy import Received, pieces
from provenance.push.files import content_to_send, files_to_send
from provenance.push.service import Held


class Taker(Protocol):
    """Who takes a run's evidence: `PushService`."""

    def held(self) -> Held:
        """What is there."""
        ...

    def append(self, offset: int, piece: bytes) -> Received:
        """Take a piece of the journal."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Take a file."""
        ...


@dataclass
class Sent:
    """What one push did.

    records: whole records of the journal here; new_records of them were sent now.
    kept: names of what lies in the folder and is never sent.
    """

    records: int = 0
    new_records: int = 0
    files: int = 0
    new_files: list[str] = field(default_factory=list)
    bytes: int = 0
    kept: list[str] = field(default_factory=list)


@dataclass
class _Known:
    """What the taker has, as this process knows it: it asked once, and sent the rest itself."""

    journal: Received
    files: dict[str, str]
    journal_is_ours: bool = False


class Pushing:
    """Brings a service's copy of a run up to what is here, now and again while the run grows.

    One thread owns it. It asks what is there once, and again after an error.
    """

    def __init__(self, folder: RunFolder, taker: Taker) -> None:
        self._folder, self._taker = folder, taker
        self._known: _Known | None = None
        self._read: dict[str, tuple[tuple[int, int, int], str]] = {}

    def push(self, progress: Progress = silent) -> Sent:
        """Send what is missing. Repeatable.

        Raises:
            Conflict: the service has another journal of this run; or somebody else pushes it.
            ProvenanceError: as `PushService` and `pieces`.
            OSError: a file cannot be read.
        """
        known, self._known = self._known, None
        if known is None:
            held = self._taker.held()
            known = _Known(held.journal, dict(held.files))
        sent = Sent()
        self._send_journal(known, sent, progress)
        self._send_files(known, sent, progress)
        self._known = known
        return sent

    def _send_journal(self, known: _Known, sent: Sent, progress: Progress) -> None:
        path = self._folder.journal
        total = path.stat().st_size
        sent.records = known.journal.records
        for offset, piece, then in pieces(path, known.journal, compared=known.journal_is_ours):
            progress("sending the journal", offset, total)
            found = self._taker.append(offset, piece)
            if found != then:
                raise Conflict(
                    "service wrote something else than what was sent",
                    expected=f"{then.records} records",
                    actual=f"{found.records} records",
                    hint="push again",
                )
            known.journal = then
            sent.new_records += then.records - sent.records
            sent.records = then.records
            sent.bytes += len(piece)
        known.journal_is_ours = True

    def _send_files(self, known: _Known, sent: Sent, progress: Progress) -> None:
        names, sent.kept = files_to_send(self._folder)
        sent.files = len(names)
        for number, name in enumerate(names):
            progress("sending files", number, len(names))
            there, seen = known.files.get(name), _seen(self._folder.evidence / name)
            if there is not None and self._read.get(name) == (seen, there):
                continue
            data = content_to_send(self._folder, name)
            digest = str(sha256(data))
            self._read[name] = (seen, digest)
            if there != digest:
                self._taker.put(name, data)
                known.files[name] = digest
                sent.new_files.append(name)
                sent.bytes += len(data)


def _seen(path: Path) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_ino, status.st_size, status.st_mtime_ns


def send(folder: RunFolder, taker: Taker, progress: Progress = silent) -> Sent:
    """`Pushing.push`, once."""
    return Pushing(folder, taker).push(progress)

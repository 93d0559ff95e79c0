"""Sending what a service lacks of a run: the journal first, then the files that differ."""

from __future__ import annotations

from dataclasses import dataclass, field
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


def send(folder: RunFolder, taker: Taker, progress: Progress = silent) -> Sent:
    """Bring a service's copy of a run up to what is here. Repeatable; it sends what is missing.

    Raises:
        Conflict: the service has another journal of this run; or somebody else pushes it.
        ProvenanceError: as `PushService` and `pieces`.
        OSError: a file cannot be read.
    """
    held, sent = taker.held(), Sent()
    _send_journal(folder, taker, held.journal, sent, progress)
    _send_files(folder, taker, held, sent, progress)
    return sent


def _send_journal(
    folder: RunFolder, taker: Taker, there: Received, sent: Sent, progress: Progress
) -> None:
    total = folder.journal.stat().st_size
    sent.records = there.records
    for offset, piece, then in pieces(folder.journal, there):
        progress("sending the journal", offset, total)
        found = taker.append(offset, piece)
        if found != then:
            raise Conflict(
                "service wrote something else than what was sent",
                expected=f"{then.records} records",
                actual=f"{found.records} records",
                hint="push again",
            )
        sent.new_records += then.records - sent.records
        sent.records = then.records
        sent.bytes += len(piece)


def _send_files(
    folder: RunFolder, taker: Taker, held: Held, sent: Sent, progress: Progress
) -> None:
    names, sent.kept = files_to_send(folder)
    sent.files = len(names)
    for number, name in enumerate(names):
        progress("sending files", number, len(names))
        data = content_to_send(folder, name)
        if held.files.get(name) != str(sha256(data)):
            taker.put(name, data)
            sent.new_files.append(name)
            sent.bytes += len(data)

"""Sending what a service lacks of a run: the journal first, then the files that differ."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Protocol

from provenance.digest import sha256
from provenance.errors import Conflict, InputError, UnavailableError
from provenance.layout import RunFolder
from provenance.progress import Progress, silent
from provenance.push.copy import Received, pieces, seen_as
from provenance.push.files import HEADS, content_to_send, files_to_send
from provenance.push.service import Checked, Elsewhere, Held, PushService

ATTEMPTS = 8
"""Times that the journal is sent on from where the service has it, when others send it too."""


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
    kept: names of what lies in the folder and is never sent, and of files of which lines that
        verifiers skip are left out.
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
            InputError: a file cannot be read.
            ProvenanceError: as `PushService` and `pieces`.
        """
        known, self._known = self._known, None
        if known is None:
            known = self._ask()
        sent = Sent()
        try:
            self._send_all_records(known, sent, progress)
            self._send_files(known, sent, progress)
        except OSError as error:
            raise InputError(
                "run cannot be read", where=str(error.filename), actual=error.strerror
            ) from error
        self._known = known
        return sent

    def confirm(self) -> None:
        """Compare what the service says that it has with what `push` sent before.

        Raises:
            UnavailableError: it has something else, or says nothing in this form.
        """
        known, held = self._known, self._taker.held()
        assert known is not None, "pushed before"
        lost = [name for name, digest in known.files.items() if held.files.get(name) != digest]
        if held.journal != known.journal or lost:
            raise UnavailableError(
                "service does not have what was sent",
                expected=f"{known.journal.records} records and {len(known.files)} files",
                actual=f"{held.journal.records} records, and not {lost[:3]}",
                hint="check the URL of --server, and whether somebody else pushes this run",
            )

    def _ask(self) -> _Known:
        held = self._taker.held()
        return _Known(held.journal, dict(held.files))

    def _send_all_records(self, known: _Known, sent: Sent, progress: Progress) -> None:
        """Send the journal; where an answer was lost, or another one sends it too, go on after."""
        for left in reversed(range(ATTEMPTS)):
            try:
                self._send_journal(known, sent, progress)
                return
            except Elsewhere:
                if not left:
                    raise
                known.journal, known.journal_is_ours = self._ask().journal, False

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
            there, seen = known.files.get(name), seen_as(os.stat(self._folder.evidence / name))
            if there is not None and self._read.get(name) == (seen, there):
                continue
            data, left_out = content_to_send(self._folder, name, known.journal.records)
            digest = str(sha256(data))
            if name != HEADS:  # of which more can be sent once the service has more records
                self._read[name] = (seen, digest)
            if left_out:
                sent.kept.append(f"{name} ({left_out} lines that verifiers skip)")
            if there != digest:
                self._taker.put(name, data)
                known.files[name] = digest
                sent.new_files.append(name)
                sent.bytes += len(data)


def send(folder: RunFolder, taker: Taker, progress: Progress = silent) -> Sent:
    """`Pushing.push`, once."""
    return Pushing(folder, taker).push(progress)


def hand_over(
    folder: RunFolder, service: PushService, progress: Progress = silent
) -> tuple[Sent, Checked]:
    """Send what is missing, see that it is there, and have the service compare it.

    Raises:
        ProvenanceError: as `Pushing` and `PushService`.
    """
    pushing = Pushing(folder, service)
    sent = pushing.push(progress)
    pushing.confirm()
    progress("the service compares it with itself and with the chain")
    return sent, service.check(sent.records)

"""Run folders that tenants push: FOLDER/TENANT/RUN_ID, of which each file was checked on arrival.

A pushed run folder is evidence as any other: the scan indexes it, and verdicts read it. Only this
module writes there. What arrives is attacker-controlled; whoever sends it acts for its tenant, and
no file of another tenant is touched.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provenance.causes import cause_of
from provenance.digest import Digest, hash_file, sha256
from provenance.errors import (
    Conflict,
    InputError,
    NotFound,
    OutputError,
    ProvenanceError,
)
from provenance.ids import RunId, to_hex
from provenance.judgement.facts import RunFacts
from provenance.layout import RunFolder, write_atomically
from provenance.log.record import Record
from provenance.log.tree import require_log
from provenance.push.copy import NOTHING, JournalCopy, Received
from provenance.push.files import files_to_send, require_kind
from provenance.verify.sources.agreement import head_faults, history_faults
from provenance.verify.sources.evidence import FolderEvidence
from provenance_api.tenants.room import Room

KEPT_COPIES = 64
MOST_JOURNAL_BYTES = 512 << 20


class Refused(InputError):
    """Something pushed that cannot be evidence of the run."""

    code = "refused-evidence"


@dataclass(frozen=True)
class Held:
    """What the inbox has of a run: how much of its journal, and the other files' digests."""

    journal: Received
    files: dict[str, Digest]


@dataclass(frozen=True)
class Agreement:
    """How a pushed run agrees with itself and with the chain.

    anchored: records under the run's newest final head, 0 if it has none.
    faults: sentences; none if nothing contradicts.
    """

    records: int
    heads: int
    anchored: int
    faults: list[str]


class Inbox:
    """Takes what tenants push. Threads may share it, and so may services on one disk.

    Args:
        folder: where it lies; each tenant's folder in it is made.
        registered: the run as the pinned chain has it in its newest final block, None if it has
            not. Raises UnavailableError.
        most_bytes: that the runs of one tenant may take.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        folder: Path,
        registered: Callable[[RunId], RunFacts | None],
        most_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._registered = folder, registered
        self._room = Room(folder, most_bytes, clock)
        self._lock = threading.Lock()
        self._copies: OrderedDict[Path, JournalCopy] = OrderedDict()

    def held(self, tenant: str, run_id: RunId) -> Held:
        """What is there of a run; nothing if it was never pushed.

        Raises:
            Conflict: it is being pushed at this moment.
        """
        folder = self.folder(tenant, run_id)
        if not folder.evidence.is_dir():
            return Held(NOTHING, {})
        with self._held(tenant, run_id):
            names, _ = files_to_send(folder)
            files = {name: hash_file(folder.evidence / name) for name in names}
            return Held(self._copy(folder, run_id).received(), files)

    def append(self, tenant: str, run_id: RunId, offset: int, piece: bytes) -> Received:
        """Write a piece of a run's journal, as `JournalCopy.append`.

        Raises:
            Refused: the chain has no such run, or one that begins otherwise.
            InboxFull: as it says.
            Conflict: the run is being pushed at this moment.
            UnavailableError: the chain does not answer.
        """
        folder = self.folder(tenant, run_id)
        if not folder.journal.exists():
            self._require_registered(run_id)
        if offset + len(piece) > MOST_JOURNAL_BYTES:
            raise Refused(
                "journal is longer than a service takes",
                where="journal",
                expected=f"<= {MOST_JOURNAL_BYTES} bytes",
            )
        with self._held(tenant, run_id):
            self._room.require(tenant, str(run_id), len(piece))
            received = self._copy(folder, run_id).append(offset, piece)
            self._room.add(tenant, str(run_id), len(piece), new=offset == 0)
            return received

    def put(self, tenant: str, run_id: RunId, name: str, digest: Digest, data: bytes) -> bool:
        """Write a file; durable on return. Repeatable.

        Args:
            digest: that whoever sends it says it has.

        Returns:
            Whether there was none of this name.

        Raises:
            InputError: no file of evidence has this name, or it cannot be one of this run.
            Refused: it arrived with another digest.
            NotFound: of this run's journal nothing is here yet.
            InboxFull, Conflict: as `append`.
        """
        kind = require_kind(name)
        if len(data) > kind.most:
            raise Refused(
                "file is too large",
                where=name,
                expected=f"<= {kind.most} bytes",
                actual=f"{len(data)} bytes",
            )
        if sha256(data) != digest:
            raise Refused(
                "file arrived with another digest",
                where=name,
                expected=str(digest),
                actual=str(sha256(data)),
                hint="send it again",
            )
        kind.check(name, data, run_id)
        folder = self.folder(tenant, run_id)
        if not folder.journal.is_file():
            raise NotFound(
                "of this run's journal nothing is here yet",
                where=str(run_id),
                hint="send the journal first",
            )
        with self._held(tenant, run_id):
            path = folder.evidence / name
            before = path.stat().st_size if path.is_file() else None
            more = len(data) - (before or 0)
            self._room.require(tenant, str(run_id), more)
            write_atomically(path, data)
            self._room.add(tenant, str(run_id), more, new=before is None)
            return before is None

    def agreement(self, tenant: str, run_id: RunId) -> Agreement:
        """How records agree with each other, heads with records, and all of it with the chain.

        Raises:
            NotFound: of this run nothing is here.
            UnavailableError: the chain does not answer.
        """
        folder = self.folder(tenant, run_id)
        if not folder.journal.is_file():
            raise NotFound("of this run nothing is here", where=str(run_id), hint="push it first")
        return _agreement(FolderEvidence(folder), run_id, self._registered(run_id))

    def folder(self, tenant: str, run_id: RunId) -> RunFolder:
        """Where a tenant's copy of a run lies."""
        return RunFolder(self._folder / tenant / str(run_id))

    def _copy(self, folder: RunFolder, run_id: RunId) -> JournalCopy:
        with self._lock:
            copy = self._copies.pop(folder.journal, None)
            if copy is None:
                copy = JournalCopy(folder.journal, lambda record: self._opening(run_id, record))
            self._copies[folder.journal] = copy
            while len(self._copies) > KEPT_COPIES:
                self._copies.popitem(last=False)
            return copy

    def _require_registered(self, run_id: RunId) -> RunFacts:
        run = self._registered(run_id)
        if run is None:
            raise Refused(
                "the chain has no such run in its newest final block",
                where=str(run_id),
                hint="push a run that was trained with --anchor on this service's chain; a moment "
                "later if it was registered just now",
            )
        return run

    def _opening(self, run_id: RunId, record: Record) -> None:
        run = self._require_registered(run_id)
        if record.digest != run.preregistration:
            raise Refused(
                "journal begins otherwise than the run",
                where="record 0",
                expected=str(run.preregistration),
                actual=str(record.digest),
            )

    @contextmanager
    def _held(self, tenant: str, run_id: RunId) -> Iterator[None]:
        """Keep every other thread and process from this tenant's copy of the run."""
        locks = self._folder / ".locks"
        try:
            locks.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = locks / f"{tenant}-{to_hex(run_id)}"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise OutputError(
                "inbox cannot be written", where=str(locks), actual=cause_of(error, locks)
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise Conflict(
                "this run is being pushed at this moment",
                where=str(run_id),
                hint="wait until that ends, then push again: what is there is not sent twice",
            ) from error
        finally:
            os.close(fd)


def _agreement(evidence: FolderEvidence, run_id: RunId, run: RunFacts | None) -> Agreement:
    records, heads = evidence.records(), evidence.heads()
    faults = history_faults(records) + head_faults(heads, records)
    if (named := evidence.named_run()) != run_id:
        faults.append(f"run.json: run_id {named}, pushed as {run_id}")
    if run is not None and run.size and len(records) >= run.size:
        try:
            require_log(records, run.size, run.root, "the newest head")
        except ProvenanceError as error:
            faults.append(f"chain: {error}")
    return Agreement(len(records), len(heads), 0 if run is None else run.size, faults)

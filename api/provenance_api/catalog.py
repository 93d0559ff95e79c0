"""The index of the evidence folders: filling it, and looking up releases by name or manifest."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, func, select

from provenance.digest import Digest
from provenance.errors import ProvenanceError, UnavailableError, VerificationError
from provenance.ids import RunId
from provenance.layout import RunFolder
from provenance.log.record import Record
from provenance.log.records import Release
from provenance.verify.sources.evidence import run_id_of
from provenance.verify.sources.names import split_name
from provenance_api.db import (
    Database,
    RecordRow,
    ReleaseRow,
    RunRow,
    acting_for,
    current,
    forget_run,
    has_release,
    index_run,
    indexed_from,
    set_shown,
    shown_by,
    writer,
)
from provenance_api.db.rows import registered_run_id
from provenance_api.evidence import Redaction, Stamp
from provenance_api.tenants.shelf import Shelf

log = logging.getLogger("provenance_api")
MOST_MATCHES = 1000


@dataclass(frozen=True)
class Listed:
    """A release as the database lists it, which is no verdict on it.

    record: digest of the release's record, computed from its bytes; the chain names it in a claim.
    """

    model: Digest
    manifest: Digest
    name: str
    version: str | None
    run_id: RunId
    time: str
    record: Digest

    @property
    def label(self) -> str:
        """`name`, or `name:version`."""
        return self.name if self.version is None else f"{self.name}:{self.version}"

    def to_json(self) -> dict[str, str | None]:
        """The form in which a problem lists it among its matches."""
        return {
            "model": str(self.model),
            "manifest": str(self.manifest),
            "name": self.name,
            "version": self.version,
            "run_id": str(self.run_id),
            "time": self.time,
        }


@dataclass(frozen=True)
class Damage:
    """A folder that could not be indexed.

    run_id: the run that its `run.json` names, if it names one.
    text: why, without the operator's paths.
    """

    folder: Path
    run_id: RunId | None
    text: str


class Catalog:
    """The database's index of the evidence folders. Threads may share it.

    Args:
        scan_s: Least seconds between two scans of the folders.
        holds_log: Whether a folder's journal begins with the log that the chain has of its run.
            Raises UnavailableError.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        database: Database,
        shelf: Shelf,
        scan_s: float,
        holds_log: Callable[[RunFolder], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._shelf = database, shelf
        self._redaction = Redaction(shelf.roots)
        self._scan_s, self._holds_log, self._clock = scan_s, holds_log, clock
        self._lock = threading.Lock()
        self._seen: dict[Path, Stamp] = {}
        self._problems: dict[Path, tuple[str, ProvenanceError]] = {}
        self._scanned_s: float | None = None

    def refresh(self, force: bool = False) -> None:
        """Index run folders that are new or changed.

        A folder that cannot be indexed is kept in `problems`.

        Args:
            force: Also within `scan_s` of the last scan.

        Raises:
            UnavailableError: the database does not answer.
        """
        with self._lock:
            if not force and self._is_fresh():
                return
            for tenant, folder in self._shelf.all():
                with acting_for(tenant):
                    self._index(folder)
            self._scanned_s = self._clock()

    def keep_up(self) -> None:
        """As `refresh`, but for whoever waits for nothing: it ends at once if another one runs."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
            with suppress(UnavailableError):  # /healthz names what is missing
                self.refresh()

    def damage(self, run_id: RunId | None = None) -> list[Damage]:
        """The folders of the current scope's tenant that could not be indexed.

        With an id, those that name this run.
        """
        with self._lock:
            problems = sorted(self._problems.items())
        found = (
            Damage(folder, run_id_of(RunFolder(folder)), self._redaction.text(str(error)))
            for folder, (tenant, error) in problems
            if tenant == current().tenant
        )
        return [each for each in found if run_id in (None, each.run_id)]

    def _is_fresh(self) -> bool:
        return self._scanned_s is not None and self._clock() - self._scanned_s < self._scan_s

    def _index(self, folder: RunFolder) -> None:
        stamp = Stamp.of(folder)
        if self._seen.get(folder.root) == stamp:
            return
        try:
            self._shelf.require_own(writer(), folder)
            self._project(folder)
            self._shelf.note(folder, self._released(folder))
        except UnavailableError:
            raise
        except ProvenanceError as error:
            # A damaged folder must not hide the others. /healthz names it, and it is tried again
            # when it changes.
            if folder.root not in self._problems:
                log.warning("run folder is not indexed: %s", error)
            self._problems[folder.root] = (writer(), error)
        else:
            self._problems.pop(folder.root, None)
        self._seen[folder.root] = stamp

    def _project(self, folder: RunFolder) -> None:
        try:
            with self._database.session() as session:
                index_run(session, folder)
        except VerificationError:
            if not self._is_rival(folder) or not self._holds_log(folder):
                raise
            with self._database.session() as session:
                forget_run(session, folder)
                index_run(session, folder)

    def _released(self, folder: RunFolder) -> bool:
        """Whether a run was released. Its rows are then shown to everybody, unless others' are.

        Two tenants may have folders that name one run. The chain says whose journal is the run's.
        """
        run_id = registered_run_id(folder)
        with self._database.session() as session:
            if not has_release(session, run_id):
                return False
            shown = shown_by(session, run_id)
        if shown is None or shown[0] == writer():
            return True
        rival, place = shown
        known = place in self._seen
        if self._holds_log(folder) and not (known and self._holds_log(RunFolder(place))):
            with acting_for(rival), self._database.session() as session:
                set_shown(session, run_id, False)
            with self._database.session() as session:
                set_shown(session, run_id, True)
        return True

    def _is_rival(self, folder: RunFolder) -> bool:
        """Whether the run's rows are those of another folder, which names the same run.

        Anybody can write a run's id into a folder. The chain says whose journal is the run's.
        """
        with self._database.session() as session:
            return indexed_from(session, folder) not in (None, folder.root)

    @property
    def problems(self) -> list[ProvenanceError]:
        """One error for each folder that is not indexed."""
        with self._lock:
            return [error for _, error in self._problems.values()]

    def by_name(self, label: str) -> list[Listed]:
        """Releases called `name` (any version) or `name:version`, newest first."""
        name, version = split_name(label)
        exact = (ReleaseRow.name == name) & (ReleaseRow.version == version)
        whole = ReleaseRow.name == label
        return self._found(whole if version is None else exact | whole)

    def by_manifest(self, manifest: Digest) -> list[Listed]:
        """Releases of a folder with this manifest digest, newest first."""
        return self._found(ReleaseRow.manifest == bytes(manifest))

    def count_runs(self) -> int:
        """How many runs are indexed.

        Raises:
            UnavailableError: the database does not answer.
        """
        with self._database.session() as session:
            return session.execute(select(func.count()).select_from(RunRow)).scalar_one()

    def _found(self, condition: ColumnElement[bool]) -> list[Listed]:
        found = self._query(condition)
        if not found:
            self.refresh()
            found = self._query(condition)
        return found

    def _query(self, condition: ColumnElement[bool]) -> list[Listed]:
        query = (
            select(ReleaseRow, RecordRow.body)
            .join(
                RecordRow,
                (RecordRow.run_id == ReleaseRow.run_id) & (RecordRow.index == ReleaseRow.index),
            )
            .order_by(ReleaseRow.time.desc(), ReleaseRow.run_id, ReleaseRow.index.desc())
            .where(condition)
            .limit(MOST_MATCHES)
        )
        with self._database.session() as session:
            return [_listed(row, body) for row, body in session.execute(query)]


def _listed(row: ReleaseRow, body: bytes) -> Listed:
    """A release as its record says it; columns serve to find it, and may have been altered."""
    record = Record.parse(body)
    release = record.body(Release)
    name, version = split_name(release.name)
    return Listed(
        release.model,
        release.manifest,
        name,
        version,
        RunId(row.run_id),
        record.time,
        record.digest,
    )

"""Scanning the folders of evidence, and filling the index with what is new in them.

Whatever a tenant has in its folders is in no other tenant's way: a folder that cannot be indexed is
a problem of its own, whichever error it leads to.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from provenance.errors import (
    Conflict,
    InputError,
    InternalError,
    ProvenanceError,
    UnavailableError,
    VerificationError,
)
from provenance.ids import RunId
from provenance.layout import RunFolder
from provenance.verify.sources.evidence import run_id_of
from provenance_api.db import (
    Database,
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
PATIENCE_S = 2.0
"""Seconds that a request waits for a scan that runs."""
CONTEST_S = 60.0
"""Least seconds until it is asked again whose folder of a released run is shown."""


@dataclass(frozen=True)
class Damage:
    """A folder that could not be indexed.

    run_id: the run that its `run.json` names, if it names one.
    text: why, without the operator's paths.
    """

    folder: Path
    run_id: RunId | None
    text: str


@dataclass(frozen=True)
class _Problem:
    tenant: str
    run_id: RunId | None
    error: ProvenanceError


class _Undecided(Exception):
    """The chain does not say whose journal is a run's."""

    def __init__(self, error: UnavailableError) -> None:
        super().__init__()
        self.error = error


class Scan:
    """Keeps the index up with the folders. Threads may share it.

    Args:
        scan_s: Least seconds between two scans.
        beyond: How many records a folder's journal has after the log that the chain has of its run;
            None if it does not begin with that. Raises UnavailableError.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        database: Database,
        shelf: Shelf,
        scan_s: float,
        beyond: Callable[[RunFolder], int | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._shelf = database, shelf
        self._redaction = Redaction(shelf.roots)
        self._scan_s, self._beyond, self._clock = scan_s, beyond, clock
        self._scans, self._lock = threading.Lock(), threading.Lock()  # the latter: of `_problems`
        self._seen: dict[Path, Stamp] = {}
        self._contested: dict[Path, float] = {}  # folders that are not shown, and when we asked
        self._problems: dict[Path, _Problem] = {}
        self._scanned_s: float | None = None

    def refresh(self, force: bool = False) -> None:
        """Index run folders that are new or changed.

        A folder that cannot be indexed is kept in `problems`. Whoever finds a scan running waits
        `PATIENCE_S` for it: a tenant's many files must not hold everybody's requests.

        Args:
            force: Also within `scan_s` of the last scan.

        Raises:
            UnavailableError: the database does not answer.
        """
        if not self._scans.acquire(timeout=PATIENCE_S):
            return
        try:
            if force or not self._is_fresh():
                self._scan()
        finally:
            self._scans.release()

    def _scan(self) -> None:
        found = set()
        for tenant, folder in self._shelf.all():
            found.add(folder.root)
            with acting_for(tenant):
                self._look(folder)
        self._forget_all_but(found)
        self._scanned_s = self._clock()

    def look_at(self, folder: RunFolder) -> None:
        """Index one folder of the current scope's tenant, if it is new or changed.

        Raises:
            UnavailableError: the database does not answer, or a scan holds it for long.
        """
        if not self._scans.acquire(timeout=PATIENCE_S):
            raise UnavailableError("run folders are being scanned", hint="ask again in a moment")
        try:
            self._look(folder)
        finally:
            self._scans.release()

    def keep_up(self) -> None:
        """As `refresh`, but for whoever waits for nothing: it ends at once if another one runs."""
        if not self._scans.locked():
            with suppress(UnavailableError):  # /healthz names what is missing
                self.refresh()

    def damage(self, run_id: RunId | None = None) -> list[Damage]:
        """The folders of the current scope's tenant that could not be indexed.

        With an id, those that name this run.
        """
        with self._lock:
            problems = sorted(self._problems.items())
        return [
            Damage(folder, each.run_id, self._redaction.text(str(each.error)))
            for folder, each in problems
            if each.tenant == current().tenant and run_id in (None, each.run_id)
        ]

    @property
    def problems(self) -> list[ProvenanceError]:
        """One error for each folder that is not indexed."""
        with self._lock:
            return [each.error for each in self._problems.values()]

    def _is_fresh(self) -> bool:
        return self._scanned_s is not None and self._clock() - self._scanned_s < self._scan_s

    def _forget_all_but(self, found: set[Path]) -> None:
        """Folders that are gone are no problem any more. Their rows stay."""
        with self._lock:
            for kept in (self._problems, self._contested, self._seen):
                for gone in kept.keys() - found:
                    del kept[gone]

    def _look(self, folder: RunFolder) -> None:
        stamp = self._stamp(folder)
        asked_s = self._contested.get(folder.root)
        is_due = asked_s is not None and self._clock() - asked_s >= CONTEST_S
        if self._seen.get(folder.root) == stamp and not is_due:
            return
        try:
            self._take_in(folder)
        except UnavailableError:
            raise
        except (Conflict, _Undecided) as error:  # it is tried again whether it changes or not
            self._damaged(folder, error.error if isinstance(error, _Undecided) else error)
            return
        except ProvenanceError as error:
            self._damaged(folder, error)  # it is tried again when it changes
        except Exception:
            log.exception("run folder is not indexed: %r", str(folder.root))
            what = "this program fails on the folder; its log says why"
            self._damaged(folder, InternalError(what, where=str(folder.root)))
        else:
            with self._lock:
                self._problems.pop(folder.root, None)
        self._seen[folder.root] = stamp

    def _stamp(self, folder: RunFolder) -> Stamp:
        """As `Stamp.of`; nothing is looked at where a folder leads elsewhere."""
        try:
            self._shelf.require_apart(writer(), folder)
        except InputError:
            return Stamp(folder, b"")
        return Stamp.of(folder)

    def _damaged(self, folder: RunFolder, error: ProvenanceError) -> None:
        if folder.root not in self._problems:
            log.warning("run folder is not indexed: %s", error)
        named = None
        with suppress(InputError):  # of what may not be looked at, nothing is told
            self._shelf.require_own(writer(), folder)
            named = run_id_of(folder)
        with self._lock:
            self._problems[folder.root] = _Problem(writer(), named, error)

    def _take_in(self, folder: RunFolder) -> None:
        self._contested.pop(folder.root, None)
        self._shelf.require_own(writer(), folder)
        self._project(folder)
        run_id = registered_run_id(folder)
        with self._database.session() as session:
            indexed = indexed_from(session, folder) == folder.root
            shown = indexed and has_release(session, run_id)
        self._shelf.note(folder, run_id if shown else None)
        if shown:
            self._contest(folder, run_id)

    def _project(self, folder: RunFolder) -> None:
        try:
            with self._database.session() as session:
                index_run(session, folder)
        except VerificationError:
            if not self._is_rival(folder) or self._confirmed(folder) is None:
                raise
            with self._database.session() as session:
                forget_run(session, folder)
                index_run(session, folder)

    def _contest(self, folder: RunFolder, run_id: RunId) -> None:
        """Show a released run's rows to everybody, if the chain does not speak for others'.

        Two tenants may have folders that name one run. The chain says whose journal is the run's:
        of two that begin with its log, one that ends there is shown before one with records that
        nobody anchored, and else the one that is shown already.
        """
        with self._database.session() as session:
            shown = shown_by(session, run_id)
        if shown is None or shown[0] == writer():
            return
        rival, place = shown
        mine, other = self._confirmed(folder), self._of_rival(rival, RunFolder(place))
        if mine is not None and (other is None or (mine == 0 and other > 0)):
            with acting_for(rival), self._database.session() as session:
                set_shown(session, run_id, False)
            with self._database.session() as session:
                set_shown(session, run_id, True)
        else:
            self._contested[folder.root] = self._clock()

    def _confirmed(self, folder: RunFolder) -> int | None:
        try:
            return self._beyond(folder)
        except UnavailableError as error:
            raise _Undecided(error) from error

    def _of_rival(self, tenant: str, folder: RunFolder) -> int | None:
        """As `_confirmed`, of a folder that the database names; None if it is no tenant's now."""
        try:
            self._shelf.require_own(tenant, folder)
        except InputError:
            return None
        return self._confirmed(folder)

    def _is_rival(self, folder: RunFolder) -> bool:
        """Whether the run's rows are those of another folder, which names the same run.

        Anybody can write a run's id into a folder. The chain says whose journal is the run's.
        """
        with self._database.session() as session:
            return indexed_from(session, folder) not in (None, folder.root)

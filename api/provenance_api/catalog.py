"""The index of the evidence folders: looking up releases by name or manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select, tuple_

from provenance.digest import Digest
from provenance.ids import RunId
from provenance.log.record import Record
from provenance.log.records import Release
from provenance.verify.sources.names import split_name
from provenance_api.db import Database, RecordRow, ReleaseRow, RunRow
from provenance_api.tenants.scan import Scan

MOST_MATCHES = 200
"""Releases of one tenant that a name or manifest stands for; each file is asked for on chain."""


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


class Catalog:
    """The database's index of the evidence folders. Threads may share it.

    Args:
        scan: fills the index.
    """

    def __init__(self, database: Database, scan: Scan) -> None:
        self._database, self.scan = database, scan

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
            self.scan.refresh()
            found = self._query(condition)
        return found

    def _query(self, condition: ColumnElement[bool]) -> list[Listed]:
        # Of each tenant so many: what one has in its folders pushes nobody else's out.
        order = (ReleaseRow.time.desc(), ReleaseRow.run_id, ReleaseRow.index.desc())
        place = func.row_number().over(partition_by=ReleaseRow.tenant_id, order_by=order)
        found = select(ReleaseRow.run_id, ReleaseRow.index, place.label("place")).where(condition)
        newest = found.subquery()
        query = (
            select(ReleaseRow, RecordRow.body)
            .join(newest, tuple_(newest.c.run_id, newest.c.index) == _key(ReleaseRow))
            .join(RecordRow, _key(RecordRow) == _key(ReleaseRow))
            .where(newest.c.place <= MOST_MATCHES)
            .order_by(*order)
        )
        with self._database.session() as session:
            return [_listed(row, body) for row, body in session.execute(query)]


def _key(model: type[ReleaseRow] | type[RecordRow]) -> Any:
    return tuple_(model.run_id, model.index)


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

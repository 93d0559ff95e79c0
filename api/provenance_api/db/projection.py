"""Writing the rows of a run folder into the database, and finding where the two differ.

Records, heads, releases, openings and nodes are append-only. If a stored row differs from the
folder's, somebody altered one of them, and the row is never overwritten. Proof files may be made
again, so their rows are updated from the folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from provenance.errors import VerificationError
from provenance.ids import to_hex
from provenance.layout import RunFolder
from provenance_api.db.models import (
    Base,
    HeadRow,
    NodeRow,
    OpeningRow,
    RecordRow,
    ReleaseRow,
    RunRow,
)
from provenance_api.db.rows import PAGE_ROWS, DerivedRows, Row, registered_run_id
from provenance_api.db.scope import writer

OWNER = ("run_id", "tenant_id")
"""Whose a row is: part of each key, and the same for all rows of a folder."""
APPEND_ONLY: tuple[type[Base], ...] = (RecordRow, HeadRow, ReleaseRow, OpeningRow, NodeRow)


@dataclass(frozen=True)
class Difference:
    """One row that differs from the folder's. A side that lacks the row is None."""

    table: str
    key: tuple[int, ...]
    wanted: Row | None
    stored: Row | None

    @property
    def name(self) -> str:
        """Table and key of the row, for people."""
        return f"{self.table.removesuffix('s')} {'/'.join(map(str, self.key))}"

    @property
    def column(self) -> str:
        """The first column that differs, or an empty string."""
        wanted, stored = self.wanted or {}, self.stored or {}
        return next((c for c in wanted if wanted[c] != stored.get(c)), "")

    def __str__(self) -> str:
        if self.stored is None:
            return f"{self.name}: missing in the database"
        if self.wanted is None:
            return f"{self.name}: in the database, but not in the run folder"
        stored, wanted = _shown(self.stored[self.column]), _shown(self.wanted[self.column])
        return f"{self.name}: {self.column} is {stored}, the run folder says {wanted}"


def _shown(value: Any) -> str:
    if not isinstance(value, bytes):
        return repr(value)
    return to_hex(value) if len(value) <= 65 else f"{len(value)} bytes {to_hex(value[:8])}.."


def index_run(session: Session, folder: RunFolder) -> int:
    """Write what a tenant's run folder (attacker-controlled) has and the database lacks.

    With its first release a run is shown to everybody, unless another tenant's folder of the same
    run is shown already (`set_shown`). Repeatable.

    Returns:
        How many records were new.

    Raises:
        VerificationError: a stored row differs from the folder's, or the journal lost records;
            `where` names the index.
        InputError: the folder names no run, or its journal or heads are malformed.
    """
    derived = DerivedRows(registered_run_id(folder), writer())
    run = _locked_run(session, derived, folder)
    before = run.size
    for rows in derived.record_pages(folder):
        _settle(session, RecordRow, _compare(session, RecordRow, derived, rows))
    _refuse_beyond(session, derived)
    for model, rows in derived.other_rows(folder):
        _settle(session, model, _compare_all(session, model, derived, rows))
    run.size = derived.size
    if derived.releases and not run.released:
        run.released = shown_by(session, run.run_id) is None
    return derived.size - before


def compare_run(session: Session, folder: RunFolder) -> list[str]:
    """One sentence for each difference between database and run folder. Nothing is written.

    Raises:
        InputError, VerificationError: the folder itself is malformed or damaged.
    """
    run_id = registered_run_id(folder)
    run = own_run(session, run_id)
    if run is None:
        return [f"run {run_id}: missing in the database"]
    found: list[Difference] = []
    derived = DerivedRows(run_id, writer())
    for rows in derived.record_pages(folder):
        found += _compare(session, RecordRow, derived, rows)
    found += [Difference("records", (i,), None, {}) for i in _indices_beyond(session, derived)]
    for model, rows in derived.other_rows(folder):
        found += _compare_all(session, model, derived, rows)
    sentences = [str(d) for d in found]
    if run.size != derived.size:
        sentences.append(f"run {run_id}: size is {run.size}, the run folder says {derived.size}")
    return sentences


def forget_run(session: Session, folder: RunFolder) -> None:
    """Remove a run's rows, so that `index_run` can write them again from the journal."""
    run_id = registered_run_id(folder)
    session.execute(delete(RunRow).where(RunRow.run_id == run_id, RunRow.tenant_id == writer()))


def indexed_from(session: Session, folder: RunFolder) -> Path | None:
    """The folder from which the rows of the run are that `folder` names; None if there are none."""
    run = own_run(session, registered_run_id(folder))
    return None if run is None else Path(run.folder)


def own_run(session: Session, run_id: bytes) -> RunRow | None:
    """The tenant's own row of a run."""
    return session.scalars(
        select(RunRow).where(RunRow.run_id == run_id, RunRow.tenant_id == writer())
    ).one_or_none()


def shown_by(session: Session, run_id: bytes) -> tuple[str, Path] | None:
    """The tenant whose folder of a run is shown to everybody, and that folder."""
    runs = _table(RunRow)
    query = select(runs.c.tenant_id, runs.c.folder).where(runs.c.run_id == run_id, runs.c.released)
    row = session.execute(query).first()
    return None if row is None else (row.tenant_id, Path(row.folder))


def set_shown(session: Session, run_id: bytes, shown: bool) -> None:
    """Show the tenant's own folder of a run to everybody, or no longer."""
    run = own_run(session, run_id)
    if run is not None:
        run.released = shown


def has_release(session: Session, run_id: bytes) -> bool:
    """Whether the tenant's own folder of a run has a release."""
    query = select(ReleaseRow.index).where(
        ReleaseRow.run_id == run_id, ReleaseRow.tenant_id == writer()
    )
    return session.scalars(query.limit(1)).first() is not None


def _locked_run(session: Session, derived: DerivedRows, folder: RunFolder) -> RunRow:
    """The run's row, locked against other indexers until the transaction ends.

    The first statement writes, so that SQLite takes its write lock here and waits for it. A
    transaction that begins by reading would fail when it writes later.
    """
    session.execute(_insert_if_absent(session, derived.key, str(folder.root)))
    run = session.execute(select(RunRow).filter_by(**derived.key).with_for_update()).scalar_one()
    if run.folder != str(folder.root) and not RunFolder(Path(run.folder)).journal.is_file():
        run.folder = str(folder.root)  # the folder was moved
    return run


def _insert_if_absent(session: Session, key: Row, folder: str) -> Any:
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    row = {**key, "folder": folder, "size": 0, "released": False}
    return dialect.insert(RunRow).values(row).on_conflict_do_nothing()


def _table(model: type[Base]) -> Table:
    return Base.metadata.tables[model.__tablename__]


def _mine(table: Table, derived: DerivedRows) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in derived.key.items()]


def _key(table: Table, row: Row) -> tuple[int, ...]:
    return tuple(row[c.name] for c in table.primary_key.columns if c.name not in OWNER)


def _compare(
    session: Session, model: type[Base], derived: DerivedRows, rows: Sequence[Row]
) -> list[Difference]:
    """Differences for `rows`, whose indices are consecutive. Other stored rows are ignored."""
    table = _table(model)
    query = select(table).where(
        *_mine(table, derived),
        table.c.index >= rows[0]["index"],
        table.c.index <= rows[-1]["index"],
    )
    return _differences(table, rows, [dict(r._mapping) for r in session.execute(query)])


def _compare_all(
    session: Session, model: type[Base], derived: DerivedRows, rows: Sequence[Row]
) -> list[Difference]:
    table = _table(model)
    stored = session.execute(select(table).where(*_mine(table, derived)))
    return _differences(table, rows, [dict(r._mapping) for r in stored])


def _differences(table: Table, wanted: Sequence[Row], stored: Sequence[Row]) -> list[Difference]:
    left, right = {_key(table, r): r for r in wanted}, {_key(table, r): r for r in stored}
    keys = sorted(left.keys() | right.keys())
    return [
        Difference(table.name, k, left.get(k), right.get(k))
        for k in keys
        if left.get(k) != right.get(k)
    ]


def _settle(session: Session, model: type[Base], differences: Sequence[Difference]) -> None:
    """Insert missing rows. Refuse rows that differ, or update them in tables that may change."""
    for difference in differences:
        if difference.stored is not None:
            if model in APPEND_ONLY:
                raise _divergence(difference)
            _follow(session, model, difference)
    missing = [d.wanted for d in differences if d.stored is None and d.wanted is not None]
    if missing:
        session.execute(insert(_table(model)), missing)


def _divergence(difference: Difference) -> VerificationError:
    wanted, stored, column = difference.wanted, difference.stored or {}, difference.column
    return VerificationError(
        "database and run folder differ",
        where=difference.name,
        expected=_shown(wanted[column]) if wanted else "no such row",
        actual=_shown(stored.get(column)) if wanted else "a row",
        hint="one of them was altered; run: provenance fsck. "
        "A database can be dropped and filled again from the run folders",
    )


def _follow(session: Session, model: type[Base], difference: Difference) -> None:
    table, row = _table(model), difference.stored or {}
    mine = [c == row[c.name] for c in table.primary_key.columns]
    session.execute(
        update(table).where(*mine).values(**difference.wanted)
        if difference.wanted
        else delete(table).where(*mine)
    )


def _indices_beyond(session: Session, derived: DerivedRows) -> list[int]:
    query = (
        select(RecordRow.index)
        .filter_by(**derived.key)
        .where(RecordRow.index >= derived.size)
        .order_by(RecordRow.index)
    )
    return list(session.execute(query.limit(PAGE_ROWS)).scalars())


def _refuse_beyond(session: Session, derived: DerivedRows) -> None:
    if beyond := _indices_beyond(session, derived):
        raise VerificationError(
            "journal lost records that the database has",
            where=f"record {beyond[0]}",
            expected=f"at least {beyond[-1] + 1} records",
            actual=derived.size,
            hint="restore the journal, or drop the database if the journal is right",
        )

"""Projecting a run folder into the database, and saying where the two differ.

Records, heads and releases are append-only: a stored row that differs from the folder's is an alteration of one of them
and is never overwritten. Proof files may be made anew, so their rows follow the folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from provenance.digest import hash_file
from provenance.encoding import MAX_INTEGER
from provenance.errors import InputError, VerificationError
from provenance.layout import RunFolder
from provenance.log.anchoring import read_heads
from provenance.log.record import Record
from provenance.log.tree import iterate_records
from provenance.verify.evidence import MAX_CHUNKS, run_id_of
from provenance_api.db.models import (
    Base,
    HeadRow,
    ProofRow,
    RecordRow,
    ReleaseRow,
    RunRow,
    split_name,
)

Row = dict[str, Any]
PAGE_ROWS = 1000
APPEND_ONLY: tuple[type[Base], ...] = (RecordRow, HeadRow, ReleaseRow)


@dataclass(frozen=True)
class Difference:
    """One row that is not what the folder says. `stored` or `wanted` is None where a side lacks the row."""

    table: str
    key: tuple[int, ...]
    wanted: Row | None
    stored: Row | None

    @property
    def name(self) -> str:
        return f"{self.table.removesuffix('s')} {'/'.join(map(str, self.key))}"

    @property
    def column(self) -> str:
        """The first column that differs, if both sides have the row."""
        wanted, stored = self.wanted or {}, self.stored or {}
        return next((c for c in wanted if wanted[c] != stored.get(c)), "")

    def __str__(self) -> str:
        if self.stored is None:
            return f"{self.name}: missing in the database"
        if self.wanted is None:
            return f"{self.name}: in the database, not in the run folder"
        column = self.column
        return f"{self.name}: {column} is {_shown(self.stored[column])}, the run folder says {_shown(self.wanted[column])}"


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return (
            "0x" + value.hex() if len(value) <= 65 else f"{len(value)} bytes 0x{value[:8].hex()}.."
        )
    return repr(value)


def index_run(session: Session, folder: RunFolder) -> int:
    """Bring the database up to a run folder; returns how many records were new. Repeating it changes nothing.

    Raises:
        VerificationError: a stored row differs from the folder's, or the journal lost records; `where` names the index.
        InputError: the folder names no run, or its journal or heads are malformed.
    """
    run_id = _run_id(folder)
    run = _locked_run(session, run_id, folder)
    before, derived = run.size, _Derived(run_id)
    for rows in derived.record_pages(folder):
        _settle(session, RecordRow, _compare(session, RecordRow, run_id, rows))
    _refuse_beyond(session, run_id, derived.size)
    for model, rows in derived.other_rows(folder):
        _settle(session, model, _compare_all(session, model, run_id, rows))
    run.size = derived.size
    return derived.size - before


def compare_run(session: Session, folder: RunFolder) -> list[str]:
    """What differs between database and run folder, a sentence each; empty if nothing does. Writes nothing.

    Raises:
        InputError, VerificationError: the folder itself is malformed or damaged.
    """
    run_id = _run_id(folder)
    run = session.get(RunRow, run_id)
    if run is None:
        return [f"run 0x{run_id.hex()}: missing in the database"]
    found: list[Difference] = []
    derived = _Derived(run_id)
    for rows in derived.record_pages(folder):
        found += _compare(session, RecordRow, run_id, rows)
    found += [
        Difference("records", (i,), None, {})
        for i in _indices_beyond(session, run_id, derived.size)
    ]
    for model, rows in derived.other_rows(folder):
        found += _compare_all(session, model, run_id, rows)
    sentences = [str(d) for d in found]
    if run.size != derived.size:
        sentences.append(
            f"run 0x{run_id.hex()}: size is {run.size}, the run folder says {derived.size}"
        )
    return sentences


def forget_run(session: Session, folder: RunFolder) -> None:
    """Remove a run's rows, so that `index_run` writes them anew: the journal is the source, the database its projection."""
    session.execute(delete(RunRow).where(RunRow.run_id == _run_id(folder)))


@dataclass
class _Derived:
    """What one pass over a run's records gives: their rows, page by page, and what other tables take from them."""

    run_id: bytes
    size: int = 0
    epochs: dict[int, int | None] = field(
        default_factory=dict
    )  # epoch -> number of the anchoring it ended with
    releases: list[Row] = field(default_factory=list)

    def record_pages(self, folder: RunFolder) -> Iterator[list[Row]]:
        records = iterate_records(folder.journal)
        while page := list(islice(records, PAGE_ROWS)):
            rows = []
            for index, record in enumerate(page, start=self.size):
                self._note(index, record)
                rows.append(_record_row(self.run_id, index, record))
            self.size += len(page)
            yield rows

    def _note(self, index: int, record: Record) -> None:
        if record.type == "epoch":
            self.epochs[record.fields["epoch"]] = record.fields.get("number")
        elif record.type == "release":
            self.releases.append(_release_row(self.run_id, index, record))

    def other_rows(self, folder: RunFolder) -> list[tuple[type[Base], list[Row]]]:
        """Rows of the other tables; call once every page was taken."""
        return [
            (HeadRow, _head_rows(folder, self.run_id)),
            (ReleaseRow, self.releases),
            (ProofRow, _proof_rows(folder, self.run_id, self.epochs)),
        ]


def _run_id(folder: RunFolder) -> bytes:
    run_id = run_id_of(folder.require())
    if run_id is None or len(run_id) != 32:
        raise InputError(
            "run folder names no run",
            where=str(folder.info),
            expected="run_id of 32 bytes",
            hint="a run is in the database once it is registered on chain (provenance train --anchor)",
        )
    return run_id


def _locked_run(session: Session, run_id: bytes, folder: RunFolder) -> RunRow:
    """The run's row, held against a second indexer until the transaction ends.

    The first statement writes: SQLite then waits for its lock here, instead of failing when a reader turns writer.
    """
    session.execute(_insert_if_absent(session, run_id, str(folder.root)))
    run = session.execute(
        select(RunRow).where(RunRow.run_id == run_id).with_for_update()
    ).scalar_one()
    if run.folder != str(folder.root) and not RunFolder(Path(run.folder)).journal.is_file():
        run.folder = str(folder.root)  # the folder has moved
    return run


def _insert_if_absent(session: Session, run_id: bytes, folder: str) -> Any:
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return (
        dialect.insert(RunRow).values(run_id=run_id, folder=folder, size=0).on_conflict_do_nothing()
    )


def _record_row(run_id: bytes, index: int, record: Record) -> Row:
    return {
        "run_id": run_id,
        "index": index,
        "type": record.type,
        "entry": bytes(record.entry),
        "digest": bytes(record.digest),
        "body": record.to_bytes(),
    }


def _release_row(run_id: bytes, index: int, record: Record) -> Row:
    # PostgreSQL stores no NUL in text; a name with one cannot be asked for anyway.
    name, version = split_name(record.fields["name"].replace("\0", "\ufffd"))
    return {
        "run_id": run_id,
        "index": index,
        "model": _digest(record.fields["model"]),
        "manifest": _digest(record.fields["manifest"]),
        "name": name,
        "version": version,
        "time": record.time,
    }


def _digest(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("sha256:"))


def _head_rows(folder: RunFolder, run_id: bytes) -> list[Row]:
    rows = []
    for position, signed in enumerate(read_heads(folder.heads)):
        if not 0 <= signed.seq <= MAX_INTEGER or signed.head.size > MAX_INTEGER:
            raise InputError(
                "signed head has an impossible number",
                where=f"{folder.heads} line {position + 1}",
                expected=f"<= {MAX_INTEGER}",
                actual=max(signed.seq, signed.head.size),
            )
        rows.append(
            {
                "run_id": run_id,
                "position": position,
                "seq": signed.seq,
                "size": signed.head.size,
                "root": signed.head.root,
                "signature": signed.signature,
            }
        )
    return rows


def _proof_rows(folder: RunFolder, run_id: bytes, epochs: dict[int, int | None]) -> list[Row]:
    rows = []
    for epoch, number in sorted(epochs.items()):
        for chunk in range(MAX_CHUNKS):
            path = folder.epoch(epoch) / f"proof-{chunk}.json"
            if not path.is_file():
                break
            rows.append(
                {
                    "run_id": run_id,
                    "epoch": epoch,
                    "chunk": chunk,
                    "number": number,
                    "digest": bytes(hash_file(path)),
                }
            )
    return rows


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


def _key(table: Table, row: Row) -> tuple[int, ...]:
    return tuple(row[c.name] for c in table.primary_key.columns if c.name != "run_id")


def _compare(
    session: Session, model: type[Base], run_id: bytes, rows: Sequence[Row]
) -> list[Difference]:
    """Differences for rows with consecutive indices; stored rows outside that range are not looked at."""
    table = _table(model)
    query = select(table).where(
        table.c.run_id == run_id,
        table.c.index >= rows[0]["index"],
        table.c.index <= rows[-1]["index"],
    )
    return _differences(table, rows, [dict(r._mapping) for r in session.execute(query)])


def _compare_all(
    session: Session, model: type[Base], run_id: bytes, rows: Sequence[Row]
) -> list[Difference]:
    table = _table(model)
    stored = session.execute(select(table).where(table.c.run_id == run_id))
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
    """Insert what is missing; refuse or follow what differs."""
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
        hint="one of them was altered: provenance fsck; a database can be dropped and indexed again",
    )


def _follow(session: Session, model: type[Base], difference: Difference) -> None:
    table, row = _table(model), difference.stored or {}
    mine = [c == row[c.name] for c in table.primary_key.columns]
    session.execute(
        update(table).where(*mine).values(**difference.wanted)
        if difference.wanted
        else delete(table).where(*mine)
    )


def _indices_beyond(session: Session, run_id: bytes, size: int) -> list[int]:
    query = (
        select(RecordRow.index)
        .where(RecordRow.run_id == run_id, RecordRow.index >= size)
        .order_by(RecordRow.index)
    )
    return list(session.execute(query.limit(PAGE_ROWS)).scalars())


def _refuse_beyond(session: Session, run_id: bytes, size: int) -> None:
    if beyond := _indices_beyond(session, run_id, size):
        raise VerificationError(
            "journal lost records that the database has",
            where=f"record {beyond[0]}",
            expected=f"at least {beyond[-1] + 1} records",
            actual=size,
            hint="restore the journal, or drop the database if the journal is right",
        )

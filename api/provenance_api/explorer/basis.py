"""What all queries share: finding a run, what its records are compared with, lines of lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from provenance.digest import Digest
from provenance.errors import InputError, NotFound, VerificationError
from provenance.ids import HEX_PREFIX, RunId, bare_digits, to_hex
from provenance.judgement.trust import Trust
from provenance.log.record import Record
from provenance.log.records import BODIES, Batch, RunClose
from provenance_api.catalog import Catalog
from provenance_api.db import Base, Database, OpeningRow, RecordRow, ReleaseRow, RunRow
from provenance_api.db.rows import MOST_NAME
from provenance_api.explorer.glance import ChainGlance, RunSeen, Seen
from provenance_api.explorer.models import Head, OnChain, ReleaseLine, RunLine, Source
from provenance_api.explorer.stored import StoredHead, StoredLog
from provenance_api.web.texts import Texts

Row = TypeVar("Row", bound=Base)
BATCH, CLOSING = Batch.TYPE, RunClose.TYPE
TYPES = frozenset(body.TYPE for body in BODIES)


class BrokenRun(NotFound):
    """The folder that names this run cannot be read, and nothing of it was indexed before."""

    code = "broken-run"


@dataclass(frozen=True)
class Basis:
    """What queries are made from. Threads may share it."""

    database: Database
    catalog: Catalog
    glance: ChainGlance
    trust: Trust
    texts: Texts

    @contextmanager
    def log(self, run_id: RunId) -> Iterator[tuple[Session, StoredLog]]:
        """A run's log as it is indexed.

        Raises:
            NotFound: no indexed folder is this run's.
            UnavailableError: the database does not answer.
        """
        with self.database.session() as session:
            run = one(session, RunRow, run_id=run_id)
            if run is None:
                raise _unknown(run_id)
            yield session, StoredLog(session, run)

    def require(self, run_id: RunId) -> None:
        """Look for a run; the folders are scanned again if it is not there.

        Raises:
            NotFound: no folder is this run's, or it is too damaged to be indexed.
            UnavailableError: the database does not answer.
        """
        if self._has(run_id):
            return
        self.catalog.scan.refresh()
        if self._has(run_id):
            return
        damage = self.catalog.scan.damage(run_id)
        raise _unknown(run_id) if not damage else _broken(run_id, damage[0].text)

    def damage(self, session: Session, run_id: RunId) -> str | None:
        """Why the folder that a run was indexed from cannot be read any more, if it cannot."""
        run = one(session, RunRow, run_id=run_id)
        own = [
            d.text for d in self.catalog.scan.damage(run_id) if run and str(d.folder) == run.folder
        ]
        return own[0] if own else None

    def _has(self, run_id: RunId) -> bool:
        with self.database.session() as session:
            return one(session, RunRow, run_id=run_id) is not None

    def run_lines(self, session: Session, run_ids: Sequence[bytes]) -> list[RunLine]:
        """Lines of these runs, in this order."""
        rows = session.scalars(select(RunRow).where(RunRow.run_id.in_(run_ids)))
        runs = {bytes(row.run_id): row for row in rows}
        openings = session.scalars(select(OpeningRow).where(OpeningRow.run_id.in_(run_ids)))
        opened = {bytes(row.run_id): row for row in openings}
        closed = set(
            session.scalars(
                select(RecordRow.run_id)
                .where(RecordRow.run_id.in_(run_ids), RecordRow.type == CLOSING)
                .distinct()
            )
        )
        return [
            self._line(runs[each], opened.get(each), each in closed)
            for each in run_ids
            if each in runs
        ]

    def _line(self, run: RunRow, opening: OpeningRow | None, closed: bool) -> RunLine:
        signer = None if opening is None else opening.signer
        return RunLine(
            run_id=to_hex(run.run_id),
            opened=None if opening is None else opening.time,
            state="closed" if closed else "open",
            size=run.size,
            signer=signer,
            publisher=next((p.name for p in self.trust.publishers if p.address == signer), None),
        )

    def counted(self, session: Session, log: StoredLog) -> dict[str, int]:
        """How many records of each type a run has. All but batches are few, and are counted."""
        query = (
            select(RecordRow.type, func.count())
            .where(RecordRow.run_id == log.run_id, RecordRow.type.in_(TYPES - {BATCH}))
            .group_by(RecordRow.type)
            .order_by(RecordRow.type)
        )
        counts = {row[0]: row[1] for row in session.execute(query)}
        batches = log.size - sum(counts.values())
        return {BATCH: batches, **counts} if batches else counts


def one(session: Session, model: type[Row], **key: object) -> Row | None:
    """The row with this key that may be seen: of a run that is seen there is one."""
    return session.scalars(select(model).filter_by(**key)).one_or_none()


def parse_run_id(text: str) -> RunId:
    """A run's id as people paste it (attacker-controlled), with `0x` or without.

    Raises:
        InputError: it is none.
    """
    return RunId.parse(HEX_PREFIX + bare_digits(text), where="run id")


def parsed(body: bytes, where: object) -> Record:
    """The record of a row.

    Raises:
        VerificationError: somebody altered the row: only records are indexed.
    """
    try:
        return Record.parse(body)
    except InputError as error:
        raise altered(f"record {where}") from error


def altered(where: str) -> VerificationError:
    """The error for a row that is not what was indexed."""
    return VerificationError(
        "database and evidence disagree about this record",
        where=where,
        hint="the operator should run: provenance fsck --database",
    )


def head_line(log: StoredLog, head: StoredHead) -> Head:
    """A head as answers have it."""
    return Head(
        position=head.position,
        seq=head.seq,
        size=head.size,
        root=to_hex(head.root),
        digest=log.digest(head),
        holds=head.holds,
    )


def on_chain(log: StoredLog, seen: Seen[RunSeen]) -> OnChain:
    """The newest head on chain, compared with the records."""
    if seen.block is None:
        return OnChain(status="unanswered", problem=seen.problem)
    final = seen.block.number
    if seen.value is None or seen.value.head is None:
        return OnChain(status="not_on_chain", final_block=final)
    run, head = seen.value.run, seen.value.head
    if head.size > log.size:
        status = "missing_records"
    else:
        status = "on_chain" if log.root(head.size) == head.root else "differs"
    return OnChain.model_validate(
        {
            "status": status,
            "head": run.seq,
            "size": head.size,
            "root": to_hex(head.root),
            "committed_block": head.block_number,
            "final_block": final,
        }
    )


def source_of(log: StoredLog, seen: Seen[RunSeen]) -> Source:
    """What a run's records are compared with."""
    newest = log.newest()
    return Source(
        records=log.size,
        head=None if newest is None else head_line(log, newest),
        chain=on_chain(log, seen),
    )


def release_line(row: ReleaseRow) -> ReleaseLine:
    """A release in a list; of a long name its beginning."""
    model = str(Digest(row.model))
    return ReleaseLine(
        run_id=to_hex(row.run_id),
        index=row.index,
        name=_cut(row.name),
        version=None if row.version is None else _cut(row.version),
        model=model,
        manifest=str(Digest(row.manifest)),
        time=row.time,
        verdict=f"/verify/{model}",
    )


def _cut(name: str) -> str:
    return name if len(name) <= MOST_NAME else f"{name[:MOST_NAME]}.."


def _unknown(run_id: RunId) -> NotFound:
    return NotFound(
        "no evidence folder of this service is of this run",
        actual=str(run_id),
        hint="search for another handle, or ask who runs the service for its folder",
    )


def _broken(run_id: RunId, damage: str) -> BrokenRun:
    return BrokenRun(
        f"the folder that names this run cannot be read: {damage}",
        actual=str(run_id),
        hint="ask its owner for a whole copy of the folder; provenance fsck names what is damaged",
    )

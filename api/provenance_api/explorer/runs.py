"""Runs: pages of them, and one as its records tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from provenance.ids import RunId, to_hex
from provenance.log.record import Record
from provenance_api.db import HeadRow, OpeningRow, RecordRow, ReleaseRow, RunRow
from provenance_api.explorer import cursors, words
from provenance_api.explorer.basis import (
    CLOSING,
    Basis,
    one,
    parse_run_id,
    parsed,
    release_line,
    source_of,
)
from provenance_api.explorer.glance import RunSeen, Seen
from provenance_api.explorer.models import (
    CheckpointLine,
    EvalLine,
    NamedDataset,
    RegistryRun,
    RunDetail,
    Runs,
)
from provenance_api.explorer.stored import StoredLog

MOST_LISTED = 64
"""Checkpoints, releases and evaluations on the page of a run; lists of records have all."""
MOST_DAMAGED = 20
MOST_BYTES = 1 << 20


def run_page(basis: Basis, after: str | None, limit: int) -> Runs:
    """A page of runs, the newest first by what they say.

    Args:
        after: attacker-controlled.

    Raises:
        BadCursor: `after` names no run here.
    """
    with basis.database.session() as session:
        rows = session.scalars(_after(session, after).limit(limit + 1)).all()
        lines = basis.run_lines(session, rows)
    page, last = cursors.split(lines, limit, lambda line: line.run_id)
    damaged = [each.text for each in basis.catalog.scan.damage()][:MOST_DAMAGED]
    return Runs(runs=page, damaged=damaged, next=cursors.link("/runs", last, limit=limit))


def _after(session: Session, after: str | None) -> Any:
    """The ids of runs behind a cursor. A run without an opening sorts as the oldest."""
    time = func.coalesce(OpeningRow.time, "")
    query = (
        select(RunRow.run_id)
        .outerjoin(OpeningRow, OpeningRow.run_id == RunRow.run_id)
        .order_by(time.desc(), RunRow.run_id)
    )
    if after is None:
        return query
    form = "the id of a run that is listed here"
    run_id = cursors.run_id(after, form)
    if one(session, RunRow, run_id=run_id) is None:
        raise cursors.BadCursor(after, form)
    opening = one(session, OpeningRow, run_id=run_id)
    last = "" if opening is None else opening.time
    return query.where(or_(time < last, and_(time == last, RunRow.run_id > run_id)))


def run_detail(basis: Basis, run_id: str) -> RunDetail:
    """A run.

    Args:
        run_id: attacker-controlled.

    Raises:
        InputError: a malformed id.
        NotFound: no such run.
    """
    wanted = parse_run_id(run_id)
    basis.require(wanted)
    seen = basis.glance.run(wanted)
    with basis.log(wanted) as (session, log):
        return _detail(basis, session, log, seen)


def _detail(basis: Basis, session: Session, log: StoredLog, seen: Seen[RunSeen]) -> RunDetail:
    [line] = basis.run_lines(session, [log.run_id])
    opening = _fields(session, log.run_id, "run.open")
    closing = _records(session, log.run_id, CLOSING)[-1:]
    checkpoints = _records(session, log.run_id, "checkpoint")
    evaluations = _records(session, log.run_id, "eval")
    releases = session.scalars(
        select(ReleaseRow)
        .where(ReleaseRow.run_id == log.run_id)
        .order_by(ReleaseRow.index)
        .limit(MOST_LISTED + 1)
    ).all()
    long = {"checkpoints": checkpoints, "evaluations": evaluations, "releases": releases}
    return RunDetail(
        **line.model_dump(),
        source=source_of(log, seen),
        registry=registry_of(session, log, seen, line.signer),
        dataset=_dataset(session, log.run_id),
        base=words.table({k: v for k, v in _map(opening, "base").items() if k != "files"}),
        code=words.table(opening.get("code")),
        configuration=words.settings(opening.get("config"), basis.texts),
        counts=basis.counted(session, log),
        checkpoints=[_checkpoint(*each) for each in checkpoints[:MOST_LISTED]],
        heads=session.scalar(
            select(func.count()).select_from(HeadRow).where(HeadRow.run_id == log.run_id)
        )
        or 0,
        releases=[release_line(each) for each in releases[:MOST_LISTED]],
        evaluations=[_evaluation(*each) for each in evaluations[:MOST_LISTED]],
        summary=words.table(closing[0][1].fields["summary"]) if closing else {},
        closed=closing[0][1].time if closing else None,
        cut=[name for name, found in long.items() if len(found) > MOST_LISTED],
        damage=basis.damage(session, log.run_id),
    )


def registry_of(
    session: Session, log: StoredLog, seen: Seen[RunSeen], signer: str | None
) -> RegistryRun | None:
    """The run in the registry, compared with record 0; None if it is not there or unanswered."""
    if seen.value is None:
        return None
    run = seen.value.run
    first = one(session, RecordRow, run_id=log.run_id, index=0)
    return RegistryRun(
        owner=run.owner,
        heads=run.seq,
        dataset_id=str(run.dataset_id),
        seed_drawn=any(run.seed),
        opening_matches=first is not None and first.digest == run.preregistration,
        signer_is_owner=signer == run.owner,
    )


def _records(session: Session, run_id: RunId, type_: str) -> list[tuple[int, Record]]:
    """The first records of a type, one more than are listed; those that are too long left out."""
    query = (
        select(RecordRow.index, RecordRow.body)
        .where(RecordRow.run_id == run_id, RecordRow.type == type_)
        .where(func.length(RecordRow.body) <= MOST_BYTES)
        .order_by(RecordRow.index)
        .limit(MOST_LISTED + 1)
    )
    return [(index, parsed(body, index)) for index, body in session.execute(query)]


def _fields(session: Session, run_id: RunId, type_: str) -> Mapping[str, Any]:
    found = _records(session, run_id, type_)
    return found[0][1].fields if found else {}


def _map(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, Mapping) else {}


def _dataset(session: Session, run_id: RunId) -> NamedDataset:
    opening = one(session, OpeningRow, run_id=run_id)
    if opening is None:
        return NamedDataset(dataset_id=None, root=None, depth=None, count=None)
    return named_dataset(opening)


def named_dataset(opening: OpeningRow) -> NamedDataset:
    """What a run says of its dataset."""
    return NamedDataset(
        dataset_id=None if opening.dataset_id is None else to_hex(opening.dataset_id),
        root=None if opening.root is None else to_hex(opening.root),
        depth=opening.depth,
        count=opening.count,
    )


def _checkpoint(index: int, record: Record) -> CheckpointLine:
    fields = record.fields
    return CheckpointLine(
        index=index, step=fields["step"], epoch=fields["epoch"], weights=fields["weights"]
    )


def _evaluation(index: int, record: Record) -> EvalLine:
    fields = record.fields
    return EvalLine(
        index=index,
        step=fields["step"],
        subject=words.shown(fields["subject"]),
        metrics=words.table(fields["metrics"], 20),
    )

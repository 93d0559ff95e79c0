"""Datasets, releases, and the front page."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from provenance.errors import NotFound, UnavailableError
from provenance.ids import HEX_PREFIX, DatasetId, bare_digits, to_hex, to_word
from provenance_api.db import HeadRow, OpeningRow, ReleaseRow, RunRow
from provenance_api.explorer import cursors
from provenance_api.explorer.basis import Basis, one, release_line
from provenance_api.explorer.models import (
    Answered,
    ContractLine,
    Counts,
    DatasetDetail,
    DatasetLine,
    Datasets,
    Home,
    RegisteredDataset,
    Releases,
)
from provenance_api.explorer.runs import named_dataset, run_page

MOST_RUNS, MOST_SAID = 100, 10
HOME_RUNS, HOME_RELEASES = 8, 20


def parse_dataset_id(text: str) -> DatasetId:
    """A dataset's id as people paste it (attacker-controlled), with `0x` or without.

    Raises:
        InputError: it is none.
    """
    return DatasetId.parse(HEX_PREFIX + bare_digits(text), where="dataset id")


def dataset_page(basis: Basis, after: str | None, limit: int) -> Datasets:
    """A page of the datasets that runs name, by id.

    Args:
        after: attacker-controlled.

    Raises:
        BadCursor: no run here names `after`.
    """
    query = (
        select(OpeningRow.dataset_id, func.count())
        .where(OpeningRow.dataset_id.is_not(None))
        .group_by(OpeningRow.dataset_id)
        .order_by(OpeningRow.dataset_id)
        .limit(limit + 1)
    )
    with basis.database.session() as session:
        if after is not None:
            form = "the id of a dataset that is listed here"
            last_id = cursors.run_id(after, form)
            if not _openings(session, DatasetId(last_id), 1):
                raise cursors.BadCursor(after, form)
            query = query.where(OpeningRow.dataset_id > last_id)
        lines = [
            DatasetLine(dataset_id=to_hex(found), runs=count)
            for found, count in session.execute(query)
            if found is not None
        ]
    page, last = cursors.split(lines, limit, lambda line: line.dataset_id)
    return Datasets(datasets=page, next=cursors.link("/datasets", last, limit=limit))


def dataset_detail(basis: Basis, dataset_id: str) -> DatasetDetail:
    """A dataset that runs here name, or that the chain knows.

    Args:
        dataset_id: attacker-controlled.

    Raises:
        InputError: a malformed id.
        NotFound: no run here names it, and the chain has no such registration.
        UnavailableError: no run here names it, and the chain did not answer.
    """
    wanted = parse_dataset_id(dataset_id)
    seen = basis.glance.dataset(wanted)
    with basis.database.session() as session:
        openings = _openings(session, wanted, MOST_RUNS + 1)
        lines = basis.run_lines(session, [o.run_id for o in openings[:MOST_RUNS]])
        said = list({str(n := named_dataset(o)): n for o in openings}.values())[:MOST_SAID]
    if not openings and seen.value is None:
        if seen.block is None:
            raise UnavailableError(
                "no run here names this dataset, and the chain did not answer",
                hint="ask again in a few seconds",
            )
        raise NotFound("neither runs here nor the chain know this dataset", actual=str(wanted))
    facts = seen.value
    return DatasetDetail(
        dataset_id=str(wanted),
        said=said,
        runs=lines,
        more_runs=len(openings) > MOST_RUNS,
        registered=None
        if facts is None
        else RegisteredDataset(
            owner=facts.owner,
            root=to_word(facts.root),
            depth=facts.depth,
            count=facts.count,
            finished=facts.finished,
        ),
        chain=Answered(
            final_block=None if seen.block is None else seen.block.number,
            problem=seen.problem or None,
        ),
    )


def _openings(session: Session, dataset_id: DatasetId, most: int) -> list[OpeningRow]:
    return list(
        session.scalars(
            select(OpeningRow)
            .where(OpeningRow.dataset_id == dataset_id)
            .order_by(OpeningRow.time.desc(), OpeningRow.run_id)
            .limit(most)
        )
    )


def release_page(basis: Basis, after: str | None, limit: int) -> Releases:
    """A page of releases, the newest first by what they say.

    Args:
        after: attacker-controlled.

    Raises:
        BadCursor: `after` names no release here.
    """
    with basis.database.session() as session:
        rows = session.scalars(_releases(session, after).limit(limit + 1)).all()
        lines = [release_line(row) for row in rows]
    page, last = cursors.split(lines, limit, lambda line: f"{line.run_id}.{line.index}")
    return Releases(releases=page, next=cursors.link("/releases", last, limit=limit))


def _releases(session: Session, after: str | None) -> Any:
    query = select(ReleaseRow).order_by(
        ReleaseRow.time.desc(), ReleaseRow.run_id, ReleaseRow.index.desc()
    )
    if after is None:
        return query
    form = "run.index of a release that is listed here"
    run, _, index = after.partition(".")
    row = one(
        session,
        ReleaseRow,
        run_id=cursors.run_id(run, form),
        index=cursors.number(index, form),
    )
    if row is None:
        raise cursors.BadCursor(after, form)
    same_run = and_(ReleaseRow.run_id == row.run_id, ReleaseRow.index < row.index)
    return query.where(
        or_(
            ReleaseRow.time < row.time,
            and_(ReleaseRow.time == row.time, or_(ReleaseRow.run_id > row.run_id, same_run)),
        )
    )


def home(basis: Basis) -> Home:
    """What the front page shows.

    Raises:
        UnavailableError: the database does not answer.
    """
    with basis.database.session() as session:
        counts = Counts(
            runs=_count(session, RunRow),
            records=session.scalar(select(func.coalesce(func.sum(RunRow.size), 0))) or 0,
            heads=_count(session, HeadRow),
            releases=_count(session, ReleaseRow),
            datasets=session.scalar(select(func.count(OpeningRow.dataset_id.distinct()))) or 0,
        )
    return Home(
        counts=counts,
        contracts=[ContractLine(name=n, address=a) for n, a in basis.trust.addresses.items()],
        runs=run_page(basis, None, HOME_RUNS).runs,
        releases=release_page(basis, None, HOME_RELEASES).releases,
    )


def _count(session: Session, table: Any) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0

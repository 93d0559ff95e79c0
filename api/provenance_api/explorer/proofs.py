"""Proof files of a run: what their kind shows and what not, and where they are anchored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from provenance.digest import Digest
from provenance.errors import NotFound
from provenance.ids import RunId
from provenance.judgement.facts import AnchoringFacts
from provenance.statements import kind_named
from provenance.verify import LIMITS
from provenance_api.db import ProofRow, RecordRow
from provenance_api.explorer import cursors
from provenance_api.explorer.basis import Basis, one, parse_run_id, parsed
from provenance_api.explorer.models import (
    AnchoringLine,
    Answered,
    ProofDetail,
    ProofLine,
    Proofs,
    SampleLine,
)
from provenance_api.explorer.words import shown

KIND = kind_named("epoch")
MOST_RECORDS = 256
"""`epoch` and `sample` records of a run that are looked at, from the newest on."""


def proof_page(basis: Basis, run_id: str, after: str | None, limit: int) -> Proofs:
    """A page of a run's proof files of epochs, and its samples of weights.

    Args:
        run_id, after: attacker-controlled.

    Raises:
        InputError: a malformed id, or a bad cursor.
        NotFound: no such run.
    """
    wanted = parse_run_id(run_id)
    form = "epoch.chunk of a proof that is listed here"
    begin = (-1, -1) if after is None else cursors.pair(after, form)
    basis.require(wanted)
    with basis.log(wanted) as (session, _):
        if after is not None and _proof(session, wanted, *begin) is None:
            raise cursors.BadCursor(after, form)
        rows = session.scalars(
            select(ProofRow)
            .where(ProofRow.run_id == wanted)
            .where(tuple_(ProofRow.epoch, ProofRow.chunk) > begin)
            .order_by(ProofRow.epoch, ProofRow.chunk)
            .limit(limit + 1)
        )
        page, last = cursors.split(rows.all(), limit, lambda row: f"{row.epoch}.{row.chunk}")
        samples = [
            SampleLine(index=index, stage=shown(fields["stage"]), number=fields["number"])
            for index, fields in _newest(session, wanted, "sample")
        ][::-1]
        return Proofs(
            run_id=str(wanted),
            proofs=[_line(row) for row in page],
            samples=samples,
            next=cursors.link(f"/runs/{wanted}/proofs", last, limit=limit),
        )


def proof_detail(basis: Basis, run_id: str, epoch: int, chunk: int) -> ProofDetail:
    """A proof file of an epoch. It is not checked here.

    Args:
        run_id, epoch, chunk: attacker-controlled; the numbers are 0 to 2^53 - 1.

    Raises:
        InputError: a malformed id.
        NotFound: no such run or proof.
    """
    wanted = parse_run_id(run_id)
    basis.require(wanted)
    with basis.log(wanted) as (session, _):
        row = _proof(session, wanted, epoch, chunk)
        if row is None:
            raise NotFound("run has no such proof file", actual=f"epoch {epoch}, chunk {chunk}")
        line, named = _line(row), _anchoring_record(session, wanted, epoch, row.number)
    anchoring, chain = _anchoring(basis, wanted, epoch, line.number)
    path = f"RUN_FOLDER/provenance/epochs/{epoch}/proof-{chunk}.json"
    return ProofDetail(
        **line.model_dump(),
        run_id=str(wanted),
        kind=KIND.name,
        shows=KIND.shows,
        shows_not=[*([KIND.not_shown] if KIND.not_shown else []), *LIMITS],
        vk_id=named.fields.get("vk_id"),
        dataset_id=named.fields.get("dataset_id"),
        ledger=named.fields.get("ledger"),
        anchored_by=named.index,
        anchoring=anchoring,
        chain=chain,
        commands={"digest": f"sha256sum {path}"},
    )


@dataclass(frozen=True)
class _Named:
    """The record that names an anchoring; without one, no index and no fields."""

    index: int | None
    fields: Any


def _proof(session: Session, run_id: RunId, epoch: int, chunk: int) -> ProofRow | None:
    if chunk > 2**31 - 1:  # the column's range
        return None
    return one(session, ProofRow, run_id=run_id, epoch=epoch, chunk=chunk)


def _line(row: ProofRow) -> ProofLine:
    digest = str(Digest(row.digest))
    return ProofLine(epoch=row.epoch, chunk=row.chunk, number=row.number, digest=digest)


def _newest(session: Session, run_id: RunId, type_: str) -> Iterator[tuple[int, Any]]:
    """Index and fields of each, one at a time: together they may be larger than memory."""
    query = (
        select(RecordRow.index)
        .where(RecordRow.run_id == run_id, RecordRow.type == type_)
        .order_by(RecordRow.index.desc())
        .limit(MOST_RECORDS)
    )
    for index in session.scalars(query).all():
        body = select(RecordRow.body).where(RecordRow.run_id == run_id, RecordRow.index == index)
        yield index, parsed(session.scalars(body).one(), index).fields


def _anchoring_record(session: Session, run_id: RunId, epoch: int, number: int | None) -> _Named:
    if number is not None:
        for index, fields in _newest(session, run_id, "epoch"):
            if (fields["epoch"], fields.get("number")) == (epoch, number):
                return _Named(index, fields)
    return _Named(None, {})


def _anchoring(
    basis: Basis, run_id: RunId, epoch: int, number: int | None
) -> tuple[AnchoringLine | None, Answered]:
    if number is None:
        return None, Answered(final_block=None, problem="no record names an anchoring")
    seen = basis.glance.anchoring(run_id, epoch, number)
    if seen.block is None:
        return None, Answered(final_block=None, problem=seen.problem)
    line = None if seen.value is None else _anchored(seen.value)
    return line, Answered(final_block=seen.block.number)


def _anchored(facts: AnchoringFacts) -> AnchoringLine:
    return AnchoringLine(
        accepted=facts.accepted,
        block=facts.block_number,
        dataset_id=str(facts.dataset_id),
        consumed=facts.consumed,
        log_size=facts.log_size,
    )

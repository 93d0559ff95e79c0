"""Signed heads of a run, each compared with its records."""

from __future__ import annotations

from sqlalchemy import select

from provenance.ids import to_hex
from provenance_api.db import HeadRow, OpeningRow
from provenance_api.explorer import cursors
from provenance_api.explorer.basis import Basis, head_line, one, parse_run_id, source_of
from provenance_api.explorer.models import Head, Heads
from provenance_api.explorer.onchain.events import commits
from provenance_api.explorer.runs import registry_of
from provenance_api.explorer.stored import StoredLog

Committed = dict[tuple[str | None, str | None, str | None], str]
"""The transaction that committed a head, by the head's number, size and root."""


def head_page(basis: Basis, run_id: str, after: str | None, limit: int) -> Heads:
    """A page of a run's signed heads, in the order of heads.jsonl.

    The chain is asked 3 things: the run, its newest head, and the events that committed heads.

    Args:
        run_id, after: attacker-controlled.

    Raises:
        InputError: a malformed id, or a bad cursor.
        NotFound: no such run.
    """
    wanted = parse_run_id(run_id)
    form = "the position of a head that is listed here"
    begin = -1 if after is None else cursors.number(after, form)
    basis.require(wanted)
    seen = basis.glance.run(wanted)
    committed: Committed = {
        (event.of("seq"), event.of("newSize"), event.of("newRoot")): event.transaction
        for event in commits(basis.glance, wanted).value or ()
    }
    with basis.log(wanted) as (session, log):
        if after is not None and one(session, HeadRow, run_id=wanted, position=begin) is None:
            raise cursors.BadCursor(after, form)
        rows = session.scalars(
            select(HeadRow)
            .where(HeadRow.run_id == wanted, HeadRow.position > begin)
            .order_by(HeadRow.position)
            .limit(limit + 1)
        )
        page, last = cursors.split(rows.all(), limit, lambda row: str(row.position))
        opening = one(session, OpeningRow, run_id=wanted)
        return Heads(
            run_id=str(wanted),
            heads=[_line(log, row, committed) for row in page],
            source=source_of(log, seen),
            registry=registry_of(session, log, seen, None if opening is None else opening.signer),
            next=cursors.link(f"/runs/{wanted}/heads", last, limit=limit),
        )


def _line(log: StoredLog, row: HeadRow, committed: Committed) -> Head:
    key = (str(row.seq), str(row.size), to_hex(row.root))
    return head_line(log, log.judged(row)).model_copy(update={"transaction": committed.get(key)})

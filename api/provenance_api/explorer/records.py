"""Records: pages of them, and one with its path to the root of a head."""

from __future__ import annotations

import shlex
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from provenance.digest import PREFIX, Digest
from provenance.encoding import MAX_INTEGER
from provenance.errors import InputError, NotFound
from provenance.ids import RunId, from_hex, to_hex
from provenance.log.record import Record
from provenance_api.db import RecordRow
from provenance_api.explorer import cursors
from provenance_api.explorer.basis import (
    TYPES,
    Basis,
    altered,
    parse_run_id,
    parsed,
    source_of,
)
from provenance_api.explorer.models import (
    Inclusion,
    RecordDetail,
    RecordLine,
    Records,
    Source,
    Step,
)
from provenance_api.explorer.stored import StoredHead, StoredLog
from provenance_api.explorer.words import says

MOST_BYTES = 1 << 20
"""Bytes of a record that is shown; a longer one is named with its size."""
LINE_BYTES = 64 << 10
"""Bytes of a record of which a list says more than its type."""
CHECK_PATH = (
    'import functools,hashlib,json,sys;r=json.load(sys.stdin);i=r["inclusion"];k=r["index"];'
    'w=(k^(i["size"]-1)).bit_length();p=[bytes.fromhex(s["hash"][2:]) for s in i["path"]];'
    "h=lambda b:hashlib.sha256(b).digest();"
    'f=lambda n,j:h(b"\\1"+(p[j]+n if j>=w or k>>j&1 else n+p[j]));'
    'n=functools.reduce(f,range(len(p)),h(b"\\0"+bytes.fromhex(r["entry"][7:])));'
    'ok=k<i["size"] and len(p)==w+bin(k>>w).count("1") and n.hex()==i["root"][2:];'
    'print("record",k,"is" if ok else "is NOT","under root",i["root"]);sys.exit(not ok)'
)
"""RFC 9162, 2.1.3.2, for a reader's own Python: it shares no code with this project."""


def record_page(
    basis: Basis, run_id: str, type_: str | None, after: str | None, limit: int
) -> Records:
    """A page of a run's records, all or of one type.

    Args:
        run_id, type_, after: attacker-controlled.

    Raises:
        InputError: a malformed id, no type of records, or a bad cursor.
        NotFound: no such run.
    """
    wanted = parse_run_id(run_id)
    if type_ is not None and type_ not in TYPES:
        raise InputError(
            "no type of records", where="type", expected=", ".join(sorted(TYPES)), actual=type_[:40]
        )
    begin = -1 if after is None else cursors.number(after, "the index of a record")
    basis.require(wanted)
    seen = basis.glance.run(wanted)
    with basis.log(wanted) as (session, log):
        if begin >= log.size:
            raise cursors.BadCursor(str(after), f"an index below {log.size}")
        query = (
            select(RecordRow.index, RecordRow.type, RecordRow.digest, _short_body())
            .where(RecordRow.run_id == wanted, RecordRow.index > begin)
            .order_by(RecordRow.index)
            .limit(limit + 1)
        )
        rows = session.execute(query if type_ is None else query.where(RecordRow.type == type_))
        lines = [_line(basis, *row) for row in rows]
        source = source_of(log, seen)
    page, last = cursors.split(lines, limit, lambda line: str(line.index))
    path = f"/runs/{wanted}/records"
    following = cursors.link(path, last, type=type_, limit=limit)
    return Records(run_id=str(wanted), type=type_, records=page, source=source, next=following)


def record_detail(basis: Basis, run_id: str, index: int, service: str) -> RecordDetail:
    """One record.

    Args:
        run_id: attacker-controlled.
        index: attacker-controlled, 0 to 2^53 - 1.
        service: this service's URL, for the commands.

    Raises:
        InputError: a malformed id.
        NotFound: no such run or record.
        VerificationError: somebody altered the row.
    """
    wanted = parse_run_id(run_id)
    basis.require(wanted)
    seen = basis.glance.run(wanted)
    with basis.log(wanted) as (session, log):
        row = _row(session, log, index)
        source = source_of(log, seen)
        inclusion = _inclusion(basis, log, index, row.entry, source)
    record = _checked(row, index)
    digest = Digest(row.digest)
    return RecordDetail(
        run_id=str(wanted),
        index=index,
        type=row.type,
        version=None if record is None else record.version,
        time=None if record is None else record.time,
        digest=str(digest),
        entry=str(Digest(row.entry)),
        bytes=row.size,
        canonical=None if record is None else row.body.decode(),
        digest_checked=record is not None,
        says=None if record is None else says(record.type, record.fields, basis.texts),
        previous=index - 1 if index else None,
        next=index + 1 if index + 1 < log.size else None,
        source=source,
        inclusion=inclusion,
        commands=commands(service, wanted, index, digest, inclusion is not None),
    )


def raw_record(basis: Basis, digest: str) -> bytes:
    """The bytes of the record with this digest: they can never be others.

    Raises:
        InputError: no digest, or a record that is longer than what is shown.
        NotFound: no record has it.
        VerificationError: somebody altered the row.
    """
    wanted = Digest.parse(digest)
    with basis.database.session() as session:
        query = select(func.length(RecordRow.body), _body(MOST_BYTES)).where(
            RecordRow.digest == bytes(wanted)
        )
        row = session.execute(query.limit(1)).first()
    if row is None:
        raise NotFound("no record here has this digest", actual=str(wanted))
    if row[1] is None:
        raise InputError(
            "record is too long to be shown", expected=f"<= {MOST_BYTES} bytes", actual=row[0]
        )
    if parsed(row[1], str(wanted)).digest != wanted:
        raise altered(f"record {wanted}")
    return bytes(row[1])


def commands(
    service: str, run_id: RunId, index: int, digest: Digest, with_path: bool
) -> dict[str, str]:
    """How a reader checks a record without believing this service."""
    raw = shlex.quote(f"{service}/records/{digest}")
    page = shlex.quote(f"{service}/runs/{run_id}/records/{index}?format=json")
    tag = PREFIX.decode() + "entry"
    found = {
        "digest": f"(printf '{tag}\\0'; curl -fsS {raw}) | sha256sum",
        "evidence": f"provenance find {digest} --evidence RUN_FOLDER --offline",
    }
    if with_path:
        found["path"] = f"curl -fsS {page} | python3 -c {shlex.quote(CHECK_PATH)}"
    return found


def _body(most: int) -> Any:
    return case((func.length(RecordRow.body) <= most, RecordRow.body), else_=None)


def _short_body() -> Any:
    return _body(LINE_BYTES)


def _line(basis: Basis, index: int, type_: str, digest: bytes, body: bytes | None) -> RecordLine:
    record = None if body is None else parsed(body, index)
    return RecordLine(
        index=index,
        type=type_,
        time=None if record is None else record.time,
        digest=str(Digest(digest)),
        says=None if record is None else says(record.type, record.fields, basis.texts),
    )


def _row(session: Session, log: StoredLog, index: int) -> Any:
    if index < min(log.size, MAX_INTEGER):
        query = select(
            RecordRow.type,
            RecordRow.digest,
            RecordRow.entry,
            func.length(RecordRow.body).label("size"),
            _body(MOST_BYTES).label("body"),
        ).where(RecordRow.run_id == log.run_id, RecordRow.index == index)
        row = session.execute(query).first()
        if row is not None:
            return row
    raise NotFound("run has no such record", expected=f"an index below {log.size}", actual=index)


def _checked(row: Any, index: int) -> Record | None:
    """The record of a row, computed again from its bytes; None if it is too long to be shown."""
    if row.body is None:
        return None
    record = parsed(row.body, index)
    said = (row.type, row.digest, row.entry)
    if said != (record.type, bytes(record.digest), bytes(record.entry)):
        raise altered(f"record {index}")
    return record


def _inclusion(
    basis: Basis, log: StoredLog, index: int, entry: bytes, source: Source
) -> Inclusion | None:
    """The path under the head on chain if that covers the record, else under the longest here."""
    chain, local = source.chain, source.head
    if chain.status == "on_chain" and chain.root and index < (chain.size or 0):
        head = StoredHead(-1, chain.head or 0, chain.size or 0, from_hex(chain.root), True)
        key = "inclusion.on_chain"
    elif local is not None and index < local.size:
        head = StoredHead(local.position, local.seq, local.size, from_hex(local.root), True)
        key = "inclusion.signed"
    else:
        return None
    path = log.path(index, entry, head)
    if path is None:
        return None
    return Inclusion(
        head=head.seq,
        size=head.size,
        root=to_hex(head.root),
        on_chain=key == "inclusion.on_chain",
        path=_sides(index, head.size, path),
        shows=basis.texts.plain(
            key, index=index, size=head.size, seq=head.seq, block=chain.committed_block
        ),
    )


def _sides(index: int, size: int, path: list[bytes]) -> list[Step]:
    """On which side of what is known each hash of a path stands (RFC 9162, 2.1.3.2)."""
    inner = (index ^ (size - 1)).bit_length()
    return [
        Step(side="left" if i >= inner or index >> i & 1 else "right", hash=to_hex(node))
        for i, node in enumerate(path)
    ]

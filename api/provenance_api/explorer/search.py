"""Everything that a handle names: an id, digest, root, name, address, key, transaction or block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.orm import Session

from provenance.digest import Digest
from provenance.errors import InputError
from provenance.ids import HEX_PREFIX, Address, bare_digits, to_hex
from provenance.text.shown import shortened
from provenance_api.db import HeadRow, OpeningRow, RecordRow, ReleaseRow, RunRow
from provenance_api.explorer.basis import Basis
from provenance_api.explorer.models import Found, Hit
from provenance_api.explorer.onchain.finding import (
    address_hits,
    hash_hits,
    key_hits,
    number_hits,
)
from provenance_api.problems import UnknownHandle

MOST_CHARS, MOST_HITS, MOST_DIGITS = 512, 50, 15
DIGESTS: tuple[str, ...] = (
    "run ids",
    "dataset ids",
    "dataset roots",
    "record digests",
    "entries of logs",
    "roots of heads",
    "SHA-256 of released files",
    "manifests of releases",
    "verifying keys",
)
ADDRESSES: tuple[str, ...] = (
    "addresses of contracts",
    "publishers and auditors of the trust file",
    "addresses that sign runs",
)
NAMES: tuple[str, ...] = ("names of releases", "names of releases with version")


def search(basis: Basis, query: str) -> Found:
    """What a handle names here.

    Args:
        query: attacker-controlled.

    Raises:
        InputError: it is empty, too long, or has characters that nobody sees.
        UnknownHandle: nothing here has it; says what was searched.
    """
    handle = query.strip()
    if not handle or len(handle) > MOST_CHARS or not handle.isprintable():
        raise InputError(
            "not a handle",
            where="q",
            expected=f"an id, digest, root, address or name of at most {MOST_CHARS} characters",
            actual=repr(handle)[:80],
        )
    digest, address = _digest(handle), _address(handle)
    if digest is not None:
        hits, searched = _by_digest(basis, digest)
    elif address is not None:
        hits, searched = address_hits(basis, address), ADDRESSES
    elif (number := _number(handle)) is not None:
        block = number_hits(basis, number)
        hits, searched = [*_named(basis, handle), *block.hits], (*NAMES, *block.searched)
    else:
        hits, searched = _named(basis, handle), NAMES
    if not hits:
        raise UnknownHandle(handle, searched)
    return Found(
        query=handle, hits=hits[:MOST_HITS], searched=list(searched), more=len(hits) > MOST_HITS
    )


def _digest(handle: str) -> bytes | None:
    body = bare_digits(handle.lower().removeprefix("sha256:"))
    try:
        return Digest.parse(body) if len(body) == 64 else None
    except InputError:
        return None


def _address(handle: str) -> Address | None:
    body = bare_digits(handle.lower())
    try:
        return Address(HEX_PREFIX + body) if len(body) == 40 else None
    except InputError:
        return None


def _number(handle: str) -> int | None:
    """The number of a block; None for what is longer than one can be."""
    is_number = handle.isascii() and handle.isdigit() and len(handle) <= MOST_DIGITS
    return int(handle) if is_number else None


def _by_digest(basis: Basis, digest: bytes) -> tuple[list[Hit], tuple[str, ...]]:
    """What a digest names. The chain is asked only if neither index nor trust file has it."""
    hits = key_hits(basis, digest) or _twice(basis, digest)
    if hits:
        return hits, DIGESTS
    looked = hash_hits(basis, digest)
    return looked.hits, (*DIGESTS, *looked.searched)


def _twice(basis: Basis, digest: bytes) -> list[Hit]:
    """What a digest names, after another look at the folders if nothing is named."""
    for again in (False, True):
        if again:
            basis.catalog.scan.refresh()
        with basis.database.session() as session:
            found = {hit.href: hit for hit in _with_digest(session, digest)}
        if found:
            break
    return list(found.values())


def _rows(session: Session, table: Any, condition: Any) -> Any:
    return session.execute(select(*table).where(condition).limit(MOST_HITS + 1))


def _with_digest(session: Session, digest: bytes) -> Iterator[Hit]:
    for (run_id,) in _rows(session, (RunRow.run_id,), RunRow.run_id == digest):
        yield _hit("run", "", f"/runs/{to_hex(run_id)}", run_id)
    datasets = (OpeningRow.dataset_id, OpeningRow.run_id)
    for dataset_id, _ in _rows(session, datasets, OpeningRow.dataset_id == digest):
        yield _hit("dataset", to_hex(dataset_id), f"/datasets/{to_hex(dataset_id)}", None)
    for _, run_id in _rows(session, datasets, OpeningRow.root == digest):
        yield _hit("dataset_root", "", f"/runs/{to_hex(run_id)}", run_id)
    records = (RecordRow.run_id, RecordRow.index, RecordRow.type)
    for run_id, index, type_ in _rows(session, records, RecordRow.digest == digest):
        yield _hit("record", f"{type_} {index}", _record(run_id, index), run_id)
    releases = (ReleaseRow.run_id, ReleaseRow.index, ReleaseRow.name, ReleaseRow.model)
    for run_id, index, name, _ in _rows(session, releases, ReleaseRow.entry == digest):
        yield _hit("entry", name, _record(run_id, index), run_id)
    heads = (HeadRow.run_id, HeadRow.seq, HeadRow.size)
    for run_id, seq, size in _rows(session, heads, HeadRow.root == digest):
        yield _hit("head", f"{seq}, {size}", f"/runs/{to_hex(run_id)}/heads", run_id)
    for run_id, _, name, model in _rows(session, releases, ReleaseRow.model == digest):
        yield _hit("model", name, f"/verify/{Digest(model)}", run_id)
    for run_id, _, name, model in _rows(session, releases, ReleaseRow.manifest == digest):
        yield _hit("manifest", name, f"/verify/{Digest(model)}", run_id)


def _record(run_id: bytes, index: int) -> str:
    return f"/runs/{to_hex(run_id)}/records/{index}"


def _hit(kind: str, what: str, href: str, run_id: bytes | None) -> Hit:
    run = None if run_id is None else to_hex(run_id)
    return Hit(kind=kind, what=shortened(what, 200), href=href, run_id=run)


def _named(basis: Basis, label: str) -> list[Hit]:
    """Releases of a name. Of a single one the resolver decides which file is meant.

    It asks the chain who claimed it, so no folder shows a verdict under somebody else's name.
    """
    listed = basis.catalog.by_name(label)
    if len(listed) == 1:
        [only] = listed
        href = f"/verify/{quote(label, safe=':')}"
        return [_hit("name", only.label, href, only.run_id)]
    return [_hit("name", each.label, f"/verify/{each.model}", each.run_id) for each in listed]

"""The rows of a run folder, from one pass over its records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from provenance.digest import Digest, hash_file
from provenance.encoding import MAX_INTEGER
from provenance.errors import InputError
from provenance.ids import RunId, Word
from provenance.layout import RunFolder
from provenance.log.anchoring import SignedHead, read_heads
from provenance.log.frames import Allowance
from provenance.log.record import Record
from provenance.log.records import RunOpen
from provenance.log.tree import iterate_records
from provenance.verify.sources.evidence import (
    MAX_CHUNKS,
    MAX_EVIDENCE_BYTES,
    MAX_PROOF_BYTES,
    MEAN_RECORD_BYTES,
    run_id_of,
)
from provenance.verify.sources.names import split_name
from provenance_api.db.models import (
    Base,
    HeadRow,
    NodeRow,
    OpeningRow,
    ProofRow,
    ReleaseRow,
)
from provenance_api.db.subtrees import Subtrees

Row = dict[str, Any]
PAGE_ROWS = 1000
MOST_NAME = 512
"""Characters of a release's name; nobody can ask for a longer one."""


@dataclass
class DerivedRows:
    """Collects the rows of one run of a tenant in a single pass over its records.

    size: How many records were read so far.
    epochs: For each epoch, the number of its last logged anchoring.
    releases, openings: Rows of the releases read so far, and of record 0.
    tree: Nodes over the entries read so far.
    """

    run_id: RunId
    tenant: str
    size: int = 0
    epochs: dict[int, int | None] = field(default_factory=dict)
    releases: list[Row] = field(default_factory=list)
    openings: list[Row] = field(default_factory=list)
    tree: Subtrees = field(default_factory=Subtrees)

    @property
    def key(self) -> Row:
        """What the key of each of its rows begins and ends with."""
        return {"run_id": self.run_id, "tenant_id": self.tenant}

    def record_pages(self, folder: RunFolder) -> Iterator[list[Row]]:
        """Rows of the records, at most `PAGE_ROWS` at a time.

        Raises:
            InputError: the journal is malformed, or takes more than a verifier reads of one.
            VerificationError: it is damaged.
        """
        allowance = Allowance(MAX_EVIDENCE_BYTES, MEAN_RECORD_BYTES)
        records = iterate_records(folder.journal, allowance)
        while page := list(islice(records, PAGE_ROWS)):
            rows = []
            for index, record in enumerate(page, start=self.size):
                self._note(index, record)
                rows.append(_record_row(self.key, index, record))
            self.size += len(page)
            yield rows

    def _note(self, index: int, record: Record) -> None:
        self.tree.append(record.entry)
        if index == 0 and record.type == RunOpen.TYPE:
            self.openings.append(_opening_row(self.key, record))
        if record.type == "epoch":
            self.epochs[record.fields["epoch"]] = record.fields.get("number")
        elif record.type == "release":
            self.releases.append(_release_row(self.key, index, record))

    def other_rows(self, folder: RunFolder) -> list[tuple[type[Base], list[Row]]]:
        """Rows of the other tables. Call it after all pages of `record_pages` were read."""
        return [
            (HeadRow, _head_rows(folder, self.key)),
            (ReleaseRow, self.releases),
            (OpeningRow, self.openings),
            (NodeRow, [{**self.key, **node} for node in self.tree.rows]),
            (ProofRow, _proof_rows(folder, self.key, self.epochs)),
        ]


def registered_run_id(folder: RunFolder) -> RunId:
    """The id of the run in a folder (attacker-controlled).

    Raises:
        InputError: the folder names no run.
    """
    run_id = run_id_of(folder.require())
    if run_id is None or len(run_id) != RunId.SIZE:
        raise InputError(
            "run folder names no run",
            where=str(folder.info),
            expected="run_id of 32 bytes",
            hint="only a run that was opened on chain gets into the database "
            "(provenance train --anchor)",
        )
    return RunId(run_id)


def _record_row(key: Row, index: int, record: Record) -> Row:
    return {
        **key,
        "index": index,
        "type": record.type,
        "entry": bytes(record.entry),
        "digest": bytes(record.digest),
        "body": record.to_bytes(),
    }


def _release_row(key: Row, index: int, record: Record) -> Row:
    # PostgreSQL stores no NUL in text, and nobody can ask for a name that has one.
    name, version = split_name(record.fields["name"].replace("\0", "\ufffd"))
    # An index of PostgreSQL takes no key of 2,704 bytes or more. What is cut is longer than any
    # name that is asked for, so it is never taken for another one.
    name, version = name[: MOST_NAME + 1], None if version is None else version[: MOST_NAME + 1]
    return {
        **key,
        "index": index,
        "model": bytes(Digest.parse(record.fields["model"])),
        "manifest": bytes(Digest.parse(record.fields["manifest"])),
        "name": name,
        "version": version,
        "time": record.time,
        "entry": bytes(record.entry),
    }


def _opening_row(key: Row, record: Record) -> Row:
    dataset = record.fields["dataset"]
    return {
        **key,
        "time": record.time,
        "signer": record.fields["signer"],
        "dataset_id": _word(dataset, "dataset_id"),
        "root": _word(dataset, "root"),
        "depth": _number(dataset, "depth"),
        "count": _number(dataset, "count"),
    }


def _word(said: Mapping[str, Any], name: str) -> bytes | None:
    with suppress(InputError):
        return bytes(Word.parse(said.get(name)))
    return None


def _number(said: Mapping[str, Any], name: str) -> int | None:
    value = said.get(name)
    return value if type(value) is int and 0 <= value <= MAX_INTEGER else None


def _head_rows(folder: RunFolder, key: Row) -> list[Row]:
    heads = enumerate(read_heads(folder.heads))
    return [_head_row(folder, key, position, signed) for position, signed in heads]


def _head_row(folder: RunFolder, key: Row, position: int, signed: SignedHead) -> Row:
    if not 0 <= signed.seq <= MAX_INTEGER or signed.head.size > MAX_INTEGER:
        raise InputError(
            "signed head has an impossible number",
            where=f"{folder.heads} line {position + 1}",
            expected=f"<= {MAX_INTEGER}",
            actual=max(signed.seq, signed.head.size),
        )
    return {
        **key,
        "position": position,
        "seq": signed.seq,
        "size": signed.head.size,
        "root": signed.head.root,
        "signature": signed.signature,
    }


def _proof_rows(folder: RunFolder, key: Row, epochs: dict[int, int | None]) -> list[Row]:
    rows = []
    for epoch, number in sorted(epochs.items()):
        for chunk in range(MAX_CHUNKS):
            path = folder.epoch(epoch) / f"proof-{chunk}.json"
            if not path.is_file():
                break
            digest = hash_file(path, MAX_PROOF_BYTES)
            place = {**key, "epoch": epoch, "chunk": chunk}
            rows.append(place | {"number": number, "digest": bytes(digest)})
    return rows

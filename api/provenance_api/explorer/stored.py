"""A run's log in the database: its tree from the kept nodes, and its heads beside that tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from provenance.encoding import MAX_INTEGER
from provenance.errors import ProvenanceError
from provenance.ids import RunId
from provenance.log.tree import Head
from provenance.merkle import Tree, leaf_hash, verify_inclusion
from provenance_api.db import Base, HeadRow, RunRow
from provenance_api.db.subtrees import TILE, whole_root

LATEST_LOOKED_AT = 16
"""Heads that are compared with the log until one fits; an honest folder's newest one does."""
_LEVELS = TILE.bit_length() - 1
_RECORDS, _NODES = Base.metadata.tables["records"].c, Base.metadata.tables["nodes"].c
"""Tables instead of classes, whose queries get no rule: they are many, of a run that was shown."""
_ALTERED = (LookupError, ValueError, ProvenanceError)
"""What rows that somebody altered lead to."""


class StoredNodes:
    """`NodeStore` of one run's log, read only. For any root or path it reads a few hundred rows."""

    def __init__(self, session: Session, run: RunRow) -> None:
        self._session, self._size = session, run.size
        self._run_id, self._tenant = run.run_id, run.tenant_id
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def append(self, level: int, node: bytes) -> None:
        """Nothing is appended here."""
        raise NotImplementedError("the index is written by provenance_api.db")

    def count(self, level: int) -> int:
        """Whole nodes of a level."""
        return self._size >> level

    def get(self, level: int, index: int) -> bytes:
        """A whole node, 32 bytes.

        Raises:
            LookupError: the rows do not have it.
        """
        kept, above = divmod(level, _LEVELS)
        first = index << above
        tile = self._tile(kept, first // TILE)
        nodes = tile[first % TILE : first % TILE + (1 << above)]
        if len(nodes) != 1 << above:
            raise LookupError(f"no rows for node {index} of level {level}")
        return whole_root(nodes)

    def _tile(self, level: int, number: int) -> list[bytes]:
        key = (level, number)
        if key not in self._tiles:
            self._tiles[key] = list(self._rows(level, number * TILE))
        return self._tiles[key]

    def _rows(self, level: int, first: int) -> Iterator[bytes]:
        if level == 0:
            query = (
                select(_RECORDS.entry)
                .where(_RECORDS.run_id == self._run_id, _RECORDS.tenant_id == self._tenant)
                .where(_RECORDS.index >= first, _RECORDS.index < first + TILE)
                .order_by(_RECORDS.index)
            )
            yield from map(leaf_hash, self._session.scalars(query))
            return
        nodes = (
            select(_NODES.hash)
            .where(_NODES.run_id == self._run_id, _NODES.tenant_id == self._tenant)
            .where(_NODES.level == level)
            .where(_NODES.index >= first, _NODES.index < first + TILE)
            .order_by(_NODES.index)
        )
        yield from self._session.scalars(nodes)


@dataclass(frozen=True)
class StoredHead:
    """A line of heads.jsonl. `holds`: its root is that of the run's first `size` records here."""

    position: int
    seq: int
    size: int
    root: bytes
    holds: bool


class StoredLog:
    """The log of one run, as it is indexed. One thread owns it, as long as its session lives.

    Args:
        run: a row that the session was shown.
    """

    def __init__(self, session: Session, run: RunRow) -> None:
        self.run_id, self.size, self._session = RunId(run.run_id), run.size, session
        self._tree = Tree(nodes=StoredNodes(session, run))

    def root(self, size: int) -> bytes | None:
        """Root over the first `size` records; None if there are fewer, or their rows do not fit."""
        if not 0 <= size <= self.size:
            return None
        with suppress(*_ALTERED):
            return self._tree.root(size)
        return None

    def path(self, index: int, entry: bytes, head: StoredHead) -> list[bytes] | None:
        """The checked path from a record to a head's root; None if there is none."""
        with suppress(*_ALTERED):
            path = self._tree.inclusion_proof(index, head.size)
            verify_inclusion(entry, index, head.size, path, head.root)
            return path
        return None

    def judged(self, row: HeadRow) -> StoredHead:
        """A head, compared with the records."""
        holds = self.root(row.size) == row.root
        return StoredHead(row.position, row.seq, row.size, row.root, holds)

    def newest(self) -> StoredHead | None:
        """The longest head of the last lines whose root is that of these records."""
        query = (
            select(HeadRow)
            .where(HeadRow.run_id == self.run_id, HeadRow.size <= min(self.size, MAX_INTEGER))
            .order_by(HeadRow.position.desc())
            .limit(LATEST_LOOKED_AT)
        )
        rows = sorted(self._session.scalars(query), key=lambda row: (row.size, row.seq))
        judged = (self.judged(row) for row in reversed(rows))
        return next((head for head in judged if head.holds), None)

    def digest(self, head: StoredHead) -> str:
        """The digest that people compare heads by."""
        return str(Head(self.run_id, head.size, head.root).digest)

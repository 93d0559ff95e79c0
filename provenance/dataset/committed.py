"""A committed dataset on disk: its public part, and the part that never leaves its owner.

    dataset.json             public manifest, RFC 8785 JSON (`provenance.dataset.manifest`)
    leaves.bin               count * 32 bytes, the Poseidon leaves in leaf order; public
    private/ (0700)
      records.sqlite (0600)  record(leaf_index, source_row, digest, canonical),
                             erased(leaf_index, leaf, time)
      salts.sqlite (0600)    SaltStore, kind "record", id = leaf index

Records lie in the order of their digests `d` (docs/formats/proofs.md). So whoever sees the index of
a leaf learns about log2(count) leading bits of its digest. A folder appears complete under its
name, or not at all.

NOT promised: that deleting the folder deletes copies.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from provenance.causes import cause_of
from provenance.dataset.database import open_private_database, truncate_log
from provenance.dataset.manifest import DatasetRoot, load_manifest
from provenance.dataset.saltstore import SaltStore
from provenance.digest import Digest, hash_file
from provenance.encoding import dataset_record_digest, parse_json
from provenance.errors import AuthError, InputError, NotFound, UnavailableError, VerificationError
from provenance.ids import to_hex, to_word
from provenance.log.record import now

if TYPE_CHECKING:
    from types import TracebackType

SALT_KIND = "record"
CHUNK_ROWS = 4096

LeafFunction = Callable[[Sequence[Digest], Sequence[bytes]], Sequence[bytes]]
"""(digests, salts) -> 32-byte leaves.

`provenance_zk.training.commitments` has a fast one and one in plain Python.
"""
RootFunction = Callable[[np.ndarray, int], int]
"""(leaves as (N, 32) uint8, depth) -> root."""
_WAY_OUT = (
    "the folder was altered after the commit: restore it from a copy, or commit the source again; "
    "`provenance dataset check` looks at every record"
)


@dataclass(frozen=True)
class Recomputation:
    """What a reader recomputes a dataset with: the leaves of its records, and their root."""

    leaves: LeafFunction
    root: RootFunction


@dataclass(frozen=True)
class CheckReport:
    """What `CommittedDataset.check` recomputed: so many `records`; `erased` ones were left out.

    `leaves` and `root` are False if it lacked the key or the function to recompute them.
    """

    records: int
    erased: int
    leaves: bool
    root: bool


@dataclass(frozen=True)
class Place:
    """Where a digest stands among a dataset's records: `index` if a record has it, else None.

    `below` and `above` are indices of the nearest records that were not erased; -1 and the
    dataset's count stand for the ends.
    """

    index: int | None
    below: int
    above: int

    @property
    def answer(self) -> str:
        """`present`, `absent`, or `undetermined`: an erased record may have had this digest."""
        if self.index is not None:
            return "present"
        return "absent" if self.above == self.below + 1 else "undetermined"


class CommittedDataset:
    """A dataset folder opened for reading.

    A record is handed out only if its bytes have its digest. With the key and a `Recomputation`,
    digest and salt must also open its leaf, and the leaves have the manifest's root: then whatever
    was altered since the commit is found before it is used.
    Without the key everything works except `salt`, `salts`, `erase` and the check of leaves.
    Without the folder's private part only manifest, root and leaves can be read.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Mapping[str, Any],
        leaves: np.ndarray,
        salts: SaltStore | None,
        recomputation: Recomputation | None = None,
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.root = DatasetRoot.from_json(manifest["root"], f"{folder / 'dataset.json'} root")
        self.leaves = leaves
        self.text_column: str | None = manifest.get("text_column")
        self.columns = tuple(
            manifest["columns"] if self.text_column is None else (self.text_column,)
        )
        self._database: sqlite3.Connection | None = None  # opened when a record is first asked for
        self._salts = salts
        self._recomputation = recomputation if salts is not None else None
        self._opened: np.ndarray | None = None  # (count, 32): digests that opened their leaves
        self._pid = os.getpid()

    @classmethod
    def open(
        cls, folder: Path, key: bytes | None = None, recomputation: Recomputation | None = None
    ) -> CommittedDataset:
        """Open a dataset folder (attacker-controlled).

        Args:
            recomputation: compares records with leaves and root before the first is handed out;
                used only with the key.

        Raises:
            InputError: not a dataset folder.
            VerificationError: `leaves.bin` does not have `count` leaves.
            AuthError: wrong salt key, or private files open to group or others.
            NotFound: a key is given but the salts are missing.
        """
        manifest = load_manifest(folder / "dataset.json")
        root = DatasetRoot.from_json(manifest["root"], f"{folder / 'dataset.json'} root")
        leaves = _load_leaves(folder / "leaves.bin", root.count)
        salts = (
            SaltStore.open(folder / "private" / "salts.sqlite", key, create=False)
            if key is not None
            else None
        )
        return cls(folder, manifest, leaves, salts, recomputation)

    def __len__(self) -> int:
        return self.root.count

    def __enter__(self) -> CommittedDataset:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close records and salts; closing twice does nothing."""
        if self._database is not None:
            self._database.close()
        if self._salts is not None:
            self._salts.close()

    @property
    def records_file(self) -> Path:
        """The SQLite file of records; private."""
        return self.folder / "private" / "records.sqlite"

    @property
    def manifest_digest(self) -> Digest:
        """SHA-256 of `dataset.json` as it lies on disk."""
        return hash_file(self.folder / "dataset.json")

    def leaf(self, index: int) -> bytes:
        """Leaf `index`, 32 bytes; public, and kept when the record is erased."""
        return bytes(self.leaves[self._check_index(index)])

    def canonical(self, index: int) -> bytes:
        """The bytes that record `index` was hashed from.

        Raises:
            NotFound: the record was erased.
            VerificationError: the row is missing without a tombstone, or was altered.
        """
        return self._record(index)[1]

    def digest(self, index: int) -> Digest:
        """The digest `d` of record `index`; raises as `canonical` does."""
        return Digest(self._record(index)[0])

    def source_row(self, index: int) -> int:
        """The row of the source that record `index` came from, counted from 0 in reading order.

        Raises as `canonical` does.
        """
        return self._record(index)[2]

    def row(self, index: int) -> dict[str, Any]:
        """Record `index` as a row: column name to value.

        Bytes and timestamps keep their canonical text. Raises as `canonical` does.
        """
        canonical = self.canonical(index)
        try:
            if self.text_column is not None:
                return {self.text_column: canonical.decode("utf-8")}
            row: dict[str, Any] = parse_json(canonical)
        except ValueError as error:
            raise VerificationError("record cannot be decoded", where=self._where(index)) from error
        return row

    def salt(self, index: int) -> bytes:
        """The salt of leaf `index`, 31 bytes.

        Raises:
            AuthError: the dataset was opened without a key.
            NotFound: the salt was erased.
        """
        return self._require_salts().get(SALT_KIND, self._check_index(index))

    def digests(self) -> list[bytes]:
        """The digest `d` of every record, in leaf order, as stored.

        Raises:
            NotFound: a record was erased.
            VerificationError: a row is missing without a tombstone, or holds no bytes.
        """
        found = [row[0] for row in self._execute("SELECT digest FROM record ORDER BY leaf_index")]
        if len(found) != len(self) or not all(isinstance(d, bytes) and len(d) == 32 for d in found):
            return [
                self.digest(index) for index in range(len(self))
            ]  # which raises for the one that is wrong
        return found

    def salts(self) -> list[bytes]:
        """The salt of every leaf, in leaf order; raises as `salt` does."""
        return self._require_salts().get_many(SALT_KIND, range(len(self)))

    def find(self, digest: Digest) -> int | None:
        """Leaf index of the record with this `d`, None if there is none (or it was erased)."""
        return self.place(digest).index

    def place(self, digest: Digest) -> Place:
        """Where this `d` stands, or would stand, among the records that were not erased."""
        low, high, below, above = 0, len(self), -1, len(self)
        while low < high:
            middle = (low + high) // 2
            found = self._execute(
                "SELECT leaf_index, digest FROM record WHERE leaf_index >= ? AND leaf_index < ? "
                "ORDER BY leaf_index LIMIT 1",
                (middle, high),
            ).fetchone()
            if found is None:
                high = middle
            elif found[1] == digest:
                return Place(int(found[0]), below, above)
            elif found[1] < digest:
                low, below = found[0] + 1, int(found[0])
            else:
                high, above = middle, int(found[0])
        return Place(None, below, above)

    def index_of(self, leaf: bytes) -> int | None:
        """Index of a leaf, erased or not; None if the dataset has no such leaf."""
        found = np.flatnonzero((self.leaves == np.frombuffer(leaf, dtype=np.uint8)).all(axis=1))
        return int(found[0]) if len(found) else None

    def erased(self) -> list[int]:
        """Indices of erased records, in order."""
        return [
            row[0] for row in self._execute("SELECT leaf_index FROM erased ORDER BY leaf_index")
        ]

    def erase(self, index: int) -> bytes:
        """Delete record `index` and its salt beyond recovery from this folder.

        The leaf stays in `leaves.bin`, so older proofs stay valid. Erasing again finishes what a
        crash interrupted.

        Returns:
            The leaf, 32 bytes, which a tombstone names.

        Raises:
            AuthError: the dataset was opened without a key.
            UnavailableError: the record is deleted, but another process keeps old pages: call
                again.
        """
        salts, leaf = self._require_salts(), self.leaf(index)
        salts.delete(SALT_KIND, index)
        self._execute("BEGIN IMMEDIATE")
        try:
            self._execute("INSERT OR IGNORE INTO erased VALUES (?, ?, ?)", (index, leaf, now()))
            self._execute("DELETE FROM record WHERE leaf_index = ?", (index,))
            self._execute("COMMIT")
        except BaseException:
            self._open_records().execute("ROLLBACK")
            raise
        truncate_log(self._open_records(), self.records_file)
        return leaf

    def check(
        self, leaf_function: LeafFunction | None = None, root_function: RootFunction | None = None
    ) -> CheckReport:
        """Recompute the digests of all records from their canonical bytes.

        Erased records are counted, not checked.

        Args:
            leaf_function: recomputes the leaves too; used only if the dataset was opened with its
                key.
            root_function: recomputes the root of the leaves too.

        Raises:
            VerificationError: names the first bad record, or the root.
        """
        erased, previous, seen = set(self.erased()), b"", 0
        check_leaves = leaf_function is not None and self._salts is not None
        for start in range(0, len(self), CHUNK_ROWS):
            chunk = range(start, min(start + CHUNK_ROWS, len(self)))
            present = self._check_digests(chunk, erased, previous)
            if present and check_leaves and leaf_function is not None:
                self._check_leaves(present, leaf_function)
            if present:
                previous = present[-1][1]
            seen += len(present)
        if root_function is not None:
            self._check_root(root_function)
        return CheckReport(seen, len(erased), check_leaves, root_function is not None)

    def _check_root(self, root_function: RootFunction) -> None:
        root = root_function(self.leaves, self.root.depth)
        if root != self.root.root:
            raise VerificationError(
                "leaves do not have the committed root",
                where=str(self.folder / "leaves.bin"),
                expected=self.root.hex0x,
                actual=to_word(root),
                hint=_WAY_OUT,
            )

    def _check_digests(
        self, chunk: range, erased: set[int], previous: bytes
    ) -> list[tuple[int, Digest]]:
        rows = {
            row[0]: (row[1], row[2])
            for row in self._execute(
                "SELECT leaf_index, digest, canonical FROM record WHERE leaf_index BETWEEN ? AND ?",
                (chunk[0], chunk[-1]),
            )
        }
        present: list[tuple[int, Digest]] = []
        for index in chunk:
            if index in erased:
                continue
            if index not in rows:
                raise self._altered("record is missing without a tombstone", index)
            actual = self._digest_of(index, *rows[index])
            if actual <= previous:
                what = "this record or the one before is not in the order of digests"
                raise self._altered(what, index)
            previous = actual
            present.append((index, actual))
        return present

    def _digest_of(self, index: int, stored: Any, canonical: Any) -> Digest:
        """The digest of a row's bytes, which the row must name; SQLite columns hold any type."""
        if not isinstance(stored, bytes) or not isinstance(canonical, bytes):
            raise self._altered("record is not stored as bytes", index)
        actual = dataset_record_digest(canonical)
        if actual != stored:
            raise self._altered(
                "record does not have its digest",
                index,
                expected=f"sha256:{bytes(stored).hex()}",
                actual=actual,
            )
        return actual

    def _check_opened(self, index: int, digest: Digest) -> None:
        """Check that a record opens its leaf, and once that the leaves have the committed root.

        Leaves are recomputed in chunks. A digest that opened its leaf is kept, so the file may
        change afterwards and this still holds.
        """
        if self._recomputation is None:
            return
        if self._opened is None:
            self._check_root(self._recomputation.root)
            self._opened = np.zeros((len(self), 32), dtype=np.uint8)
        if not self._opened[index].any():
            start = index - index % CHUNK_ROWS
            chunk = range(start, min(start + CHUNK_ROWS, len(self)))
            present = self._check_digests(chunk, set(self.erased()), b"")
            self._check_leaves(present, self._recomputation.leaves)
            for at, opened in present:
                self._opened[at] = np.frombuffer(opened, dtype=np.uint8)
        if bytes(self._opened[index]) != digest:
            raise self._altered("record was altered while it was read", index)

    def _check_leaves(self, present: list[tuple[int, Digest]], leaf_function: LeafFunction) -> None:
        try:
            salts = self._require_salts().get_many(SALT_KIND, [index for index, _ in present])
        except NotFound as error:  # the records are there, so nothing was erased
            raise VerificationError(
                "salt of a record is missing",
                where=error.where,
                hint="an erasure that broke off is finished by the same `provenance dataset erase`;"
                f" else {_WAY_OUT}",
            ) from error
        leaves = leaf_function([digest for _, digest in present], salts)
        for (index, _), leaf in zip(present, leaves, strict=True):
            if leaf != self.leaf(index):
                raise self._altered(
                    "record and salt do not open its leaf",
                    index,
                    expected=to_hex(self.leaf(index)),
                    actual=to_hex(leaf),
                )

    def _check_index(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise InputError(
                "no such record",
                where=str(self.folder),
                expected=f"0..{len(self) - 1}",
                actual=index,
            )
        return int(index)

    def _require_salts(self) -> SaltStore:
        if self._salts is None:
            raise AuthError(
                "salts need the key",
                where=str(self.folder),
                hint="open the dataset with its salt key",
            )
        return self._salts

    def _where(self, index: int) -> str:
        return f"{self.folder} record {index}"

    def _altered(self, what: str, index: int, **facts: Any) -> VerificationError:
        return VerificationError(what, where=self._where(index), hint=_WAY_OUT, **facts)

    def _record(self, index: int) -> tuple[bytes, bytes, int]:
        row = self._execute(
            "SELECT digest, canonical, source_row FROM record WHERE leaf_index = ?",
            (self._check_index(index),),
        ).fetchone()
        if row is not None:
            self._check_opened(index, self._digest_of(index, row[0], row[1]))
            return row[0], row[1], row[2]
        if self._execute("SELECT 1 FROM erased WHERE leaf_index = ?", (index,)).fetchone():
            raise NotFound("record was erased", where=self._where(index))
        raise self._altered("record is missing without a tombstone", index)

    def _open_records(self) -> sqlite3.Connection:
        if (
            self._database is None or self._pid != os.getpid()
        ):  # after a fork: connections must not cross it
            self._database = open_private_database(self.records_file, create=False)
            self._pid = os.getpid()
        return self._database

    def _execute(
        self, statement: str, values: tuple[int | bytes | str, ...] = ()
    ) -> sqlite3.Cursor:
        try:
            return self._open_records().execute(statement, values)
        except sqlite3.ProgrammingError as error:
            raise InputError("dataset is closed", where=str(self.folder)) from error
        except sqlite3.OperationalError as error:
            raise UnavailableError(
                "records are busy or cannot be read", where=str(self.folder), actual=error
            ) from error
        except sqlite3.DatabaseError as error:
            raise VerificationError(
                "record store is damaged", where=str(self.folder), actual=error
            ) from error


def _load_leaves(path: Path, count: int) -> np.ndarray:
    try:
        size = path.stat().st_size
        if size != 32 * count:
            raise VerificationError(
                "leaves do not match the manifest",
                where=str(path),
                expected=f"{32 * count} bytes",
                actual=f"{size} bytes",
            )
        return np.memmap(path, dtype=np.uint8, mode="r", shape=(count, 32))
    except OSError as error:
        raise InputError(
            "cannot read leaves", where=str(path), actual=cause_of(error, path)
        ) from error

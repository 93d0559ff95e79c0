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

    Without the key everything works except `salt`, `salts`, `erase` and the check of leaves.
    Without the folder's private part only manifest, root and leaves can be read.
    """

    def __init__(
        self, folder: Path, manifest: Mapping[str, Any], leaves: np.ndarray, salts: SaltStore | None
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
        self._pid = os.getpid()

    @classmethod
    def open(cls, folder: Path, key: bytes | None = None) -> CommittedDataset:
        """Open a dataset folder (attacker-controlled). Only `check` recomputes its content.

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
        return cls(folder, manifest, leaves, salts)

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
            VerificationError: the row is missing without a tombstone.
        """
        return self._record(index)[1]

    def digest(self, index: int) -> Digest:
        """The digest `d` of record `index`, as stored; raises as `canonical` does."""
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
        """The digest `d` of every record, in leaf order.

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
        if (
            root_function is not None
            and (root := root_function(self.leaves, self.root.depth)) != self.root.root
        ):
            raise VerificationError(
                "leaves do not have the committed root",
                where=str(self.folder / "leaves.bin"),
                expected=self.root.hex0x,
                actual=to_word(root),
            )
        return CheckReport(seen, len(erased), check_leaves, root_function is not None)

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
                raise VerificationError(
                    "record is missing without a tombstone", where=self._where(index)
                )
            stored, canonical = rows[index]
            if not isinstance(stored, bytes) or not isinstance(
                canonical, bytes
            ):  # SQLite columns hold any type
                raise VerificationError("record is not stored as bytes", where=self._where(index))
            actual = dataset_record_digest(canonical)
            if actual != stored:
                raise VerificationError(
                    "record does not have its digest",
                    where=self._where(index),
                    expected=f"sha256:{bytes(stored).hex()}",
                    actual=actual,
                )
            if actual <= previous:
                raise VerificationError(
                    "records are not in the order of their digests", where=self._where(index)
                )
            previous = actual
            present.append((index, actual))
        return present

    def _check_leaves(self, present: list[tuple[int, Digest]], leaf_function: LeafFunction) -> None:
        salts = self._require_salts().get_many(SALT_KIND, [index for index, _ in present])
        leaves = leaf_function([digest for _, digest in present], salts)
        for (index, _), leaf in zip(present, leaves, strict=True):
            if leaf != self.leaf(index):
                raise VerificationError(
                    "record and salt do not open its leaf",
                    where=self._where(index),
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

    def _record(self, index: int) -> tuple[bytes, bytes, int]:
        row = self._execute(
            "SELECT digest, canonical, source_row FROM record WHERE leaf_index = ?",
            (self._check_index(index),),
        ).fetchone()
        if row is not None:
            if not isinstance(row[0], bytes) or not isinstance(row[1], bytes):
                raise VerificationError("record is not stored as bytes", where=self._where(index))
            return row[0], row[1], row[2]
        if self._execute("SELECT 1 FROM erased WHERE leaf_index = ?", (index,)).fetchone():
            raise NotFound("record was erased", where=self._where(index))
        raise VerificationError("record is missing without a tombstone", where=self._where(index))

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

"""Writing a dataset folder, which appears complete under its name, or not at all.

What lies in it: `provenance.dataset.committed`.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provenance.causes import NO_ROOM, cause_of
from provenance.dataset.committed import CHUNK_ROWS, SALT_KIND
from provenance.dataset.database import open_private_database, truncate_log
from provenance.dataset.manifest import FORMAT, DatasetRoot
from provenance.dataset.saltstore import SaltStore
from provenance.digest import Digest
from provenance.durable import sync_directory
from provenance.encoding import canonical_json
from provenance.errors import Conflict, InputError, UnavailableError
from provenance.layout import write_atomically
from provenance.log.record import now


@dataclass(frozen=True)
class CommittedRecord:
    """One record about to be written.

    `source_row` counts from 0 in the order the source was read.
    """

    digest: Digest
    canonical: bytes
    salt: bytes
    leaf: bytes
    source_row: int


@dataclass(frozen=True)
class ManifestFacts:
    """What the owner states about a dataset; nothing here is proven.

    `files` holds {path, size, sha256} of the source files, `curation` one sentence per step
    (filters, deduplication).
    """

    source: str
    licence: str
    text_column: str | None = None
    columns: Sequence[str] = ()
    files: Sequence[Mapping[str, Any]] = ()
    curation: Sequence[str] = ()
    duplicates_removed: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)


def write_dataset(
    out_dir: Path,
    root: DatasetRoot,
    facts: ManifestFacts,
    records: Iterable[CommittedRecord],
    key: bytes,
) -> None:
    """Write a dataset folder; it is durable and complete on return, and absent if this raises.

    The next call for the same name removes what a killed process left behind: records in a hidden
    `.NAME.partial-*` folder.

    Args:
        records: `root.count` records in leaf order (strictly increasing digests).
        key: 32 bytes for the salt store.

    Raises:
        Conflict: `out_dir` exists.
        UnavailableError: the disk refused.
    """
    out_dir = Path(os.path.abspath(out_dir))
    _require_absent(out_dir)
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(out_dir)
        temporary = Path(tempfile.mkdtemp(prefix=_partial(out_dir), dir=out_dir.parent))
        lock = _lock(temporary)
    except OSError as error:
        raise UnavailableError(
            "cannot create output folder", where=str(out_dir), actual=cause_of(error)
        ) from error
    try:
        _fill(temporary, root, facts, records, key)
        _require_absent(out_dir)
        os.rename(temporary, out_dir)
        sync_directory(out_dir.parent)  # the dataset exists after this line and not before
    except OSError as error:
        raise UnavailableError(
            "cannot write dataset",
            where=str(out_dir),
            actual=cause_of(error),
            hint="make room on its disk, then give the command again"
            if error.errno in NO_ROOM
            else None,
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # gone already when the rename took place
        if lock is not None:
            os.close(lock)


def _partial(out_dir: Path) -> str:
    return f".{out_dir.name}.partial-"


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock until it is closed or its process dies.

    None if another holds it.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _remove_leftovers(out_dir: Path) -> None:
    for folder in out_dir.parent.glob(f"{glob.escape(_partial(out_dir))}*"):
        if (fd := _lock(folder)) is not None:  # nobody is writing it any more
            shutil.rmtree(folder, ignore_errors=True)
            os.close(fd)


def _require_absent(out_dir: Path) -> None:
    if os.path.lexists(out_dir):
        raise Conflict(
            "output folder exists",
            where=str(out_dir),
            hint="choose another --out: a commitment is never replaced",
        )


def _fill(
    folder: Path,
    root: DatasetRoot,
    facts: ManifestFacts,
    records: Iterable[CommittedRecord],
    key: bytes,
) -> None:
    folder.chmod(0o755)
    private = folder / "private"
    private.mkdir(mode=0o700)
    count = _write_records(folder, private, records, key)
    if count != root.count:
        raise InputError(
            "records do not match the root", where=str(folder), expected=root.count, actual=count
        )
    manifest = _manifest(root, facts)
    write_atomically(folder / "dataset.json", canonical_json(manifest))
    sync_directory(private)
    sync_directory(folder)


def _write_records(
    folder: Path, private: Path, records: Iterable[CommittedRecord], key: bytes
) -> int:
    database = open_private_database(private / "records.sqlite", create=True)
    count, previous = 0, b""
    with (
        SaltStore.open(private / "salts.sqlite", key) as salts,
        (folder / "leaves.bin").open("wb") as leaves,
    ):
        try:
            _create_tables(database)
            database.execute("BEGIN")
            for chunk in _chunks(records, CHUNK_ROWS):
                rows = [(r.source_row, bytes(r.digest), r.canonical) for r in chunk]
                database.executemany(
                    "INSERT INTO record VALUES (?, ?, ?, ?)",
                    ((count + i, *row) for i, row in enumerate(rows)),
                )
                salts.put_many(SALT_KIND, ((count + i, r.salt) for i, r in enumerate(chunk)))
                for record in chunk:
                    if record.digest <= previous:
                        raise InputError(
                            "records are not in the order of their digests", where=f"leaf {count}"
                        )
                    previous = record.digest
                    leaves.write(record.leaf)
                    count += 1
            database.execute("COMMIT")
            truncate_log(database, private / "records.sqlite")
            leaves.flush()
            os.fsync(leaves.fileno())
        except sqlite3.Error as error:
            raise UnavailableError(
                "cannot write dataset",
                where=str(folder),
                actual=error,
                hint="is its disk full? make room, then give the command again",
            ) from error
        finally:
            database.close()
    return count


def _create_tables(database: sqlite3.Connection) -> None:
    database.execute(
        "CREATE TABLE record (leaf_index INTEGER PRIMARY KEY, source_row INTEGER NOT NULL, "
        "digest BLOB NOT NULL, canonical BLOB NOT NULL)"
    )
    database.execute(
        "CREATE TABLE erased (leaf_index INTEGER PRIMARY KEY, leaf BLOB NOT NULL, "
        "time TEXT NOT NULL)"
    )


def _manifest(root: DatasetRoot, facts: ManifestFacts) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "root": root.to_json(),
        "source": facts.source,
        "licence": facts.licence,
        "files": [dict(f) for f in facts.files],
        "counts": {"records": root.count, **facts.counts},
        "duplicates_removed": facts.duplicates_removed,
        "curation": list(facts.curation),
        "created": now(),
    }
    if facts.text_column is not None:
        manifest["text_column"] = facts.text_column
    else:
        manifest["columns"] = list(facts.columns)
    return manifest


def _chunks(items: Iterable[CommittedRecord], size: int) -> Iterator[list[CommittedRecord]]:
    chunk: list[CommittedRecord] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk

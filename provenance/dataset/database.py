"""SQLite files that only their owner can read, and whose deleted rows are overwritten."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

from provenance.durable import sync_directory
from provenance.errors import AuthError, NotFound, UnavailableError, VerificationError


def require_private(path: Path, status: os.stat_result, mode: int) -> None:
    """Check that a file or folder belongs to this user alone; the message asks for `mode`.

    Raises:
        AuthError: it belongs to another user, or group or others may use it.
    """
    if status.st_uid != os.geteuid():
        raise AuthError(
            "belongs to another user", where=str(path), expected=os.geteuid(), actual=status.st_uid
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise AuthError(
            "readable by group or others",
            where=str(path),
            expected=f"mode {mode:04o}",
            actual=f"mode {stat.S_IMODE(status.st_mode):04o}",
            hint=f"run `chmod {mode:o} {path}`",
        )


def open_private_database(path: Path, *, create: bool) -> sqlite3.Connection:
    """A SQLite connection (any thread, explicit transactions) whose deleted rows are overwritten.

    Commits are durable on return (WAL, synchronous=FULL). If the folder cannot be written, the file
    is opened for reading only.

    Raises:
        NotFound: the file is missing and `create` is false.
        AuthError: file or folder is open to group or others.
        VerificationError: not a SQLite file.
        UnavailableError: it cannot be opened or created.
    """
    if not path.exists() and not create:
        raise NotFound("no such store", where=str(path))
    try:
        _create_private(path)
        require_private(path.parent, path.parent.stat(), 0o700)
        require_private(path, path.stat(), 0o600)
        writable = os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)
        if not writable and _log_size(path):
            raise UnavailableError(
                "write-ahead log holds data, and the folder is read-only",
                where=str(path),
                hint="open the store once where it can be written",
            )
        mode = "mode=rw" if writable else "mode=ro&immutable=1"
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{mode}",
            uri=True,
            check_same_thread=False,
            isolation_level=None,
            timeout=30,
        )
    except (OSError, sqlite3.OperationalError) as error:
        raise UnavailableError("cannot open store", where=str(path), actual=error) from error
    try:
        connection.execute("PRAGMA secure_delete = ON")
        if writable:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise VerificationError("not a store, or damaged", where=str(path), actual=error) from error
    return connection


def _create_private(path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(
        os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    )  # WAL and index inherit this mode
    sync_directory(path.parent)


def _log_size(path: Path) -> int:
    log = path.with_name(path.name + "-wal")
    return log.stat().st_size if log.exists() else 0


def truncate_log(connection: sqlite3.Connection, path: Path) -> None:
    """Empty the write-ahead log, which may still hold deleted bytes.

    Raises:
        UnavailableError: another process reads the store; the rows are deleted, but the log still
            holds old bytes.
    """
    busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if busy:
        raise UnavailableError(
            "deleted, but the write-ahead log is in use and still holds old bytes",
            where=str(path),
            hint="end the other process that reads this store and delete again",
        )

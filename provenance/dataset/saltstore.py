"""Salts and blindings at rest: one encrypted, deletable row per value.

A leaf hides its record only as long as its salt is secret, and erasing a record means erasing its
salt. So each value is encrypted on its own (AES-256-GCM), has a row of its own, and a deleted row
is overwritten in the file.

What survives a crash: every `put` before a `sync()` that returned. NOT promised: that a deleted
value is gone from copies, from snapshots of the file system, or from flash cells that the disk has
remapped.

File: SQLite, mode 0600 in a folder of mode 0700. Table `value(kind, id, nonce, box)`; `box` is
ciphertext and tag; its associated data binds `kind` and `id`, so nobody can move or rename a row
unnoticed. Each file has its own key, derived from the caller's key and a random file id with
HMAC-SHA256, so nobody can carry rows from one store to another.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
import stat
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from provenance.causes import cause_of
from provenance.dataset.database import open_private_database, require_private, truncate_log
from provenance.durable import write_new_secret
from provenance.errors import (
    AuthError,
    Conflict,
    InputError,
    NotFound,
    OutputError,
    UnavailableError,
    VerificationError,
)

if TYPE_CHECKING:
    from types import TracebackType

KEY_BYTES = 32
BATCH_SALTS = "batch"  # kind of a run's batch salts; their id is the record's place in the journal
_NONCE_BYTES = 12  # Source: NIST SP 800-38D section 8.2.2, random nonces of 96 bits
_FLUSH_ROWS = 50_000  # rows held in memory before they are written without waiting for sync()
_DERIVE = b"provenance/v1/salt-store\0"
_CHECK = b"provenance/v1/salt-store-check\0"

ValueId = int | str


class _Cipher(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


_NO_KEY = (
    "salts lie under the key of the home (PROVENANCE_HOME) in which the dataset was committed: use "
    "that home, or commit the dataset again"
)


def load_or_create_key(path: Path) -> bytes:
    """The 32 bytes of a key file, drawn at random and made durable on first use.

    Raises:
        AuthError: the file is readable by group or others, or belongs to another user.
        InputError: it is not a regular file of 32 bytes.
        OutputError: it cannot be written.
    """
    try:
        if path.exists() or path.is_symlink():
            return load_key(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _create_key(path)
    except FileExistsError as error:
        if path.exists():  # another process made it meanwhile
            return load_key(path)
        raise _uncreated(path, error) from error
    except OSError as error:
        raise _uncreated(path, error) from error


def _create_key(path: Path) -> bytes:
    key = os.urandom(KEY_BYTES)
    write_new_secret(path, key)
    return key


def _uncreated(path: Path, error: OSError) -> OutputError:
    return OutputError("cannot create key file", where=str(path), actual=cause_of(error))


def load_key(path: Path) -> bytes:
    """The 32 bytes of a key file that exists.

    Raises as `load_or_create_key`, and InputError if the file is missing.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(
            "cannot open key file",
            where=str(path),
            actual=cause_of(error, path),
            hint=_NO_KEY if isinstance(error, FileNotFoundError) else None,
        ) from error
    with os.fdopen(fd, "rb") as stream:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise InputError("key file is not a regular file", where=str(path))
        require_private(path, status, 0o600)
        key = stream.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise InputError(
            "key file has the wrong length",
            where=str(path),
            expected=KEY_BYTES,
            actual=len(key),
            hint="restore the key from a copy: without it the salts cannot be read",
        )
    return key


class SaltStore:
    """Encrypted values by (kind, id); every method may be called from any thread.

    `put` keeps values in memory until `sync`, `close` or a full buffer writes them: a training step
    does not wait for a disk.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, cipher: _Cipher) -> None:
        self.path = path
        self._connection = connection
        self._cipher = cipher
        self._pending: dict[tuple[str, ValueId], bytes] = {}
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path, key: bytes, *, create: bool = True) -> SaltStore:
        """Open a store, or start one (unless `create` is false).

        Args:
            path: the SQLite file; its content is attacker-controlled, and a row that was altered
                is refused when it is read.
            key: 32 secret bytes, see `load_or_create_key`.

        Raises:
            AuthError: another key, or file or folder open to group or others.
            NotFound: missing and `create` is false.
            VerificationError: not a salt store.
            UnavailableError: the disk refused.
        """
        if len(key) != KEY_BYTES:
            raise InputError("a salt key has 32 bytes", actual=len(key))
        connection = open_private_database(path, create=create)
        try:
            return cls(path, connection, _cipher_of(connection, path, key))
        except sqlite3.DatabaseError as error:
            connection.close()
            raise VerificationError(
                "not a salt store, or damaged", where=str(path), actual=error
            ) from error
        except BaseException:
            connection.close()
            raise

    def put(self, kind: str, id: ValueId, value: bytes, *, replace: bool = False) -> None:
        """Remember a value; durable only after `sync`.

        Raises:
            Conflict: another value is stored under (kind, id) and `replace` is false; the same
                value again is no conflict.
        """
        with self._lock:
            if not replace:
                found = self._find(kind, id)
                if found is not None and not hmac.compare_digest(found, value):
                    raise Conflict("another value is stored here", where=f"{self.path} {kind}/{id}")
            self._pending[kind, id] = bytes(value)
            if len(self._pending) >= _FLUSH_ROWS:
                self._flush()

    def put_many(self, kind: str, values: Iterable[tuple[ValueId, bytes]]) -> None:
        """Store new values in bulk, in one transaction that is durable on return.

        Raises:
            Conflict: an id is stored already; then none of `values` is stored.
        """
        with self._lock:
            self._flush()
            self._write((kind, id, *self._seal(kind, id, value)) for id, value in values)

    def get(self, kind: str, id: ValueId) -> bytes:
        """The value of (kind, id), durable or not.

        Raises:
            NotFound: never stored, or deleted.
            VerificationError: the row was altered.
        """
        with self._lock:
            value = self._find(kind, id)
        if value is None:
            raise NotFound(
                "no such value (never stored, or erased)", where=f"{self.path} {kind}/{id}"
            )
        return value

    def get_many(self, kind: str, ids: Iterable[ValueId]) -> list[bytes]:
        """Values in the order of `ids`; raises as `get` does."""
        return [self.get(kind, id) for id in ids]

    def ids(self, kind: str) -> list[ValueId]:
        """Ids of a kind, integers first in order, then strings."""
        with self._lock:
            self._flush()
            return [
                row[0]
                for row in self._execute("SELECT id FROM value WHERE kind = ? ORDER BY id", (kind,))
            ]

    def delete(self, kind: str, id: ValueId) -> bool:
        """Delete a value beyond recovery from this file, durable on return.

        Returns:
            Whether the value was there.

        Raises:
            UnavailableError: the value is deleted, but another process keeps old pages in the
                write-ahead log: call again.
        """
        return self.delete_many(kind, [id]) == 1

    def delete_many(self, kind: str, ids: Iterable[ValueId]) -> int:
        """Delete values in one transaction; returns how many were there. Raises as `delete`."""
        with self._lock:
            self._flush()  # a pending value counts as stored
            self._execute("BEGIN IMMEDIATE")
            try:
                deleted = sum(
                    self._execute(
                        "DELETE FROM value WHERE kind = ? AND id = ?", (kind, id)
                    ).rowcount
                    for id in ids
                )
                self._execute("COMMIT")
            except BaseException:
                self._rollback()
                raise
            truncate_log(self._connection, self.path)
            return deleted

    def sync(self) -> None:
        """Return once every `put` before this call is on disk.

        Raises:
            UnavailableError: the disk refused; values stay in memory and the next call tries again.
        """
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Write what is pending and close. Raises as `sync` does; the store then stays open."""
        with self._lock:
            self._flush()
            self._connection.close()

    def __enter__(self) -> SaltStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _seal(self, kind: str, id: ValueId, value: bytes) -> tuple[bytes, bytes]:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce, self._cipher.encrypt(nonce, value, _associated(kind, id))

    def _find(self, kind: str, id: ValueId) -> bytes | None:
        if (pending := self._pending.get((kind, id))) is not None:
            return pending
        row = self._execute(
            "SELECT nonce, box FROM value WHERE kind = ? AND id = ?", (kind, id)
        ).fetchone()
        return None if row is None else self._unseal(kind, id, row[0], row[1])

    def _unseal(self, kind: str, id: ValueId, nonce: bytes, box: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(nonce, box, _associated(kind, id))
        except (InvalidTag, ValueError, TypeError) as error:
            raise VerificationError(
                "stored value was altered",
                where=f"{self.path} {kind}/{id}",
                hint="restore the store from a copy",
            ) from error

    def _flush(self) -> None:
        if not self._pending:
            return
        rows = [
            (kind, id, *self._seal(kind, id, value)) for (kind, id), value in self._pending.items()
        ]
        self._write(rows, verb="REPLACE")
        self._pending.clear()

    def _write(
        self, rows: Iterable[tuple[str, ValueId, bytes, bytes]], verb: str = "INSERT"
    ) -> None:
        self._execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(
                f"{verb} INTO value (kind, id, nonce, box) VALUES (?, ?, ?, ?)", rows
            )
            self._execute("COMMIT")  # values are safe after this line and not before
        except sqlite3.IntegrityError as error:
            self._rollback()
            raise Conflict(
                "a value is stored under this id already", where=str(self.path)
            ) from error
        except sqlite3.Error as error:
            self._rollback()
            raise UnavailableError(
                "cannot write store",
                where=str(self.path),
                actual=error,
                hint="free disk space; pending values are kept and written at the next sync",
            ) from error
        except BaseException:
            self._rollback()
            raise

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _execute(
        self, statement: str, values: tuple[str | int | bytes, ...] = ()
    ) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.ProgrammingError as error:
            raise InputError("store is closed", where=str(self.path)) from error
        except sqlite3.OperationalError as error:
            raise UnavailableError(
                "store is busy or cannot be written", where=str(self.path), actual=error
            ) from error
        except sqlite3.DatabaseError as error:
            raise VerificationError(
                "store is damaged", where=str(self.path), actual=error
            ) from error


def _associated(kind: str, id: ValueId) -> bytes:
    """What a box is bound to: kind and id, the id's type included, so that 5 and "5" differ."""
    return f"{kind}\0{'i' if isinstance(id, int) else 's'}{id}".encode()


def _cipher_of(connection: sqlite3.Connection, path: Path, key: bytes) -> _Cipher:
    """The cipher of this file, after its check value showed that `key` is the right one."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if _is_writable(connection):
        _start_file(connection, path, key)
    file_id, check = connection.execute("SELECT file_id, key_check FROM store").fetchone() or (
        b"",
        b"",
    )
    own = _mac(key, _DERIVE + file_id)
    if not hmac.compare_digest(_mac(own, _CHECK), check):
        raise AuthError(
            "wrong key for this store",
            where=str(path),
            hint="use the key file the store was made with",
        )
    return AESGCM(own)


def _start_file(connection: sqlite3.Connection, path: Path, key: bytes) -> None:
    """Make tables and header where they are missing, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS store (file_id BLOB NOT NULL, key_check BLOB NOT NULL)"
        )
        # `id` has no type, so integers stay integers and rows lie in their order.
        connection.execute(
            "CREATE TABLE IF NOT EXISTS value "
            "(kind TEXT NOT NULL, id NOT NULL, nonce BLOB NOT NULL, "
            "box BLOB NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID"
        )
        if connection.execute("SELECT 1 FROM store").fetchone() is None:
            if connection.execute("SELECT 1 FROM value LIMIT 1").fetchone():
                raise VerificationError("store has lost its header", where=str(path))
            file_id = os.urandom(16)
            check = _mac(_mac(key, _DERIVE + file_id), _CHECK)
            connection.execute("INSERT INTO store VALUES (?, ?)", (file_id, check))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _is_writable(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal")


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")

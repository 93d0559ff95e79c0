"""The queue of proofs: leased rows with fencing tokens in one SQLite file.

The table is written so that PostgreSQL can take it. A row is one statement, named by its id: asking
for a statement twice makes one proof. States, and what survives a crash:

    ready   nobody works on it
    leased  a worker may be on it until `expires_ms`; the owner's death or the lease's end frees it
    done    `proof` is on disk; the row never changes again
    failed  refused, or lost too often; asking for the statement again makes it ready

Each lease has a higher `token` than the one before. A result is taken only with the token of a
lease that is still running, so a worker that was thought dead and comes back cannot overwrite what
its successor does. Rows hold public values only: what a proof is made from stays with the process
that asks for it, and is not stored here.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from provenance.encoding import canonical_json
from provenance.errors import UnavailableError
from provenance.ids import KeyId, to_hex
from provenance_zk.prover.keys import KeyFolder

MAX_ATTEMPTS = 3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS proof_job (
    statement_id TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    key_id       TEXT NOT NULL,
    command      TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('ready', 'leased', 'done', 'failed')),
    token        BIGINT NOT NULL,
    attempts     INTEGER NOT NULL,
    owner        TEXT,
    expires_ms   BIGINT,
    proof        TEXT CHECK ((proof IS NOT NULL) = (state = 'done')),
    failure      TEXT
)
"""


@dataclass(frozen=True)
class Sharing:
    """How jobs share one request.

    Attributes:
        own: fields that are each job's in a request for several, even where others have the same.
        together: jobs with another word here never share a request.
    """

    own: tuple[str, ...] = ()
    together: str = ""


@dataclass(frozen=True)
class Job:
    """One statement to prove.

    Attributes:
        command: of the prover: `prove-epoch`, `prove-merge`, .., one that takes `jobs` and writes
            `out`.
        request: its fields without `out`. Bytes are private: they become files, and never rows.
        statement_id: see `statement_id`.
    """

    kind: str
    key_id: KeyId
    command: str
    request: Mapping[str, Any]
    statement_id: bytes
    sharing: Sharing = Sharing()

    @classmethod
    def make(
        cls,
        key: KeyFolder,
        command: str,
        request: Mapping[str, Any],
        public: Mapping[str, Any],
        sharing: Sharing = Sharing(),
    ) -> Job:
        """A job whose statement no other of the same key and command has.

        Args:
            public: tells the statement from the others.
        """
        return cls(
            key.kind,
            key.vk_id,
            command,
            {"key": str(key.dir), **request},
            statement_id(key, command, public),
            sharing,
        )


def statement_id(key: KeyFolder, command: str, public: Mapping[str, Any]) -> bytes:
    """SHA-256 of the canonical JSON (RFC 8785) of kind, key id, command and public statement."""
    value: Any = {
        "kind": key.kind,
        "key": to_hex(key.vk_id),
        "command": command,
        "public": dict(public),
    }
    return sha256(b"provenance/v1/proof-job" + canonical_json(value)).digest()


@dataclass(frozen=True)
class Lease:
    """The right to work on a row; `token` fences off earlier leases, `attempts` counts them."""

    statement_id: bytes
    token: int
    attempts: int


class JobQueue:
    """The table of one file. Threads may share it; so may processes.

    Args:
        lease_s: how long a lease lasts unless it is renewed.
        owner: names this process, so that others see its death.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        path: Path,
        *,
        lease_s: float = 60.0,
        owner: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.lease_s = lease_s
        self._owner = owner or process_name(os.getpid())
        self._clock = clock
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            # A proof that was taken is never made again.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise UnavailableError(
                "cannot open the queue of proofs", where=str(path), actual=error
            ) from error

    def close(self) -> None:
        """Close the file; leases that are held go on until they end."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> JobQueue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, jobs: Sequence[Job]) -> None:
        """Make the jobs' rows; those of failed statements become ready again, others stay."""
        rows = [(j.statement_id.hex(), j.kind, to_hex(j.key_id), j.command) for j in jobs]
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO proof_job "
                "(statement_id, kind, key_id, command, state, token, attempts) "
                "VALUES (?, ?, ?, ?, 'ready', 0, 0) ON CONFLICT (statement_id) DO UPDATE "
                "SET state = 'ready', attempts = 0, failure = NULL "
                "WHERE proof_job.state = 'failed'",
                rows,
            )

    def claim(self, statement: bytes) -> Lease | None:
        """Lease a row that is ready, or whose lease ended or lost its owner.

        Returns:
            None if there is nothing to do for it now.
        """
        now = self._now()
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            row = self._db.execute(
                "SELECT state, token, attempts, owner, expires_ms FROM proof_job "
                "WHERE statement_id = ?",
                (statement.hex(),),
            ).fetchone()
            if row is None or row[0] in ("done", "failed"):
                return None
            state, token, attempts, owner, expires = row
            if state == "leased" and expires > now and not is_dead(owner):
                return None
            if attempts >= MAX_ATTEMPTS:
                self._db.execute(
                    "UPDATE proof_job SET state = 'failed', failure = ?, owner = NULL "
                    "WHERE statement_id = ?",
                    (f"its worker was lost {attempts} times", statement.hex()),
                )
                return None
            self._db.execute(
                "UPDATE proof_job SET state = 'leased', token = ?, attempts = ?, owner = ?, "
                "expires_ms = ? WHERE statement_id = ?",
                (token + 1, attempts + 1, self._owner, now + self._lease_ms(), statement.hex()),
            )
            return Lease(statement, token + 1, attempts + 1)

    def renew(self, lease: Lease) -> bool:
        """Make the lease last from now; False if it is no longer held."""
        return self._held(
            "UPDATE proof_job SET expires_ms = ?", (self._now() + self._lease_ms(),), lease
        )

    def complete(self, lease: Lease, proof: bytes) -> bool:
        """Take a result; False if the lease is no longer held: it came too late and is dropped."""
        return self._held(
            "UPDATE proof_job SET state = 'done', owner = NULL, proof = ?", (proof.decode(),), lease
        )

    def release(self, lease: Lease, why: str) -> bool:
        """Give a job back after its worker was lost; after MAX_ATTEMPTS it has failed."""
        state = "failed" if lease.attempts >= MAX_ATTEMPTS else "ready"
        return self._held(
            "UPDATE proof_job SET state = ?, owner = NULL, failure = ?", (state, why), lease
        )

    def put_back(self, lease: Lease) -> bool:
        """Give a job back that was not begun: the attempt does not count."""
        return self._held(
            "UPDATE proof_job SET state = 'ready', owner = NULL, attempts = attempts - 1", (), lease
        )

    def fail(self, lease: Lease, why: str) -> bool:
        """The prover refused the job: the same request will not help."""
        return self._held(
            "UPDATE proof_job SET state = 'failed', owner = NULL, failure = ?", (why,), lease
        )

    def state(self, statement: bytes) -> tuple[str, str | None, str | None]:
        """(state, proof, failure) of a row."""
        with self._lock:
            row = self._db.execute(
                "SELECT state, proof, failure FROM proof_job WHERE statement_id = ?",
                (statement.hex(),),
            ).fetchone()
        if row is None:
            raise UnavailableError("queue of proofs lost a row", where=statement.hex())
        return str(row[0]), row[1], row[2]

    def _held(self, update: str, values: tuple[Any, ...], lease: Lease) -> bool:
        """Update the row only while the lease is the running one: the fencing token decides."""
        with self._lock, self._db:
            done = self._db.execute(
                f"{update} WHERE statement_id = ? AND token = ? AND state = 'leased' "
                "AND expires_ms > ?",
                (*values, lease.statement_id.hex(), lease.token, self._now()),
            )
            return done.rowcount == 1

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _lease_ms(self) -> int:
        return int(self.lease_s * 1000)


def process_name(pid: int) -> str:
    """`HOST|BOOT|PID|START`: no later process has the same name."""
    return f"{socket.gethostname()}|{_boot()}|{pid}|{_start_ticks(pid)}"


def is_dead(owner: str) -> bool:
    """Whether the named process ran on this machine, and does no more.

    False where that cannot be told.
    """
    parts = owner.split("|")
    if len(parts) != 4 or parts[0] != socket.gethostname() or not parts[2].isdigit() or not _boot():
        return False
    return parts[1] != _boot() or parts[3] != _start_ticks(int(parts[2]))


def _boot() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def _start_ticks(pid: int) -> str:
    """When the process started (proc(5), field 22); empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""

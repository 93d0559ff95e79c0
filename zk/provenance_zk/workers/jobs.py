"""The queue of proofs: leased rows with fencing tokens in one SQLite file.

The table uses only SQL that PostgreSQL has, too. A row is one statement, named by its id: adding a
statement twice makes one proof. The states, each of which survives a crash:

    ready   no worker works on it
    leased  a worker may work on it until `expires_ms`; the owner's death frees it earlier
    done    `proof` is on disk; the row never changes again
    failed  the prover refused it, or workers were lost too often; adding it again makes it ready

Each lease has a higher `token` than the one before. A result is taken only with the token of a
lease that still runs. So a worker that was thought dead and comes back cannot overwrite the result
of its successor. Rows hold public values only. The secrets that a proof is made from stay with the
process that asks for it; they are never stored here.
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
    """Which jobs may share one request, and what they share in it.

    Attributes:
        own: fields that a shared request repeats for each job, even where their values are equal.
        together: only jobs with the same word here share a request.
    """

    own: tuple[str, ...] = ()
    together: str = ""


@dataclass(frozen=True)
class Job:
    """One statement to prove.

    Attributes:
        command: the prover's: `prove-epoch`, `prove-merge`, .., one whose request has `jobs` and
            `out`.
        request: the request's fields without `out`. Bytes are private: they become files, never
            rows.
        statement_id: what `statement_id` returns.
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
        """A job with the id of its statement.

        Args:
            public: values that tell the statement from all others of this key and command.
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
    """SHA-256 of `provenance/v1/proof-job` and the canonical JSON (RFC 8785) of kind, key id,
    command and public values.
    """
    value: Any = {
        "kind": key.kind,
        "key": to_hex(key.vk_id),
        "command": command,
        "public": dict(public),
    }
    return sha256(b"provenance/v1/proof-job" + canonical_json(value)).digest()


@dataclass(frozen=True)
class Lease:
    """The right to work on a row.

    `token` is larger than that of every earlier lease; `attempts` counts the leases.
    """

    statement_id: bytes
    token: int
    attempts: int


class JobQueue:
    """The queue in one file. Threads and processes may share it.

    Args:
        path: the SQLite file.
        lease_s: how long a lease lasts unless it is renewed.
        owner: names this process, so that others can see that it died.
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
            # Durable before `complete` returns: a proof that was taken is never made again.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise UnavailableError(
                "cannot open the queue of proofs", where=str(path), actual=error
            ) from error

    def close(self) -> None:
        """Close the file; leases that are held last until they expire."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> JobQueue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, jobs: Sequence[Job]) -> None:
        """Add a row for each job. A failed row becomes ready again; other rows stay as they are."""
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
        """Lease a row that is ready, or whose lease expired or whose owner died.

        Returns:
            None if another worker has it, or if it is done or failed.
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
        """Extend the lease by `lease_s` from now; False if it is no longer held."""
        return self._held(
            "UPDATE proof_job SET expires_ms = ?", (self._now() + self._lease_ms(),), lease
        )

    def complete(self, lease: Lease, proof: bytes) -> bool:
        """Store a proof; False if the lease is no longer held, and the proof is then dropped."""
        return self._held(
            "UPDATE proof_job SET state = 'done', owner = NULL, proof = ?", (proof.decode(),), lease
        )

    def release(self, lease: Lease, why: str) -> bool:
        """Give a job back after its worker was lost; after MAX_ATTEMPTS leases it fails instead."""
        state = "failed" if lease.attempts >= MAX_ATTEMPTS else "ready"
        return self._held(
            "UPDATE proof_job SET state = ?, owner = NULL, failure = ?", (state, why), lease
        )

    def put_back(self, lease: Lease) -> bool:
        """Give a job back that was not begun; the attempt does not count."""
        return self._held(
            "UPDATE proof_job SET state = 'ready', owner = NULL, attempts = attempts - 1", (), lease
        )

    def fail(self, lease: Lease, why: str) -> bool:
        """Mark a job as failed: the prover refused it, and trying again would not help."""
        return self._held(
            "UPDATE proof_job SET state = 'failed', owner = NULL, failure = ?", (why,), lease
        )

    def state(self, statement: bytes) -> tuple[str, str | None, str | None]:
        """(state, proof, failure) of a row; `proof` is set when done, `failure` may be when not."""
        with self._lock:
            row = self._db.execute(
                "SELECT state, proof, failure FROM proof_job WHERE statement_id = ?",
                (statement.hex(),),
            ).fetchone()
        if row is None:
            raise UnavailableError("queue of proofs lost a row", where=statement.hex())
        return str(row[0]), row[1], row[2]

    def _held(self, update: str, values: tuple[Any, ...], lease: Lease) -> bool:
        """Update the row if this lease still runs, by its token; returns whether it does."""
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
    """A name `HOST|BOOT|PID|START` that no later process has."""
    return f"{socket.gethostname()}|{_boot()}|{pid}|{_start_ticks(pid)}"


def is_dead(owner: str) -> bool:
    """Whether the named process ran on this machine and has ended.

    False if this cannot be found out, as for a process of another machine.
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

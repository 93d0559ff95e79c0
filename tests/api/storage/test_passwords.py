"""Where the database's password comes from: files that libpq reads, no URL and no argument."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from provenance.errors import UnavailableError
from provenance_api.db import Database
from tests.support.processes.postgres import LOCKED, Postgres

PASSWORD = "correct horse"


@pytest.fixture
def locked(postgres: Postgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of a database for a role with a password, without it."""
    for name in ("PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGPASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with postgres.admin() as admin:
        admin.execute(f"DROP ROLE IF EXISTS {LOCKED}".encode())
        admin.execute(f"CREATE ROLE {LOCKED} LOGIN PASSWORD '{PASSWORD}'".encode())
    return postgres.url("postgres", LOCKED)


def user_of(url: str) -> str:
    database = Database(url)
    try:
        with database.session() as session:
            return str(session.scalar(text("SELECT current_user")))
    finally:
        database.close()


def test_without_a_password_there_is_no_connection(locked: str) -> None:
    with pytest.raises(UnavailableError, match="password"):
        user_of(locked)


def test_libpq_reads_the_password_from_a_file(
    locked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pgpass"
    file.touch(mode=0o600)
    file.write_text(f"*:*:*:{LOCKED}:{PASSWORD}\n")
    monkeypatch.setenv("PGPASSFILE", str(file))
    assert user_of(locked) == LOCKED


def test_libpq_reads_all_from_a_service(
    locked: str, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "services"
    settings = {
        "host": postgres.socket,
        "dbname": "postgres",
        "user": LOCKED,
        "password": PASSWORD,
    }
    lines = (f"{name}={value}\n" for name, value in settings.items())
    file.write_text("[provenance]\n" + "".join(lines))
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGSERVICE", "provenance")
    assert user_of("postgresql://") == LOCKED


def test_a_wrong_password_is_not_told(locked: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        user_of(locked.replace(f"{LOCKED}@", f"{LOCKED}:hunter2@"))
    assert "hunter2" not in str(caught.value)

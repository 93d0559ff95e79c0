"""The service over the session's chain and honest run, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from provenance.digest import sha256
from provenance.log.record import Record
from provenance_api.app import create_app
from provenance_api.db import Database
from provenance_api.state import AppState, Limits
from provenance_zk.checker import ProofChecker, ProverEngine
from tests.support.chain import Lab
from tests.support.processes.postgres import OWNER, Postgres, running
from tests.support.service import HOSTILE, REASON, ClientFactory, StateFactory
from tests.support.spine import Data, Plan, Run, build_run

KINDS = ["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """This process's own PostgreSQL server."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> str:
    """A database with the service's tables; each test gets a copy."""
    name = postgres.create()
    database = Database(postgres.url(name, OWNER))
    database.prepare()
    database.close()
    return name


@pytest.fixture(params=KINDS)
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty, unprepared database of each kind."""
    if request.param == "sqlite":
        yield from _sqlite(tmp_path)
    else:
        yield from _postgres(request.getfixturevalue("postgres"), "template0")


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A prepared database of each kind, as the service opens it."""
    if request.param == "sqlite":
        for database in _sqlite(tmp_path):
            database.prepare()
            yield database
    else:
        server, template = (request.getfixturevalue(n) for n in ("postgres", "template"))
        yield from _postgres(server, template)


def _sqlite(folder: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{folder / 'service.sqlite'}")
    yield database
    database.close()


def _postgres(server: Postgres, template: str) -> Iterator[Database]:
    name = server.create(template)
    database = Database(server.url(name, OWNER))
    yield database
    database.close()
    server.drop(name)


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

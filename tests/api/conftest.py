"""The service over the session's chain and honest run, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from provenance.digest import sha256
from provenance.log.record import Record
from provenance_api.app import create_app
from provenance_api.db import DEFAULT_TENANT, Database, acting_for
from provenance_api.db.migrate import migrate
from provenance_api.state import AppState, Limits
from provenance_zk.checker import ProofChecker, ProverEngine
from tests.support.chain import Lab
from tests.support.processes.postgres import OWNER, SERVICE, Postgres, running
from tests.support.service import HOSTILE, REASON, ClientFactory, StateFactory, Store
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
    migrate(database, SERVICE)
    database.close()
    return name


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    """Tests read and write for the default tenant, unless they say for whom."""
    with acting_for(DEFAULT_TENANT):
        yield


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def any_database(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty, unprepared database of each kind, as its owner opens it."""
    if kind == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'service.sqlite'}")
        yield database
        database.close()
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    database = Database(server.url(name, OWNER))
    yield database
    database.close()
    server.drop(name)


@pytest.fixture
def new_store(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[], Store]]:
    """Makes prepared databases of each kind."""
    with ExitStack() as stack:
        if kind == "sqlite":
            yield lambda: _sqlite(stack, tmp_path / f"service-{uuid4().hex}.sqlite")
        else:
            server, template = (request.getfixturevalue(n) for n in ("postgres", "template"))
            yield lambda: _postgres(stack, server, server.create(template))


@pytest.fixture
def store(new_store: Callable[[], Store]) -> Store:
    return new_store()


@pytest.fixture
def database(store: Store) -> Database:
    """A prepared database of each kind, as the service opens it."""
    return store.service


def _sqlite(stack: ExitStack, file: Path) -> Store:
    database = Database(f"sqlite:///{file}")
    stack.callback(database.close)
    database.prepare()
    return Store(database, database)


def _postgres(stack: ExitStack, server: Postgres, name: str) -> Store:
    stack.callback(server.drop, name)
    service, owner = (Database(server.url(name, role)) for role in (SERVICE, OWNER))
    stack.callback(service.close)
    stack.callback(owner.close)
    return Store(service, owner)


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

"""A service of two tenants: `acme`, with a released and an unreleased run, and `bolt`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from provenance.digest import sha256
from provenance.ids import to_hex
from provenance.log.record import Record
from provenance_api.db import Database, acting_for
from provenance_api.tenants.tokens import Tokens
from tests.support.service import ClientFactory, Store
from tests.support.spine import Run

ACME, BOLT = "acme", "bolt"


@dataclass(frozen=True)
class World:
    """A service, its database, and the folders of its tenants."""

    client: TestClient
    store: Store
    folders: dict[str, Path]
    make_client: ClientFactory

    def restarted(self, **changes: Any) -> TestClient:
        """Another service on the same database."""
        return self.make_client(database=self.store.service, **changes)

    def headers(self, tenant: str | None) -> dict[str, str]:
        """What a request of a tenant sends; of nobody, nothing."""
        if tenant is None:
            return {}
        return {"authorization": f"Bearer {self.token(tenant)}"}

    def token(self, tenant: str) -> str:
        """A new token of a tenant, which may push."""
        return Tokens(self.store.owner).create(tenant, "test", None, may_push=True)


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    """Tests of tenants read and write for nobody, unless they say for whom."""
    with acting_for(None):
        yield


@pytest.fixture
def unreleased(honest: Run, tmp_path: Path) -> Run:
    """A proven run over a dataset of its own.

    Its publisher released it on chain, and its release is not in the folder.
    """
    run = honest.copy(tmp_path / "unreleased")
    run.rewrite(lambda records: [_opening(records[0]), *_kept(records[1:])])
    return run


def _opening(record: Record) -> Record:
    dataset = {"dataset_id": to_hex(sha256(b"own id")), "root": to_hex(sha256(b"own root"))}
    fields = dict(record.fields) | {"dataset": dict(record.fields["dataset"]) | dataset}
    return replace(record, fields=fields)


def _kept(records: list[Record]) -> list[Record]:
    return [record for record in records if record.type != "release"]


@pytest.fixture
def make_world(
    make_client: ClientFactory, new_store: Callable[[], Store], tmp_path: Path
) -> Callable[..., World]:
    """Makes services of two tenants with these runs, by tenant.

    Of the runs in `pushed`, which are acme's, the folder is in the inbox.
    """

    def make(pushed: Sequence[Run] = (), **runs: list[Run]) -> World:
        store = new_store()
        place = tmp_path / f"world-{id(store):x}"
        folders = {tenant: place / tenant for tenant in (ACME, BOLT)}
        for tenant, folder in folders.items():
            folder.mkdir(parents=True)
            for number, run in enumerate(runs.get(tenant, [])):
                run.copy(folder / f"run-{number}")
        others = {tenant: (folder,) for tenant, folder in folders.items()}
        for run in pushed:
            run.copy(place / "inbox" / ACME / to_hex(run.run_id))
        client = make_client(database=store.service, others=others, inbox=place / "inbox")
        return World(client, store, folders, make_client)

    return make


@pytest.fixture
def world(make_world: Callable[..., World], unreleased: Run, twice: Run, hostile: Run) -> World:
    """acme has an unreleased and a released run, bolt a released one."""
    return make_world(acme=[unreleased, twice], bolt=[hostile])


class Statements:
    """Counts what a database is asked."""

    def __init__(self, database: Database) -> None:
        self.count = 0
        event.listen(database.engine, "before_cursor_execute", self._one)

    def _one(self, *_: object) -> None:
        self.count += 1

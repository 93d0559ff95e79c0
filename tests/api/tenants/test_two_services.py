"""Two services on one PostgreSQL, and one that fails: nothing stays broken, nothing is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import event, text

from provenance.ids import to_hex
from provenance_api.db import Database, acting_for
from tests.api.storage.test_row_security import RUNS
from tests.api.tenants.conftest import ACME, BOLT, World
from tests.api.tenants.test_folders import status
from tests.api.tenants.test_hostile_folders import scan
from tests.support.spine import Run


@pytest.fixture
def kind() -> str:
    return "postgresql"


def alter(world: World, statement: str) -> None:
    with world.store.owner.engine.begin() as connection:
        connection.execute(text(statement))


def test_a_database_that_refuses_is_the_services_fault_and_is_not_described(world: World) -> None:
    """The attack: ask while tables are not there, and read hosts and roles in the answer."""
    alter(world, "ALTER TABLE runs RENAME TO moved")
    for path in ("/", "/runs", "/runs/" + "0" * 64, "/search?q=model", "/verify/model"):
        answer = world.client.get(path)
        assert answer.status_code == 503, answer.text
        for word in ("postgresql", "provenance_service", "relation"):
            assert word not in answer.text
    alter(world, "ALTER TABLE moved RENAME TO runs")
    assert world.client.get("/runs").status_code == 200


def test_a_connection_that_is_lost_comes_back(world: World, twice: Run) -> None:
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user "
        "AND datname = current_database()"
    )
    assert status(world, None, twice) == 200
    with world.store.owner.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    alter(world, "GRANT provenance_service TO provenance_owner")
    alter(world, end)
    assert status(world, None, twice) == 200


def test_rows_that_another_service_wrote_meanwhile_do_not_leave_a_folder_out(
    make_world: Callable[..., World], twice: Run
) -> None:
    """Another service shows bolt's copy of the run while this one is about to show acme's."""
    world = make_world()
    other = Database(world.store.service.engine.url.render_as_string(hide_password=False))
    written = []

    def write_first(*given: object) -> None:
        statement = str(given[2])
        if statement.startswith("UPDATE runs") and "released=" in statement and not written:
            written.append(statement)
            row = RUNS.format(id=f"'\\x{bytes(twice.run_id).hex()}'", t=BOLT, r=True)
            with acting_for(BOLT), other.session() as session:
                session.execute(text(row))

    event.listen(world.store.service.engine, "before_cursor_execute", write_first)
    twice.copy(world.folders[ACME] / "run")
    scan(world)
    assert written
    assert world.client.get("/healthz").json()["evidence"]["status"] == "problems"
    scan(world)
    assert status(world, ACME, twice) == 200
    assert world.client.get("/runs", headers=world.headers(ACME)).json()["damaged"] == []
    path = f"/runs/{to_hex(twice.run_id)}/records/0"
    assert world.client.get(path).status_code == 200  # acme's, since bolt has no such folder
    other.close()


ODD = (
    "%00",
    "%0d%0aSet-Cookie:%20a=b",
    "..%2f..%2fetc%2fpasswd",
    "%ff%fe",
    "%ed%a0%80",
    "a%27%20OR%201=1--",
    "%3Csvg%20onload=alert(1)%3E",
    "0x" + "f" * 64,
    "9" * 17,
    "-1",
    "9007199254740991",
    "9007199254740992.9007199254740991",
    "9007199254740991.9007199254740991",
    "0x" + "f" * 64 + ".9007199254740991",
    "sha256:" + "f" * 64,
    "\u0661",
    "a" * 20_000,
)
WHERE = (
    "/verify/{}",
    "/verify?id={}",
    "/verify/llama?format={}",
    "/badge/{}",
    "/records/{}",
    "/runs?after={}",
    "/runs?limit={}",
    "/runs/{}",
    "/runs/{run}/records?after={}",
    "/runs/{run}/records?type={}",
    "/runs/{run}/records/{}",
    "/runs/{run}/heads?after={}",
    "/runs/{run}/proofs?after={}",
    "/runs/{run}/proofs/{}/{}",
    "/datasets?after={}",
    "/datasets/{}",
    "/releases?after={}",
    "/search?q={}",
    "/static/{}",
    "/{}",
)


def test_no_odd_value_reaches_the_database(world: World, twice: Run) -> None:
    """The attack: values that PostgreSQL refuses, or that become part of headers or pictures."""
    world.client.follow_redirects = False
    for where in WHERE:
        for odd in ODD:
            path = where.replace("{run}", to_hex(twice.run_id)).replace("{}", odd)
            answer = world.client.get(path)
            assert answer.status_code in (200, 303, 400, 404), (path[:200], answer.text[:500])
            assert "set-cookie" not in answer.headers
            if "json" not in answer.headers.get("content-type", ""):
                assert "<svg onload" not in answer.text.lower()
            assert "postgresql" not in answer.text
            assert len(answer.content) < 100_000, path[:200]

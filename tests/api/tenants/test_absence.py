"""An unreleased object of another tenant cannot be told from one that is not there.

Two services get the same requests. In one of them `acme` has an unreleased run, in the other it has
not. Whoever is not acme gets the same answers: status, headers and body, after as many statements
of the database. The requests go over the application's own table of routes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount, Route

from provenance.artifacts.manifest import manifest_of
from provenance.chain.lookup.forms import Log
from provenance.ids import to_hex
from tests.api.tenants.conftest import ACME, BOLT, Statements, World
from tests.support.spine import Run

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
Ask = tuple[str, dict[str, str]]


def handles(run: Run) -> list[str]:
    """Everything that names something of a run."""
    records = run.records()
    opening = records[0].fields
    return [
        to_hex(run.run_id),
        opening["dataset"]["dataset_id"],
        opening["dataset"]["root"],
        str(records[2].digest),
        str(run.model),
        opening["signer"],
        "model",
    ]


def of_run(path: str) -> Callable[[Run], list[Ask]]:
    return lambda run: [(path.format(run=to_hex(run.run_id)), {})]


def pages_of_run(path: str, *after: str) -> Callable[[Run], list[Ask]]:
    def asks(run: Run) -> list[Ask]:
        at = path.format(run=to_hex(run.run_id))
        return [(at, {}), (at, {"format": "html"}), *((at, {"after": each}) for each in after)]

    return asks


def head_of(run: Run) -> Log:
    """The event of the run's first head, which is on chain for everybody to see."""
    lookup = run.lab.reader().lookup()
    return lookup.events("registry", ["HeadCommitted"], lookup.newest(), run.run_id)[0]


def both(path: str) -> list[Ask]:
    return [(path, {}), (path, {"format": "html"})]


def plain(path: str) -> Callable[[Run], list[Ask]]:
    return lambda _: [(path, {})]


# For each route what is asked; an address that names something names what acme has not released.
RULES: dict[str, Callable[[Run], list[Ask]]] = {
    "/": lambda _: [("/", {}), ("/", {"format": "html"})],
    "/verify": lambda run: [("/verify", {"id": each}) for each in handles(run)],
    "/verify/{model_id:path}": lambda run: [(f"/verify/{each}", {}) for each in handles(run)],
    "/badge/{model_id:path}": lambda run: [(f"/badge/{each}", {}) for each in handles(run)],
    "/runs": lambda run: [
        ("/runs", {}),
        ("/runs", {"format": "html"}),
        ("/runs", {"after": to_hex(run.run_id)}),
    ],
    "/runs/{run_id}": pages_of_run("/runs/{run}"),
    "/runs/{run_id}/records": lambda run: [
        *pages_of_run("/runs/{run}/records", "0", "3")(run),
        (f"/runs/{to_hex(run.run_id)}/records", {"type": "batch"}),
    ],
    "/runs/{run_id}/records/{index}": of_run("/runs/{run}/records/2"),
    "/records/{digest}": lambda run: [(f"/records/{run.records()[2].digest}", {})],
    "/runs/{run_id}/heads": pages_of_run("/runs/{run}/heads", "0"),
    "/runs/{run_id}/proofs": pages_of_run("/runs/{run}/proofs", "0.0"),
    "/runs/{run_id}/proofs/{epoch}/{chunk}": of_run("/runs/{run}/proofs/0/0"),
    "/datasets": lambda run: [
        ("/datasets", {}),
        ("/datasets", {"after": run.records()[0].fields["dataset"]["dataset_id"]}),
    ],
    "/datasets/{dataset_id}": lambda run: [
        (f"/datasets/{run.records()[0].fields['dataset']['dataset_id']}", {})
    ],
    "/releases": lambda run: [
        ("/releases", {}),
        ("/releases", {"after": f"{to_hex(run.run_id)}.0"}),
    ],
    "/search": lambda run: [("/search", {"q": each}) for each in handles(run)],
    "/tx/{tx_hash}": lambda run: both(f"/tx/{to_hex(head_of(run).tx_hash)}"),
    "/block/{block}": lambda run: both(f"/block/{head_of(run).block_number}"),
    "/address/{address}": lambda run: both(f"/address/{run.records()[0].fields['signer']}"),
    "/keys": lambda _: both("/keys"),
    "/keys/{vk_id}": lambda run: both(f"/keys/{run.lab.deployment.key('epoch').vk_id}"),
    "/revocations": lambda _: both("/revocations"),
    "/push/{run_id}": of_run("/push/{run}"),
    "/push/{run_id}/journal": of_run("/push/{run}/journal"),
    "/push/{run_id}/files/{name:path}": of_run("/push/{run}/files/heads.jsonl"),
    "/push/{run_id}/check": of_run("/push/{run}/check"),
    "/healthz": plain("/healthz"),
    "/version": plain("/version"),
    "/.well-known/provenance-trust.yaml": plain("/.well-known/provenance-trust.yaml"),
    "/openapi.json": plain("/openapi.json"),
    "/static": plain("/static/site.css"),
}
# What acme sees of its run: without this the comparison would say nothing.
UNCHANGED = {
    "/version",
    "/.well-known/provenance-trust.yaml",
    "/openapi.json",
    "/static",
    "/healthz",  # it counts what everybody sees
    "/releases",  # the run has none
    "/keys",
    "/revocations",  # the run has none
    "/push/{run_id}/journal",  # nothing is read there
    "/push/{run_id}/files/{name:path}",
    "/push/{run_id}/check",
}


def paths(app: Any) -> set[str]:
    """Every route of an application or router; a kind that is not known here is an error."""
    found = set()
    for route in app.routes:
        if hasattr(route, "original_router"):  # what FastAPI includes
            found |= paths(route.original_router)
            continue
        assert isinstance(route, Route | Mount), route
        found.add(route.path)
    return found


def answer(
    client: TestClient, method: str, ask: Ask, headers: dict[str, str], body: Any = None
) -> tuple[Any, ...]:
    path, query = ask
    got = client.request(
        method, path, params=query, headers=headers, json=body, follow_redirects=False
    )
    return got.status_code, sorted(got.headers.items()), got.content


@pytest.fixture
def world(make_world: Callable[..., World], unreleased: Run, twice: Run, hostile: Run) -> World:
    """acme pushed an unreleased run and has a released one, bolt a released one."""
    return make_world(pushed=[unreleased], acme=[twice], bolt=[hostile])


@pytest.fixture
def bare(make_world: Callable[..., World], twice: Run, hostile: Run) -> World:
    """The same service, where acme has no unreleased run."""
    return make_world(acme=[twice], bolt=[hostile])


def test_every_route_has_a_rule(world: World) -> None:
    app = world.client.app
    assert isinstance(app, FastAPI)
    assert paths(app) == set(RULES)


def test_a_route_without_a_rule_is_found() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.get("/secrets/{secret_id}")(lambda secret_id: secret_id)
    router = APIRouter()
    router.get("/hidden/{secret_id}")(lambda secret_id: secret_id)
    app.include_router(router)
    assert paths(app) - set(RULES) == {"/secrets/{secret_id}", "/hidden/{secret_id}"}


def test_what_others_did_not_release_is_as_if_it_were_not_there(
    world: World, bare: World, unreleased: Run
) -> None:
    body = manifest_of(unreleased.folder.release).to_json()
    counted, spared = Statements(world.store.service), Statements(bare.store.service)
    for tenant in (None, BOLT):
        given, other = world.headers(tenant), bare.headers(tenant)
        for route, asks in RULES.items():
            for number, ask in enumerate(asks(unreleased)):
                for method in METHODS if number == 0 else METHODS[:1]:
                    before = counted.count, spared.count
                    sent = body if method == "POST" else None
                    left = answer(world.client, method, ask, given, sent)
                    right = answer(bare.client, method, ask, other, sent)
                    assert left == right, (tenant, route, method, ask)
                    work = counted.count - before[0], spared.count - before[1]
                    assert work[0] == work[1], (tenant, route, method, ask, work)


def test_its_own_tenant_sees_it(world: World, bare: World, unreleased: Run) -> None:
    given, other = world.headers(ACME), bare.headers(ACME)
    differ = set()
    for route, asks in RULES.items():
        left, right = (
            [answer(each.client, "GET", ask, headers)[::2] for ask in asks(unreleased)]
            for each, headers in ((world, given), (bare, other))
        )
        if left != right:
            differ.add(route)
    assert differ == set(RULES) - UNCHANGED


def test_a_revocation_does_not_tell_whose_folder_is_here(
    make_world: Callable[..., World], revoked: Run, hostile: Run, tmp_path: Path
) -> None:
    """The attack: ask which of the revoked runs this service has a folder of."""
    kept = revoked.copy(tmp_path / "kept")
    kept.rewrite(lambda records: [r for r in records if r.type != "release"])
    there, bare = make_world(acme=[kept], bolt=[hostile]), make_world(bolt=[hostile])
    account = f"/address/{kept.records()[0].fields['signer']}"
    for ask in (*both("/revocations"), *both(account)):
        for tenant in (None, BOLT):
            left = answer(there.client, "GET", ask, there.headers(tenant))
            assert left == answer(bare.client, "GET", ask, bare.headers(tenant)), (tenant, ask)
        left = answer(there.client, "GET", ask, there.headers(ACME))
        assert left != answer(bare.client, "GET", ask, bare.headers(ACME)), ask


def test_a_verdict_that_its_tenant_saw_is_not_served_to_others(
    world: World, bare: World, unreleased: Run
) -> None:
    """The attack: ask for a verdict just after its tenant did, and get the kept one."""
    ask = (f"/verify/{unreleased.model}", {})
    seen = answer(world.client, "GET", ask, world.headers(ACME))
    for tenant in (None, BOLT):
        left = answer(world.client, "GET", ask, world.headers(tenant))
        assert left == answer(bare.client, "GET", ask, bare.headers(tenant))
        assert left[2] != seen[2]

"""Tokens: whose they are, when they open nothing, and that nothing of them is kept."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from provenance.errors import NotFound
from provenance.ids import to_hex
from provenance_api.db import Database, acting_for
from provenance_api.tenants.tokens import BadToken, Tokens
from tests.api.tenants.conftest import ACME, BOLT, World
from tests.support.service import ClientFactory, Store
from tests.support.spine import Run


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def altered(token: str) -> str:
    return token[:-1] + ("A" if token[-1] != "A" else "B")


def test_a_token_acts_for_its_tenant(store: Store) -> None:
    made = Tokens(store.owner)
    acme, bolt = made.create(ACME, "a", None), made.create(BOLT, "b", None)
    asked = Tokens(store.service)
    assert asked.tenant_of(f"Bearer {acme}") == ACME
    assert asked.tenant_of(f"bearer {bolt} ") == BOLT


def test_what_opens_nothing_is_refused(store: Store) -> None:
    acme = Tokens(store.owner).create(ACME, "a", None)
    other = Tokens(store.owner).create(ACME, "a", None)
    mixed = "_".join([*acme.split("_")[:2], other.split("_", 2)[2]])
    unknown = "pvt_" + "0" * 16 + acme[20:]
    for given in (
        "",
        "Bearer",
        acme,
        f"Basic {acme}",
        f"Bearer {altered(acme)}",
        f"Bearer {mixed}",
        f"Bearer {unknown}",
        f"Bearer {acme} {acme}",
        f"Bearer {acme}\0",
        "Bearer " + "x" * 10_000,
    ):
        with pytest.raises(BadToken):
            Tokens(store.service).tenant_of(given)


def test_an_expired_token_opens_nothing(store: Store) -> None:
    clock = Clock()
    token = Tokens(store.owner, clock).create(ACME, "a", 2_000)
    asked = Tokens(store.service, clock)
    clock.now = 1_999.9
    assert asked.tenant_of(f"Bearer {token}") == ACME
    clock.now = 2_000.0
    with pytest.raises(BadToken):
        asked.tenant_of(f"Bearer {token}")


def test_a_revoked_token_opens_nothing_at_once(store: Store) -> None:
    made, asked = Tokens(store.owner), Tokens(store.service)
    token, kept = made.create(ACME, "a", None), made.create(ACME, "b", None)
    assert asked.tenant_of(f"Bearer {token}") == ACME
    token_id = token.split("_")[1]
    first = made.revoke(ACME, token_id)
    assert made.revoke(ACME, token_id) == first  # again changes nothing
    with pytest.raises(BadToken):
        asked.tenant_of(f"Bearer {token}")
    assert asked.tenant_of(f"Bearer {kept}") == ACME
    assert [each.revoked is None for each in made.listed(ACME) if each.name == "b"] == [True]


def test_tokens_of_another_tenant_are_neither_listed_nor_revoked(store: Store) -> None:
    made = Tokens(store.owner)
    token = made.create(ACME, "a", None)
    assert made.listed(BOLT) == []
    with pytest.raises(NotFound):
        made.revoke(BOLT, token.split("_")[1])
    assert Tokens(store.service).tenant_of(f"Bearer {token}") == ACME


def test_the_database_has_no_token(store: Store) -> None:
    token = Tokens(store.owner).create(ACME, "a", None)
    secret = token.split("_", 2)[2]
    with acting_for(ACME), store.owner.session() as session:
        [row] = session.execute(text("SELECT * FROM tokens")).all()
    assert secret not in repr(row)
    assert all(secret.encode() not in value for value in row if isinstance(value, bytes))


@pytest.mark.parametrize("path", ["/", "/runs", "/healthz", "/static/site.css", "/none"])
def test_a_bad_token_is_a_401_wherever_it_is_sent(world: World, path: str) -> None:
    revoked = world.token(ACME)
    Tokens(world.store.owner).revoke(ACME, revoked.split("_")[1])
    expired = Tokens(world.store.owner).create(ACME, "old", 1)
    answers = []
    for given in (revoked, expired, altered(world.token(ACME)), "nonsense"):
        found = world.client.get(path, headers={"authorization": f"Bearer {given}"})
        assert found.status_code == 401
        assert found.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert found.headers["x-frame-options"] == "DENY"
        assert given not in found.text
        answers.append((sorted(found.headers.items()), found.json()))
    assert answers[0][1]["type"] == "urn:provenance:problem:bad-token"
    assert all(each == answers[0] for each in answers)


def test_two_tokens_in_one_request_open_nothing(world: World, unreleased: Run) -> None:
    """The attack: a proxy looks at one of two headers, and this service at the other."""
    path = f"/runs/{to_hex(unreleased.run_id)}"
    acme, bolt = world.headers(ACME)["authorization"], world.headers(BOLT)["authorization"]
    for pair in ((acme, bolt), (acme, acme), (acme, ""), (acme, "Basic abc")):
        headers = [("authorization", each) for each in pair]
        assert world.client.get(path, headers=headers).status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer ", "Bearer\t", "Bearer\xa0", "Bearer  ", "Béarer "])
def test_a_header_of_any_bytes_is_answered(world: World, scheme: str) -> None:
    for value in (scheme, scheme + "\xff" * 99, scheme + "pvt_" + "é" * 60, "x" * 60_000):
        headers = [(b"authorization", value.encode("latin-1"))]
        assert world.client.get("/runs", headers=headers).status_code == 401


def test_caches_keep_no_answer_for_another(world: World, unreleased: Run) -> None:
    digest = unreleased.records()[2].digest
    own = world.client.get(f"/records/{digest}", headers=world.headers(ACME))
    assert own.status_code == 200
    assert own.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "Authorization" in own.headers["vary"]
    public = world.client.get("/runs")
    assert "Authorization" in public.headers["vary"]
    assert public.headers["cache-control"] == "no-cache"


def test_a_database_that_does_not_answer_opens_nothing(
    world: World, make_client: ClientFactory
) -> None:
    headers = world.headers(ACME)
    client = make_client(
        database=Database("postgresql://127.0.0.1:9/nothing"),
        others={ACME: (world.folders[ACME],)},
    )
    assert client.get("/version").status_code == 200
    assert client.get("/version", headers=headers).status_code == 503


def test_one_tenant_asks_for_no_token(
    make_client: ClientFactory, honest: Run, unreleased: Run
) -> None:
    """As before: whoever reaches the service sees what it has, whatever header a proxy adds."""
    client = make_client(unreleased.folder.root)
    for headers in ({}, {"authorization": "Basic abc"}, {"authorization": "Bearer nonsense"}):
        answer = client.get(f"/runs/{to_hex(unreleased.run_id)}", headers=headers)
        assert answer.status_code == 200
        assert "Authorization" not in answer.headers["vary"]

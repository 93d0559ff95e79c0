"""`POST /add-checkpoint` over HTTP: statuses and types of C2SP, bounded bodies, nothing private."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from provenance.log.witness.cosignature import Cosignature
from provenance.log.witness.note import SignatureLine
from provenance.log.witness.request import MAX_REQUEST_BYTES
from provenance.merkle import Tree
from provenance_api import bodies
from provenance_api.routes import witness as routes
from provenance_api.witness import create_witness_app
from tests.core.witness.test_service import Place, body, place, stranger
from tests.support.core.witnesses import text_of
from tests.support.memory_run import DOMAIN

__all__ = ["place"]  # the fixture


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    with TestClient(create_witness_app(place.witness())) as client:
        yield client


def post(client: TestClient, data: bytes) -> Any:
    return client.post("/add-checkpoint", content=data)


def test_a_cosignature_is_a_line_of_text(client: TestClient, place: Place) -> None:
    answer = post(client, body(place.head()))
    assert (answer.status_code, answer.headers["content-type"][:10]) == (200, "text/plain")
    found = Cosignature.read(SignatureLine.parse(answer.text[:-1]), place.signer.key)
    assert found is not None
    assert found.is_of(text_of(place.head(), DOMAIN))


def test_each_refusal_has_its_status(client: TestClient, place: Place) -> None:
    assert post(client, body(place.head(5))).status_code == 200
    answer = post(client, body(place.head(5)))
    assert (answer.status_code, answer.text) == (409, "5\n")
    assert answer.headers["content-type"] == "text/x.tlog.size"
    fork = Tree([bytes([i]) * 32 for i in range(9)])
    proof = tuple(fork.consistency_proof(5, 9))
    for data, status in (
        (b"nonsense", 400),
        (body(place.head(4), old=5), 400),
        (stranger(place), 403),
        (body(place.head()).replace(b"model-", b"other-"), 404),
        (body(place.head(9), old=5, proof=proof), 422),
        (body(place.head(9), old=5), 422),
    ):
        answer = post(client, data)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text.endswith("\n")
        assert answer.text.count("\n") == 1
    assert client.get("/add-checkpoint").status_code == 405
    assert client.get("/nothing").status_code == 404


@pytest.mark.parametrize("length_is_told", [True, False])
def test_a_large_body_is_refused_and_the_next_one_is_served(
    client: TestClient,
    place: Place,
    length_is_told: bool,
) -> None:
    large = b"x" * (MAX_REQUEST_BYTES + 1)
    given: Any = large if length_is_told else iter([large[:1000]] * 1000)
    answer = client.post("/add-checkpoint", content=given)
    assert answer.status_code == 413
    assert post(client, body(place.head())).status_code == 200


def test_faults_of_the_witness_tell_nothing_private(
    client: TestClient,
    place: Place,
) -> None:
    heads = place.memory._heads
    heads.rmdir()
    heads.write_text("no folder")
    answer = post(client, body(place.head()))
    assert answer.status_code == 500
    assert str(heads.parent) not in answer.text
    assert "— " not in answer.text  # no signature
    place.run.chain.down = True
    assert post(client, body(place.head())).status_code == 503


def test_only_so_many_wait_for_the_chain(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routes, "AT_A_TIME", 1)
    witness, began, free = place.witness(), threading.Event(), threading.Event()
    snapshot = witness._snapshot

    def slow() -> Any:
        began.set()
        assert free.wait(20)
        return snapshot()

    monkeypatch.setattr(witness, "_snapshot", slow)
    statuses: list[int] = []
    with TestClient(create_witness_app(witness)) as client:
        first = threading.Thread(
            target=lambda: statuses.append(post(client, body(place.head())).status_code)
        )
        first.start()
        assert began.wait(20)
        assert post(client, body(place.head())).status_code == 503
        free.set()
        first.join(20)
        assert statuses == [200]
        assert post(client, body(place.head(), old=12)).status_code == 200


def test_a_body_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setattr(bodies, "BODY_S", 0.05)
    app = create_witness_app(None)  # type: ignore[arg-type]
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/add-checkpoint",
        "raw_path": b"/add-checkpoint",
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
    }
    began = time.monotonic()
    asyncio.run(app(scope, receive, send))
    assert time.monotonic() - began < 10
    assert sent[0]["status"] == 408

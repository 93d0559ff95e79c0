"""Pushing to servers that say what is not so, and past proxies that listen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provenance.errors import Conflict, UnavailableError
from provenance.push.copy import NOTHING, Received
from provenance.push.sending import Pushing, send
from provenance.push.service import Held, PushService
from tests.api.pushing.conftest import Box
from tests.api.pushing.test_push_command import answering
from tests.support.spine import Run


@pytest.fixture
def kind() -> str:
    return "sqlite"


class Liar:
    """Takes everything, and says of it what a test wants."""

    def __init__(self, told: Callable[[Received], Received], files: dict[str, str]) -> None:
        self.told, self.files, self.have = told, files, NOTHING

    def held(self) -> Held:
        return Held(self.have, self.files)

    def append(self, offset: int, piece: bytes) -> Received:
        return self.told(Received(offset + len(piece), 1, bytes(32)))

    def put(self, name: str, data: bytes) -> None:
        pass


def test_another_answer_than_what_was_sent_is_no_success(honest: Run) -> None:
    with pytest.raises(Conflict, match="something else"):
        send(honest.folder, Liar(lambda received: received, {}))


def test_files_that_were_not_kept_are_no_success(box: Box, honest: Run) -> None:
    service = box.service(honest)
    pushing = Pushing(honest.folder, service)
    pushing.push()
    box.pushed(honest).joinpath("heads.jsonl").unlink()
    with pytest.raises(UnavailableError, match="does not have what was sent"):
        pushing.confirm()


@pytest.mark.parametrize(
    "body",
    [
        b'{"records": 1, "heads": 0, "anchored": 0, "faults": []}',
        b'{"records": 99, "heads": 0, "anchored": 0, "faults": {}}',
        b'{"records": 99, "heads": 0, "anchored": 0, "faults": ""}',
        b'{"records": 99, "heads": true, "anchored": 0, "faults": []}',
    ],
)
def test_a_check_of_less_than_was_sent_is_none(honest: Run, body: bytes) -> None:
    with answering(200, body) as url:
        service = PushService(url, honest.run_id, "token", pause=lambda _: None)
        with pytest.raises(UnavailableError):
            service.check(14)
        with pytest.raises(UnavailableError):
            service.put("heads.jsonl", b"")  # a page of somebody's hotel
        service.close()


def test_no_proxy_and_no_other_server_gets_the_token(
    honest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(200, b"{}") as other:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, other)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        service = PushService("http://127.0.0.1:9", honest.run_id, "t", pause=lambda _: None)
        with pytest.raises(UnavailableError, match="does not answer"):
            service.held()
        service.close()
        with answering(307, b"", Location=f"{other}/elsewhere") as url:
            service = PushService(url, honest.run_id, "t", pause=lambda _: None)
            with pytest.raises(UnavailableError, match="otherwise"):
                service.held()
            service.close()


def test_an_endless_answer_ends(honest: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provenance.push.service.MAX_ANSWER_BYTES", 100)
    with answering(200, b" " * 200) as url:
        service = PushService(url, honest.run_id, "t", pause=lambda _: None)
        with pytest.raises(UnavailableError, match="too large"):
            service.held()
        service.close()

"""Asking a witness: what is sent, and what of hostile answers counts."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from provenance.errors import (
    AuthError,
    Conflict,
    InputError,
    NotFound,
    ProvenanceError,
    UnavailableError,
    VerificationError,
)
from provenance.ids import RunId
from provenance.log.c2sp import signed_checkpoint
from provenance.log.tree import Head
from provenance.log.witness.note import Note
from provenance.log.witness.request import AddCheckpoint
from provenance.merkle import Tree
from provenance.signing import sign_head
from provenance.witness.client import MAX_ANSWER_BYTES, Answer, WitnessEndpoint, cosign
from tests.support.core.consistency import verify_consistency
from tests.support.core.witnesses import MadeWitness, text_of
from tests.support.memory_run import DOMAIN, KEY, OWNER

NOW = 1_800_000_000
A, B, STRANGER = (MadeWitness.make(f"witness.example/{name}") for name in "abs")
TREE = Tree(bytes([i]) * 32 for i in range(12))
HEAD = Head(RunId(b"\x07" * 32), 9, TREE.root(9))
TEXT = text_of(HEAD, DOMAIN)
NOTE = Note.parse(signed_checkpoint(HEAD, DOMAIN, OWNER, sign_head(KEY, HEAD, DOMAIN)).encode())
GOOD = A.line(TEXT, NOW) + "\n"


def signed(text: str) -> Answer:
    return Answer(200, "text/plain", text.encode())


def size(text: str, kind: str = "text/x.tlog.size") -> Answer:
    return Answer(409, kind, text.encode())


def asked(*answers: Answer) -> tuple[list[AddCheckpoint], Callable[[], list[str]]]:
    requests: list[AddCheckpoint] = []
    left = list(answers)

    def ask(request: AddCheckpoint) -> Answer:
        requests.append(AddCheckpoint.parse(request.to_bytes()))
        return left.pop(0)

    def run() -> list[str]:
        return [c.witness.name for c in cosign(ask, NOTE, TREE, [A.key, B.key], NOW)]

    return requests, run


def test_a_witness_that_never_saw_the_log_is_asked_once() -> None:
    requests, run = asked(signed(GOOD))
    assert run() == [A.name]
    assert requests == [AddCheckpoint(0, (), NOTE)]


@pytest.mark.parametrize("old", [1, 4, 8, 9])
def test_one_that_did_is_sent_the_proof_from_there(old: int) -> None:
    requests, run = asked(size(f"{old}\n"), signed(GOOD))
    assert run() == [A.name]
    again = requests[1]
    assert (len(requests), again.old, again.note) == (2, old, NOTE)
    verify_consistency(old, HEAD.size, again.proof, TREE.root(old), HEAD.root)


def test_it_is_not_asked_a_third_time() -> None:
    requests, run = asked(size("4\n"), size("5\n"), signed(GOOD))
    with pytest.raises(Conflict, match="meanwhile"):
        run()
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (size("10\n"), Conflict),
        (size("x\n"), UnavailableError),
        (size("04\n"), UnavailableError),
        (size("\xff"), UnavailableError),
        (size("9" * 60_000), UnavailableError),
        (size("4\n", "text/plain"), Conflict),
        (Answer(400, "text/plain", b"no"), InputError),
        (Answer(403, "text/plain", b"no"), AuthError),
        (Answer(404, "text/plain", b"no"), NotFound),
        (Answer(422, "text/plain", b"no"), VerificationError),
        (Answer(500, "text/plain", b"\xff\x1b[2J"), UnavailableError),
        (Answer(301, "text/html", b""), UnavailableError),
        (Answer(204, "", b""), UnavailableError),
    ],
    ids=repr,
)
def test_refusals_say_what_they_are(answer: Answer, error: type[ProvenanceError]) -> None:
    _, run = asked(answer)
    with pytest.raises(error) as caught:
        run()
    assert type(caught.value) is error
    assert len(str(caught.value)) < 500
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense\n",
        STRANGER.line(TEXT, NOW),
        A.line(TEXT.replace("\n9\n", "\n8\n"), NOW),
        A.line(TEXT, NOW + 1),
        A.line(TEXT, NOW).replace("— ", "- "),
        MadeWitness(A.name, STRANGER.private).line(TEXT, NOW),
        MadeWitness(STRANGER.name, A.private).line(TEXT, NOW),
    ],
)
def test_only_cosignatures_of_this_head_by_known_keys_count(text: str) -> None:
    _, run = asked(signed(text))
    with pytest.raises(VerificationError, match="no cosignature of this head"):
        run()
    _, run = asked(signed(f"{text}\n{GOOD}{text}\n"))
    assert run() == [A.name]


def test_two_witnesses_behind_one_url_count_once_each() -> None:
    _, run = asked(signed(GOOD + B.line(TEXT, NOW) + "\n" + GOOD))
    assert run() == [A.name, B.name]


@contextmanager
def serving(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/secret-path"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def endless(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(MAX_ANSWER_BYTES // 1000 + 100):
        handler.wfile.write(b"x" * 1000)


def slow(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def slow_headers(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(60):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def halted(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "9")
    handler.end_headers()
    handler.wfile.write(b"x")
    time.sleep(1.5)


def elsewhere(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(307)
    handler.send_header("Location", "http://127.0.0.1:9/")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def silent(handler: http.server.BaseHTTPRequestHandler) -> None:
    time.sleep(1.5)


@pytest.mark.parametrize("answer", [endless, slow, slow_headers, halted, silent])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_answer_without_end_is_not_waited_for(
    answer: Callable[[http.server.BaseHTTPRequestHandler], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    with serving(answer) as url:
        endpoint = WitnessEndpoint(url, timeout_s=0.5)
        began = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            endpoint.ask(AddCheckpoint(0, (), NOTE))
        assert time.monotonic() - began < 2.5
        assert "secret-path" not in str(caught.value)


def test_a_redirect_is_not_followed() -> None:
    with serving(elsewhere) as url:
        assert WitnessEndpoint(url).ask(AddCheckpoint(0, (), NOTE)).status == 307


@pytest.mark.parametrize(
    "url",
    ["", "w.example", "file:///etc/passwd", "http://", "http://h:x/", "http://h/?a", "ftp://h"],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="URL of a witness"):
        WitnessEndpoint(url)

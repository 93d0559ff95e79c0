"""How an endpoint refuses, each in words of its own; and how long one that says "later" is waited
for.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from provenance.chain import endpoint as endpoint_module
from provenance.chain.answers import Reply, RpcError, later
from provenance.chain.endpoint import PATIENT, Endpoint, Patience
from provenance.errors import RejectedError, UnavailableError
from tests.support.processes.loopback import served

PATH = "/v3/0123456789abcdef"
RESULT = object()  # stands for the honest answer


@dataclass(frozen=True)
class Answer:
    """One scripted answer: status, headers, and the body or what writes it."""

    status: int = 200
    body: Any = RESULT
    headers: dict[str, str] = field(default_factory=dict)


class Script:
    """A loopback endpoint that gives scripted answers, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [Answer()]
        self.requests: list[bytes] = []
        self.paths: list[str] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                script.paths.append(self.path)
                script.requests.append(body)
                at = min(len(script.requests), len(script.answers)) - 1
                self._send(script.answers[at], json.loads(body))

            def do_GET(self) -> None:  # only after a redirect was followed
                script.paths.append(self.path)
                self.send_error(500)

            def _send(self, answer: Answer, request: dict[str, Any]) -> None:
                self.send_response_only(answer.status)  # without a date of today
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if callable(answer.body):
                    self.end_headers()
                    self.close_connection = True
                    answer.body(self.wfile)
                    return
                data = answer.body
                if not isinstance(data, bytes):
                    shown = {"result": "0x7"} if data is RESULT else {"error": data}
                    data = json.dumps({"jsonrpc": "2.0", "id": request["id"], **shown}).encode()
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.port = self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Client:
    """An endpoint whose waits are noted, not slept."""

    def __init__(self, port: int, patience: Patience = PATIENT) -> None:
        self.said: list[str] = []
        self.slept: list[float] = []

        def say(text: str, *_: object) -> None:
            self.said.append(text)

        url = f"http://me:secret-word@127.0.0.1:{port}{PATH}?token=fedcba9876543210"
        self.endpoint = Endpoint(url, 5.0, patience, say, self.slept.append)

    def __call__(self, method: str = "eth_chainId") -> Any:
        return self.endpoint.request(method)

    def refused(self, method: str = "eth_chainId") -> str:
        with pytest.raises(UnavailableError) as caught:
            self(method)
        text = str(caught.value)
        for secret in ("0123456789abcdef", "fedcba9876543210", "secret-word", "me:"):
            assert secret not in text
            assert not any(secret in line for line in self.said)
        return text


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    yield script
    script.close()


@pytest.fixture
def client(script: Script) -> Iterator[Client]:
    client = Client(script.port)
    yield client
    client.endpoint.close()


LIMIT = {"code": -32005, "message": "daily request count exceeded, request rate limited"}
BUSY = [
    Answer(429, b'{"error":"too many"}', {"Retry-After": "3"}),
    Answer(503, b"", {"Retry-After": "3"}),
    Answer(200, LIMIT, {"Retry-After": "3"}),
    Answer(400, LIMIT, {"Retry-After": "3"}),
    Answer(200, {**LIMIT, "data": {"rate": {"backoff_seconds": 3.0}}}),
    Answer(200, {"code": -32000, "message": "Too Many Requests"}, {"Retry-After": "3"}),
    Answer(
        429,
        b"",
        {
            "Date": "Wed, 01 Jan 2020 00:00:00 GMT",
            "Retry-After": "Wed, 01 Jan 2020 00:00:03 GMT",
        },
    ),
]


@pytest.mark.parametrize("busy", BUSY, ids=lambda a: f"{a.status} {a.body!r}"[:40])
def test_later_waits_as_long_as_it_is_asked_and_sends_the_same_bytes(
    script: Script, client: Client, busy: Answer
) -> None:
    script.answers = [busy, busy, Answer()]
    assert client("eth_sendRawTransaction") == "0x7"
    assert len(client.slept) == 2
    assert all(3 <= pause <= 3 * 1.25 for pause in client.slept)
    assert len(client.said) == 2
    assert f"http://127.0.0.1:{script.port}: " in client.said[0]
    assert "waiting 3 s" in client.said[0] or "waiting 4 s" in client.said[0]
    assert len(set(script.requests)) == 1
    assert set(script.paths) == {f"{PATH}?token=fedcba9876543210"}


def test_without_a_time_waits_double_up_to_a_bound(script: Script, client: Client) -> None:
    script.answers = [Answer(429, b"")]
    text = client.refused()
    assert "endpoint limits requests" in text
    assert "HTTP 429 Too Many Requests, asked 9 times" in text
    least = [1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0, 15.0]
    assert len(client.slept) == len(least)
    assert all(a <= b <= a * 1.25 for a, b in zip(least, client.slept, strict=True))


@pytest.mark.parametrize("asked", ["3600", "999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_who_asks_for_too_much_is_not_waited_for(
    script: Script, client: Client, asked: str
) -> None:
    script.answers = [Answer(429, b"", {"Retry-After": asked})]
    assert "asks for" in client.refused()
    assert client.slept == []


@pytest.mark.parametrize("asked", ["-1", "soon", "1e9", "٣", "nan", "", "0"])
def test_a_time_that_is_none_is_not_believed(script: Script, client: Client, asked: str) -> None:
    assert later(Reply(429, {"retry-after": asked}, b"", "")) in (
        later(Reply(429, {}, b"", "")),
        later(Reply(429, {"retry-after": "0"}, b"", "")),
    )


def test_all_waits_of_a_request_have_one_bound(script: Script) -> None:
    client = Client(script.port, Patience(100, 10.0))
    script.answers = [Answer(429, b"", {"Retry-After": "3"})]
    client.refused()
    client.endpoint.close()
    assert 2 <= len(client.slept) <= 3
    assert sum(client.slept) <= 10


def test_after_patience_ran_out_the_next_request_asks_once(script: Script, client: Client) -> None:
    script.answers = [Answer(429, b"", {"Retry-After": "100"})]
    client.refused()
    asked = len(script.requests)
    client.refused()
    assert len(script.requests) == asked + 1
    script.answers = [Answer()]
    assert client() == "0x7"
    script.requests.clear()
    script.answers = [Answer(429, b"", {"Retry-After": "1"}), Answer()]
    assert client() == "0x7"


@pytest.mark.parametrize(
    "error",
    [
        {"code": 3, "message": "execution reverted: rate limit", "data": "0x"},
        {"code": -32000, "message": "execution reverted: too many requests"},
        {"code": -32000, "message": "nonce too low"},
    ],
    ids=str,
)
def test_what_a_contract_says_is_never_a_limit(
    script: Script, client: Client, error: dict[str, Any]
) -> None:
    script.answers = [Answer(200, error)]
    with pytest.raises(RpcError):
        client()
    assert client.slept == []


PAGE = b"<!DOCTYPE html><html><body>Sign in to continue</body></html>"
REFUSALS: list[tuple[Answer, str]] = [
    (Answer(401, b'{"error":"invalid project id"}'), "access key, actual HTTP 401"),
    (Answer(401, b'{"error":"invalid project id"}'), "invalid project id"),
    (Answer(403, PAGE), "refuses access"),
    (Answer(404, b""), "no JSON-RPC at this path"),
    (Answer(405, b""), "HTTP 405"),
    (Answer(418, b""), "HTTP 418"),
    (Answer(500, b"oops"), "out of order"),
    (Answer(502, PAGE), "HTTP 502 Bad Gateway"),
    (Answer(599, b""), "HTTP 599"),
    (Answer(301, b"", {"Location": "/elsewhere"}), "redirects"),
    (Answer(308, b"", {"Location": "/elsewhere"}), "redirects"),
    (Answer(200, PAGE, {"Content-Type": "text/html"}), "a web page, not JSON-RPC"),
    (Answer(200, PAGE), "a web page, not JSON-RPC"),
    (Answer(200, b""), "an empty answer"),
    (Answer(200, b'{"jsonrpc": "2.0", "res'), "sent no JSON"),
    (Answer(200, b"[" * 100_000), "sent no JSON"),
    (Answer(200, b'"rate reached"'), "the text \"'rate reached'\""),
    (Answer(200, b"[1]"), 'the list "[1]"'),
    (Answer(200, b"7"), 'the number "7"'),
    (Answer(200, b"null"), 'the value "null"'),
    (Answer(200, b"{}"), "no member"),
    (Answer(200, b'{"jsonrpc": "2.0", "id": 1}'), 'an object with the members "jsonrpc, id"'),
    (Answer(401, b'{"error": "no such key 0123456789abcdef"}'), "no such key (key)"),
]


@pytest.mark.parametrize(
    ("answer", "words"), REFUSALS, ids=[f"{a.status} {w}" for a, w in REFUSALS]
)
def test_each_refusal_has_its_own_words(
    script: Script, client: Client, answer: Answer, words: str
) -> None:
    script.answers = [answer]
    text = client.refused()
    assert words in text
    assert f"http://127.0.0.1:{script.port} eth_chainId" in text
    assert len(script.requests) == 1
    assert script.paths == [f"{PATH}?token=fedcba9876543210"]


def test_an_error_of_json_rpc_may_come_with_status_400_but_not_with_500(
    script: Script, client: Client
) -> None:
    error = {"code": -32602, "message": "limited to a 10 block range of 0123456789abcdef"}
    script.answers = [Answer(400, error)]
    with pytest.raises(RejectedError, match=r"10 block range of \(key\)"):
        client()
    script.answers = [Answer(500, error)]
    assert "HTTP 500" in client.refused()


def test_an_endless_answer_is_cut(
    script: Script, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_module, "MAX_ANSWER_BYTES", 1 << 18)

    def endless(out: Any) -> None:
        with contextlib.suppress(OSError):  # until the client hangs up
            while True:
                out.write(b" " * 65536)

    script.answers = [Answer(200, endless)]
    assert "too large" in client.refused()


def test_an_answer_that_trickles_is_cut(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock jumps between two bytes, so nobody has to wait."""
    now = [0.0]
    monkeypatch.setattr(endpoint_module.time, "monotonic", lambda: now[0])
    client = Client(script.port)

    def trickle(out: Any) -> None:
        out.write(b"{")
        out.flush()
        now[0] += 6.0
        out.write(b"}")

    script.answers = [Answer(200, trickle)]
    assert "no whole answer within 5 s" in client.refused()
    client.endpoint.close()


DRIPS = {
    "a header without end": b"x",
    "headers without end": b"X-a: b\r\n",
    "answers that announce another": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.parametrize("name", DRIPS)
def test_headers_that_drip_are_cut(name: str) -> None:
    """Each piece comes within the timeout, so only the time in all ends it."""
    begins = {"answers that announce another": b""}.get(name, b"HTTP/1.1 200 OK\r\nX: ")

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):  # until the client hangs up
            connection.recv(1 << 16)
            connection.sendall(begins)
            for _ in range(60):
                connection.sendall(DRIPS[name])
                time.sleep(0.05)

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        endpoint, begin = Endpoint(f"http://127.0.0.1:{server.getsockname()[1]}", 0.3), time.time()
        with pytest.raises(UnavailableError, match=r"no whole answer within 0\.3 s"):
            endpoint.request("eth_chainId")
        assert time.time() - begin < 2.5
        endpoint.close()
        thread.join()


def test_a_connection_is_used_again_with_a_time_of_its_own() -> None:
    """What one answer left of its time is not the next one's."""
    ports: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            ports.append(self.client_address[1])
            time.sleep(0.2)
            self.send_response_only(200)
            self.send_header("Content-Length", "16")
            self.end_headers()
            self.wfile.write(b'{"result":"0x7"}')

        def log_message(self, *args: object) -> None:
            return

    with served(Handler) as url:
        endpoint = Endpoint(url, 0.5)
        assert [endpoint.request("eth_chainId") for _ in range(4)] == ["0x7"] * 4
        endpoint.close()
    assert len(ports) == 4
    assert len(set(ports)) == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{port}", "nothing listens at this address (start it"),
        ("http://node.invalid/v3/0123456789abcdef", "no host of this name is known (check"),
        ("https://127.0.0.1:{open}", "TLS"),
    ],
)
def test_who_cannot_be_reached_is_said_with_the_reason(
    script: Script, url: str, words: str
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        endpoint = Endpoint(url.format(port=port, open=script.port), 5.0)
        with pytest.raises(UnavailableError) as caught:
            endpoint.request("eth_chainId")
        endpoint.close()
    assert words in str(caught.value)
    assert "0123456789abcdef" not in str(caught.value)


def test_silence_is_told_from_refusal_and_nothing_is_repeated() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        endpoint = Endpoint(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.05)
        with pytest.raises(UnavailableError, match=r"no whole answer within 0\.05 s"):
            endpoint.request("eth_sendRawTransaction")
        endpoint.close()
        silent.settimeout(0.05)
        first, _ = silent.accept()
        first.close()
        with pytest.raises(TimeoutError):
            silent.accept()


@pytest.mark.parametrize(
    ("message", "is_known"),
    [
        ("already known", True),
        ("ALREADY_EXISTS: already known", True),
        ("Transaction with the same hash was already imported.", True),
        ("Known transaction", True),
        ("nonce too low", False),
        ("unknown account", False),
        ("replacement transaction underpriced", False),
    ],
)
def test_only_the_very_same_transaction_counts_as_known(message: str, is_known: bool) -> None:
    assert RpcError("eth_sendRawTransaction", {"message": message}).is_known is is_known

"""Loopback proxies before a node: one that limits requests, and one that alters answers."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.processes.loopback import served

Alter = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any] | None]
"""From request and honest answer to the answer that is given; None to hang up instead."""


class _Forwarding(BaseHTTPRequestHandler):
    node: str

    def do_POST(self) -> None:
        self.handle_call(self.rfile.read(int(self.headers["Content-Length"])))

    def handle_call(self, body: bytes) -> None:
        raise NotImplementedError

    def forward(self, body: bytes) -> bytes:
        request = urllib.request.Request(self.node, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return bytes(answer.read())

    def answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        return


@contextmanager
def limiting_proxy(node: str) -> Iterator[str]:
    """The URL of a proxy to the node at URL `node` that refuses every third request.

    A hosted endpoint may do so.
    """
    count = iter(range(1, 1 << 30))

    class Handler(_Forwarding):
        def handle_call(self, body: bytes) -> None:
            if next(count) % 3 == 0:
                self.answer(HTTPStatus.TOO_MANY_REQUESTS, b"", {"Retry-After": "0"})
                return
            self.answer(HTTPStatus.OK, self.forward(body), {"Content-Type": "application/json"})

    Handler.node = node
    with served(Handler) as url:
        yield url


def altering_proxy(node: str, alter: Alter) -> AbstractContextManager[str]:
    """The URL of a proxy to the node at URL `node` that alters answers."""

    class Handler(_Forwarding):
        def handle_call(self, body: bytes) -> None:
            given = alter(json.loads(body), json.loads(self.forward(body)))
            if given is None:
                self.close_connection = True
                return
            data = json.dumps(given).encode()
            self.answer(HTTPStatus.OK, data, {"Content-Type": "application/json"})

    Handler.node = node
    return served(Handler)

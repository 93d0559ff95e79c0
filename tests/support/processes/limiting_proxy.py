"""A loopback proxy before a node that refuses every third request, as a hosted endpoint may."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from tests.support.processes.loopback import served


@contextmanager
def limiting_proxy(node: str) -> Iterator[str]:
    """The URL of a proxy to the node at URL `node`."""
    count = iter(range(1, 1 << 30))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if next(count) % 3 == 0:
                self._answer(HTTPStatus.TOO_MANY_REQUESTS, b"", {"Retry-After": "0"})
                return
            request = urllib.request.Request(node, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request) as answer:
                self._answer(HTTPStatus.OK, answer.read(), {"Content-Type": "application/json"})

        def _answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            return

    with served(Handler) as url:
        yield url

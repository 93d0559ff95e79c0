"""What the service's tests share with their fixtures."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import uvicorn
from fastapi.testclient import TestClient

from provenance_api.db import Database
from provenance_api.state import AppState

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>"
REASON = "trained on <b>leaked</b> data"


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """An application on a port of its own, by its URL."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@dataclass(frozen=True)
class Store:
    """A prepared database, as the service and as its owner open it; on SQLite they are one."""

    service: Database
    owner: Database


StateFactory = Callable[..., AppState]
ClientFactory = Callable[..., TestClient]
HTML = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
VOID = {"meta", "link", "input", "img", "br"}


class Outline(HTMLParser):
    """Checks that tags nest, and collects what a test asks for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def page_of(client: TestClient, path: str) -> str:
    answer = client.get(path, headers=HTML)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    Outline(answer.text)
    return answer.text

"""What the service's tests share with their fixtures."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi.testclient import TestClient

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
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


StateFactory = Callable[..., AppState]
ClientFactory = Callable[..., TestClient]

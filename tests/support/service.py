"""What the service's tests share with their fixtures."""

from __future__ import annotations

from collections.abc import Callable

from fastapi.testclient import TestClient

from provenance_api.state import AppState

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>"
REASON = "trained on <b>leaked</b> data"

StateFactory = Callable[..., AppState]
ClientFactory = Callable[..., TestClient]

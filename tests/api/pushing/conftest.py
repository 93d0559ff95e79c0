"""A served application with an inbox, as those who push reach it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from provenance.ids import to_hex
from provenance.push.service import PushService
from provenance_api.app import create_app
from provenance_api.db import DEFAULT_TENANT
from provenance_api.tenants.tokens import Tokens
from tests.support.service import StateFactory, Store, serving
from tests.support.spine import Run


@dataclass(frozen=True)
class Box:
    """A service that takes pushes, at a URL."""

    url: str
    store: Store
    inbox: Path

    def token(self, tenant: str = DEFAULT_TENANT, *, may_push: bool = True) -> str:
        return Tokens(self.store.owner).create(tenant, "test", None, may_push=may_push)

    def service(self, run: Run, token: str | None = None) -> PushService:
        return PushService(self.url, run.run_id, token or self.token(), pause=lambda _: None)

    def ask(
        self,
        method: str,
        path: str,
        token: str | None = None,
        data: Any = b"",
        timeout: float = 30,
        **headers: str,
    ) -> requests.Response:
        """One request; `Upload_Offset` stands for the header `Upload-Offset`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return requests.request(
            method,
            f"{self.url}{path}",
            data=data,
            headers=sent,
            timeout=timeout,
            allow_redirects=False,
        )

    def pushed(self, run: Run, tenant: str = DEFAULT_TENANT) -> Path:
        """Where a run's evidence lies once it is pushed."""
        return self.inbox / tenant / to_hex(run.run_id) / "provenance"

    def files(self) -> dict[str, bytes]:
        """All files of the inbox but the locks."""
        found = (path for path in self.inbox.rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.inbox)): path.read_bytes()
            for path in found
            if ".locks" not in path.parts
        }


@pytest.fixture
def make_box(
    make_state: StateFactory, new_store: Callable[[], Store], tmp_path: Path
) -> Iterator[Callable[..., Box]]:
    """Serves applications with an inbox; the arguments are those of `AppState`."""
    with ExitStack() as stack:

        def make(**changes: Any) -> Box:
            store = new_store()
            inbox = tmp_path / f"inbox-{id(store):x}"
            changes = {"database": store.service, "inbox": inbox} | changes
            url = stack.enter_context(serving(create_app(make_state(**changes))))
            return Box(url, store, inbox)

        yield make


@pytest.fixture
def box(make_box: Callable[..., Box]) -> Box:
    return make_box()

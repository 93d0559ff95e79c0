"""How processes that train again begin in these tests."""

from __future__ import annotations

import multiprocessing

import pytest

from provenance_trainer.replay import process
from tests.trainer.children import start_server


@pytest.fixture(autouse=True)
def _loaded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a fork of one that loaded the libraries, which takes longer than a segment here."""
    if "spawned" not in request.fixturenames:
        start_server()
        monkeypatch.setattr(process, "_CONTEXT", multiprocessing.get_context("forkserver"))


@pytest.fixture
def spawned() -> None:
    """For tests of what such a process begins with: it begins as it does for users."""

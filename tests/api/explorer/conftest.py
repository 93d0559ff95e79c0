"""The chain as a service's endpoint tells it, honestly and otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi.testclient import TestClient

from provenance.chain.contracts import Reader
from provenance.chain.lookup import ChainLookup
from provenance.chain.rpc import Rpc
from tests.support.chain import Lab
from tests.support.processes.rpc_proxy import altering_proxy
from tests.support.service import ClientFactory
from tests.support.spine import Run

Alter = Callable[[dict[str, Any], Any], Any]
Altered = Callable[[Alter, Run], TestClient]


@pytest.fixture
def lookup(lab: Lab) -> ChainLookup:
    return lab.reader().lookup()


@pytest.fixture
def altered(make_client: ClientFactory, lab: Lab) -> Iterator[Altered]:
    """Clients of a service whose endpoint gives other results: `alter(call, result)`."""
    trust = lab.trust

    def make(alter: Alter, run: Run) -> TestClient:
        def answer(call: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
            if "result" in given:
                given["result"] = alter(call, given["result"])
            return given

        url = stack.enter_context(altering_proxy(lab.chain.rpc().url, answer))
        return make_client(
            run.folder.root,
            reader=lambda: Reader(Rpc(url), trust.addresses, trust.confirmations),
        )

    with ExitStack() as stack:
        yield make

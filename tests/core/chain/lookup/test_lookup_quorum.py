"""What pages are told by several endpoints that are asked as one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from provenance.chain.endpoint import Endpoint
from provenance.chain.lookup import MOST_TOLD, ChainLookup
from provenance.chain.quorum import Quorum
from provenance.chain.rpc import Rpc
from provenance.errors import UnavailableError
from provenance.ids import Address
from tests.support.processes.rpc_proxy import Alter, altering_proxy
from tests.support.spine import Run

Asked = tuple[ChainLookup, Quorum]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def honestly(_: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    return answer


def giving(method: str, **changes: Any) -> Alter:
    """Other members of a result; without any, null."""

    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == method:
            answer["result"] = {**answer["result"], **changes} if changes else None
        return answer

    return alter


def asked_of(stack: ExitStack, run: Run, needed: int, *alters: Alter) -> Asked:
    node = run.lab.chain.up().url
    urls = [stack.enter_context(altering_proxy(node, alter)) for alter in alters]
    quorum = Quorum([Endpoint(url) for url in urls], needed, grace_s=0.5)
    return ChainLookup(Rpc(quorum), run.lab.trust.addresses), quorum


def test_several_endpoints_say_what_one_does(stack: ExitStack, honest: Run) -> None:
    together, _ = asked_of(stack, honest, 2, honestly, honestly)
    alone = honest.lab.reader().lookup()
    [log, *_] = alone.events("registry", ["HeadCommitted"], alone.newest(), honest.run_id)
    block_hash = alone.header(log.block_number).hash
    for ask in (
        lambda each: each.transaction(log.tx_hash),
        lambda each: each.outcome(log.tx_hash),
        lambda each: each.block(block_hash),
        lambda each: each.events_in(block_hash),
        lambda each: each.transaction(bytes(32)),
        lambda each: each.outcome(bytes(32)),
        lambda each: each.block(bytes(32)),
    ):
        assert ask(together) == ask(alone)


@pytest.mark.parametrize("changes", [{"status": "0x0"}, {"gasUsed": "0x1"}, {"logs": []}])
def test_a_lie_of_one_endpoint_is_not_shown(
    stack: ExitStack, honest: Run, changes: dict[str, Any]
) -> None:
    """The attack: one of two endpoints tells another outcome of a transaction."""
    liar = giving("eth_getTransactionReceipt", **changes)
    lookup, _ = asked_of(stack, honest, 2, honestly, liar)
    alone = honest.lab.reader().lookup()
    [log, *_] = alone.events("registry", ["HeadCommitted"], alone.newest(), honest.run_id)
    with pytest.raises(UnavailableError, match="endpoints disagree"):
        lookup.outcome(log.tx_hash)


def test_an_endpoint_that_is_behind_is_outvoted_and_not_accused(
    stack: ExitStack, honest: Run
) -> None:
    behind = giving("eth_getTransactionByHash")
    lookup, quorum = asked_of(stack, honest, 2, honestly, honestly, behind)
    alone = honest.lab.reader().lookup()
    [log, *_] = alone.events("registry", ["HeadCommitted"], alone.newest(), honest.run_id)
    assert lookup.transaction(log.tx_hash) == alone.transaction(log.tx_hash)
    assert quorum.agreement().notes == ()


class Telling:
    """Stands in for an `Rpc`: gives one result to every request."""

    def __init__(self, result: Any) -> None:
        self.result = result

    def request(self, *_: Any) -> Any:
        return self.result


def test_an_endpoint_that_tells_of_too_many_events_is_not_believed() -> None:
    """The attack: more events than a page's memory should take."""
    registry = Address("0x" + 40 * "1")
    log = {
        "address": registry,
        "topics": [],
        "data": "0x",
        "transactionHash": "0x" + 64 * "2",
        "blockNumber": "0x1",
        "logIndex": "0x0",
    }
    for count, is_believed in ((MOST_TOLD, True), (MOST_TOLD + 1, False)):
        lookup = ChainLookup(cast("Rpc", Telling(count * [log])), {"registry": registry})
        if is_believed:
            assert len(lookup.events_in(bytes(32))) == count
            continue
        with pytest.raises(UnavailableError, match="too many events"):
            lookup.events_in(bytes(32))

"""Attestations on a real node, and endpoints that leave some out or put them elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from eth_abi import decode, encode

from provenance.chain.artifact import ARTIFACTS, abi_of
from provenance.chain.contracts import Reader
from provenance.chain.endpoint import Patience
from provenance.chain.rpc import Rpc
from provenance.errors import RejectedError, UnavailableError
from provenance.ids import Address, RunId, from_hex, to_hex
from provenance.judgement.facts import MAX_ATTESTED, Attested, AttestedDigest
from tests.support.chain import Lab
from tests.support.processes.rpc_proxy import altering_proxy

RUN = RunId(b"\x77" * 32)
TYPES = ["(bytes32,uint64)[]", "uint256"]
Answer = tuple[list[tuple[bytes, int]], int]


@dataclass(frozen=True)
class Auditor:
    """An account that attested three digests about a run, in blocks of their own."""

    lab: Lab
    address: Address
    sent: tuple[AttestedDigest, ...]


def send(lab: Lab, name: str, run_id: RunId, digest: bytes) -> int:
    writer = lab.session(name).writer
    label = f"attest:{run_id.hex()}:{digest.hex()}"
    return writer.send("attestations", label, "attest", run_id, digest).block_number


@pytest.fixture(scope="module")
def auditor(lab: Lab) -> Auditor:
    digests = [bytes([n]) * 32 for n in (3, 1, 2)]
    sent = tuple(AttestedDigest(d, send(lab, "auditor", RUN, d)) for d in digests)
    lab.mine()
    return Auditor(lab, lab.session("auditor").address, sent)


def test_what_was_sent_is_read_in_its_order(auditor: Auditor) -> None:
    snapshot = auditor.lab.reader().final()
    assert snapshot.attested(RUN, auditor.address) == Attested(auditor.sent, 3)
    first = auditor.sent[0]
    assert snapshot.attested_block(RUN, auditor.address, first.digest) == first.block_number
    assert snapshot.attested_block(RUN, auditor.address, b"\x09" * 32) == 0
    assert snapshot.attested(RunId(b"\x78" * 32), auditor.address) == Attested()
    assert snapshot.attested(RUN, auditor.lab.session().address) == Attested()


def test_an_older_block_does_not_know_what_came_later(auditor: Auditor) -> None:
    addresses = auditor.lab.deployment.addresses
    at = auditor.sent[1].block_number
    snapshot = Reader(auditor.lab.chain.rpc(), addresses).final()
    behind = type(snapshot)(auditor.lab.chain.rpc(), addresses, at)
    assert behind.attested(RUN, auditor.address) == Attested(auditor.sent[:2], 2)


def test_nothing_is_sent_twice_nor_taken_back(auditor: Auditor) -> None:
    writer = auditor.lab.session("auditor").writer
    for label, digest in (("again", auditor.sent[0].digest), ("nothing", bytes(32))):
        with pytest.raises(RejectedError) as refused:
            writer.send("attestations", label, "attest", RUN, digest)
        assert str(refused.value.actual).startswith(("AlreadyAttested", "ZeroDigest"))


def test_a_file_without_the_contract_asks_for_nothing(auditor: Auditor) -> None:
    addresses = dict(auditor.lab.deployment.addresses)
    del addresses["attestations"]
    snapshot = Reader(auditor.lab.chain.rpc(), addresses).final()
    assert snapshot.attested(RUN, auditor.address) == Attested()


def less(page: list[tuple[bytes, int]], total: int) -> Answer:
    """The attack: an endpoint leaves an entry out, but cannot change how many there are."""
    return page[:-1], total


LIES: dict[str, Callable[[list[tuple[bytes, int]], int], Answer]] = {
    "fewer entries than their number": less,
    "more entries than their number": lambda page, total: (page, total - 1),
    "an entry twice": lambda page, total: ([page[0], page[1], page[1]], total),
    "a block that is not there yet": lambda page, total: (
        [*page[:2], (page[2][0], 10**9)],
        total,
    ),
    "another order": lambda page, total: (page[::-1], total),
    "a number that cannot be": lambda page, total: (page, 2**200),
    "none, and a number": lambda page, total: ([], MAX_ATTESTED + 1),
}


@pytest.fixture
def lying(auditor: Auditor) -> Iterator[Callable[[str], Reader]]:
    """A reader through an endpoint that changes what the contract says."""
    selector = to_hex(abi_of(ARTIFACTS["attestations"]).selector("attestationsOf"))
    name = list[str]()

    def alter(request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(request.get("params"))
        if request["method"] != "eth_call" or selector not in text:
            return answer
        page, total = decode(TYPES, from_hex(answer["result"]))
        told = LIES[name[-1]](list(page), total)
        return answer | {"result": to_hex(encode(TYPES, told))}

    with altering_proxy(auditor.lab.chain.up().url, alter) as url:

        def reader(lie: str) -> Reader:
            name.append(lie)
            return Reader(Rpc(url, patience=Patience(0)), auditor.lab.deployment.addresses)

        yield reader


@pytest.mark.parametrize("lie", LIES)
def test_an_endpoint_that_says_what_cannot_be_says_nothing(
    auditor: Auditor, lying: Callable[[str], Reader], lie: str
) -> None:
    snapshot = lying(lie).final()
    with pytest.raises(UnavailableError, match="other attestations than the contract can have"):
        snapshot.attested(RUN, auditor.address)


def test_more_than_are_read_are_counted(lab: Lab) -> None:
    other = RunId(b"\x79" * 32)
    for number in range(MAX_ATTESTED + 1):
        send(lab, "busy", other, bytes([number + 1]) * 32)
    found = lab.reader().latest().attested(other, lab.session("busy").address)
    assert (len(found.entries), found.total) == (MAX_ATTESTED, MAX_ATTESTED + 1)

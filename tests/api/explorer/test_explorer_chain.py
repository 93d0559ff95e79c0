"""Transactions and blocks of the contracts, as the pinned chain tells them."""

from __future__ import annotations

import copy
import hashlib
import json
import threading
from html import unescape
from typing import Any

import pytest
from fastapi.testclient import TestClient

from provenance.chain.abi import Abi
from provenance.chain.artifact import ARTIFACTS, artifact
from provenance.chain.lookup import ChainLookup
from provenance.chain.lookup.forms import Log
from provenance.errors import UnavailableError
from provenance.ids import to_hex
from provenance_api.web.texts import ENGLISH
from tests.api.explorer.conftest import Altered
from tests.support.chain import Lab
from tests.support.service import HOSTILE, ClientFactory, page_of
from tests.support.spine import Run

ODD = ("x", "-1", "1.5", "0x", "0x12", 65 * "0", "0x" + 64 * "g", "%00", "%F0%9F%92%A9", 17 * "9")
SHARED = 4 + 1 + len(ARTIFACTS)
"""Questions that say which chain and code answers, and which block is final; asked now and then."""


@pytest.fixture
def kind() -> str:
    """What these pages read of the database is the same SQL as of other pages."""
    return "sqlite"


@pytest.fixture
def commit(lab: Lab, lookup: ChainLookup, honest: Run) -> Log:
    """The event of the run's first head."""
    newest = lookup.newest()
    return lookup.events("registry", ["HeadCommitted"], newest, honest.run_id)[0]


def test_a_transaction_says_what_it_did(client: TestClient, honest: Run, commit: Log) -> None:
    found = client.get(f"/tx/{to_hex(commit.tx_hash)}").json()
    run_id = "0x" + honest.run_id.hex()
    assert (found["status"], found["contract"], found["call"]["name"]) == (
        "succeeded",
        "registry",
        "commit",
    )
    assert found["call"]["says"].startswith(f"commits head 1 of run {run_id[:14]}..")
    values = {value["name"]: value for value in found["call"]["values"]}
    assert (values["runId"]["value"], values["runId"]["href"]) == (run_id, f"/runs/{run_id}")
    assert values["consistencyProof"]["value"] is None
    [event] = found["events"]
    assert event["name"] == "HeadCommitted"
    assert found["block"]["standing"] == "final"
    assert found["sender"]["role"] == "publisher"
    assert found["sender"]["runs_here"] == 1
    assert int(found["fee_wei"]) == found["gas_used"] * int(found["price_wei"])
    page = unescape(page_of(client, f"/tx/{to_hex(commit.tx_hash)}"))
    for words in (found["call"]["says"], "Succeeded", f'href="/runs/{run_id}"', "Verify it"):
        assert words in page


def test_input_and_receipt_are_those_of_the_node(client: TestClient, lab: Lab, commit: Log) -> None:
    """Compared with the node itself, without the code that the page uses."""
    rpc, tx_hash = lab.chain.rpc(), to_hex(commit.tx_hash)
    node = rpc.request("eth_getTransactionByHash", [tx_hash])
    data = bytes.fromhex(node["input"][2:])
    receipt = rpc.request("eth_getTransactionReceipt", [tx_hash])
    found = client.get(f"/tx/{tx_hash}").json()
    assert (found["input_bytes"], found["input_digest"]) == (
        len(data),
        hashlib.sha256(data).hexdigest(),
    )
    assert found["gas_used"] == int(receipt["gasUsed"], 16)
    assert found["sender"]["address"] == node["from"].lower()
    name, args = Abi(artifact("ProvenanceRegistry")["abi"]).decode_input(data) or ("", {})
    said = {value["name"]: value["value"] for value in found["call"]["values"]}
    assert (found["call"]["name"], said["seq"]) == (name, str(args["seq"]))
    command = json.loads(found["commands"]["receipt"].split("'")[3])
    assert rpc.request(command["method"], command["params"]) == receipt


def test_each_way_of_writing_a_hash_is_taken(client: TestClient, commit: Log) -> None:
    digits = commit.tx_hash.hex()
    for text in (digits, digits.upper(), f"0x{digits}"):
        assert client.get(f"/tx/{text}").json()["hash"] == f"0x{digits}"


def test_a_block_lists_what_concerns_the_contracts(
    client: TestClient, honest: Run, commit: Log, lab: Lab
) -> None:
    node = lab.chain.rpc().request("eth_getBlockByNumber", [hex(commit.block_number), False])
    for name in (str(commit.block_number), node["hash"], node["hash"][2:].upper()):
        found = client.get(f"/block/{name}").json()
        assert (found["number"], found["hash"]) == (commit.block_number, node["hash"])
    assert (found["parent"], found["time"]) == (node["parentHash"], int(node["timestamp"], 16))
    assert found["standing"] == "final"
    assert (found["previous"], found["next"]) == (
        commit.block_number - 1,
        commit.block_number + 1,
    )
    assert "HeadCommitted" in [event["name"] for event in found["events"]]
    lines = {line["hash"]: line for line in found["transactions"]}
    assert lines[to_hex(commit.tx_hash)]["function"] == "commit"
    page = page_of(client, f"/block/{commit.block_number}")
    assert f"/tx/{to_hex(commit.tx_hash)}" in page
    assert f"/block/{commit.block_number - 1}" in page


def test_first_and_newest_block_have_one_neighbour(client: TestClient, lookup: ChainLookup) -> None:
    newest = lookup.newest()
    assert client.get("/block/0").json()["previous"] is None
    found = client.get(f"/block/{newest}").json()
    assert found["next"] is None
    assert found["standing"] == "mined"
    assert "mined, not final yet" in page_of(client, f"/block/{newest}")
    answer = client.get(f"/block/{newest + 1000}")
    assert (answer.status_code, answer.json()["type"][-9:]) == (404, "not-found")


def test_what_is_not_ours_is_told_from_what_nobody_knows(
    client: TestClient, lab: Lab, lookup: ChainLookup
) -> None:
    unknown = client.get("/tx/0x" + 64 * "0")
    assert (unknown.status_code, unknown.json()["type"][-9:]) == (404, "not-found")
    assert client.get("/block/0x" + 64 * "0").status_code == 404
    pinned = set(lab.trust.addresses.values())
    others = []
    for number in range(lookup.newest()):
        block = lookup.block(lookup.header(number).hash)
        assert block is not None
        with_events = {log.tx_hash for log in lookup.events_in(block.hash)}
        made = [lookup.outcome(t.hash) for t in block.transactions if t.to is None]
        others += [
            o for o in made if o and o.created not in pinned and o.tx_hash not in with_events
        ]
    answer = client.get(f"/tx/{to_hex(others[0].tx_hash)}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:provenance:problem:not-ours")


@pytest.mark.parametrize("odd", ODD)
def test_odd_names_are_refused(client: TestClient, odd: str) -> None:
    for path in (f"/tx/{odd}", f"/block/{odd}"):
        assert client.get(path).status_code in (400, 404), path


@pytest.mark.parametrize("path", ["/tx/0x" + 64 * "1", "/block/1"])
def test_a_chain_that_does_not_answer_is_said(
    make_client: ClientFactory, honest: Run, path: str
) -> None:
    let = threading.Event()

    def silent() -> object:
        let.wait(60)
        raise UnavailableError("chain does not answer")

    answer = make_client(honest.folder.root, reader=silent).get(path)
    let.set()
    assert answer.status_code == 503
    assert "the chain did not answer" in answer.json()["detail"]
    assert "did not answer in time" in answer.json()["detail"]


def test_a_page_asks_a_bounded_number_of_questions(
    altered: Altered, honest: Run, commit: Log
) -> None:
    asked: list[str] = []

    def count(call: dict[str, Any], result: Any) -> Any:
        asked.append(call["method"])
        return result

    client = altered(count, honest)
    client.get(f"/tx/{to_hex(commit.tx_hash)}")
    assert len(asked) <= SHARED + 3, asked
    for name in (commit.block_number - 1, commit.block_number):
        before = len(asked)
        client.get(f"/block/{name}")
        assert len(asked) - before <= SHARED + 4, asked[before:]


def test_a_refused_transaction_is_not_told_as_done(
    altered: Altered, honest: Run, commit: Log
) -> None:
    def refuse(call: dict[str, Any], result: Any) -> Any:
        if call["method"] == "eth_getTransactionReceipt":
            return {**result, "status": "0x0", "logs": []}
        return result

    client = altered(refuse, honest)
    page = page_of(client, f"/tx/{to_hex(commit.tx_hash)}")
    assert "It was refused. It would have done this: it commits head 1" in page
    assert client.get(f"/tx/{to_hex(commit.tx_hash)}").json()["status"] == "reverted"


def test_a_block_that_was_replaced_is_called_so(altered: Altered, honest: Run, commit: Log) -> None:
    """The attack: an endpoint shows a transaction in a block that the chain no longer has."""

    def move(call: dict[str, Any], result: Any) -> Any:
        if call["method"] == "eth_getTransactionReceipt":
            return {**result, "blockHash": "0x" + 64 * "1"}
        return result

    found = altered(move, honest).get(f"/tx/{to_hex(commit.tx_hash)}").json()
    assert found["block"]["standing"] == "replaced"


@pytest.mark.parametrize("method", ["eth_getTransactionByHash", "eth_getTransactionReceipt"])
def test_an_answer_about_another_transaction_is_refused(
    altered: Altered, honest: Run, commit: Log, method: str
) -> None:
    """The attack: the endpoint answers with a transaction that was not asked for."""

    def swap(call: dict[str, Any], result: Any) -> Any:
        if call["method"] == method:
            name = "hash" if method.endswith("ByHash") else "transactionHash"
            return {**result, name: "0x" + 64 * "2"}
        return result

    answer = altered(swap, honest).get(f"/tx/{to_hex(commit.tx_hash)}")
    assert (answer.status_code, "something else" in answer.json()["detail"]) == (503, True)


def test_events_of_another_contract_are_refused(altered: Altered, honest: Run, commit: Log) -> None:
    """The attack: the endpoint tells of events that no pinned contract emitted."""

    def plant(call: dict[str, Any], result: Any) -> Any:
        if call["method"] == "eth_getLogs":
            planted = copy.deepcopy(result[0])
            return [*result, {**planted, "address": "0x" + 40 * "3"}]
        return result

    assert altered(plant, honest).get(f"/block/{commit.block_number}").status_code == 503


HOSTILE_RESULTS = (None, [], {}, "0x", 7, HOSTILE, [None], {"hash": HOSTILE}, {"blockHash": "0x1"})


LOOKUPS = (
    "eth_getTransactionByHash",
    "eth_getTransactionReceipt",
    "eth_getBlockByHash",
    "eth_getLogs",
)


@pytest.mark.parametrize("result", HOSTILE_RESULTS, ids=repr)
def test_no_answer_of_an_endpoint_breaks_a_page(
    altered: Altered, honest: Run, commit: Log, result: object
) -> None:
    """The attack: every form of an answer to each question that these pages ask."""
    for method in LOOKUPS:

        def lie(call: dict[str, Any], given: Any, method: str = method) -> Any:
            return result if call["method"] == method else given

        client = altered(lie, honest)
        for path in (f"/tx/{to_hex(commit.tx_hash)}", f"/block/{commit.block_number}"):
            answer = client.get(path, headers={"accept": "text/html"})
            assert answer.status_code in (200, 404, 503), (method, path)
            assert "<script>alert" not in answer.text


def test_everything_that_changes_the_contracts_has_words_and_nothing_else() -> None:
    items = [item for name in ARTIFACTS.values() for item in artifact(name)["abi"]]
    calls = [i for i in items if i.get("stateMutability") in ("nonpayable", "payable")]
    wanted = {f"call.{item['name']}" for item in calls if item["type"] == "function"}
    wanted |= {f"event.{item['name']}" for item in items if item["type"] == "event"}
    assert wanted == {k for k in ENGLISH.sentences if k.startswith(("call.", "event."))}

"""Addresses, keys, revocations and attestations, and what the search finds of the chain."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from fastapi.testclient import TestClient

from provenance.chain.abi import keccak
from provenance.chain.artifact import ARTIFACTS
from provenance.chain.lookup import ChainLookup
from provenance.errors import UnavailableError
from provenance.ids import to_hex
from provenance.judgement.trust import Trust
from provenance.statements import kind_named
from tests.api.explorer.conftest import Altered
from tests.api.explorer.test_explorer_chain import HOSTILE_RESULTS, SHARED
from tests.support.chain import Lab
from tests.support.service import HTML, REASON, ClientFactory, page_of
from tests.support.spine import Run

ODD = ("x", "0x", "0x12", 65 * "0", "0x" + 40 * "g", "0x" + 64 * "g", "%00", "%F0%9F%92%A9", "-1")


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.mark.parametrize("name", ARTIFACTS)
def test_a_contract_is_compared_with_the_code_of_the_package(
    client: TestClient, lab: Lab, name: str
) -> None:
    address = lab.trust.addresses[name]
    found = client.get(f"/address/{address}").json()["contract"]
    code = lab.chain.rpc().code(address)
    assert (found["name"], found["solidity"]) == (name, ARTIFACTS[name])
    assert found["code"] == "exact_match"
    assert (found["code_bytes"], found["pinned_code"]) == (len(code), "0x" + keccak(code).hex())
    page = unescape(page_of(client, f"/address/{address}"))
    for words in ("is that of this package", "provenance contracts verify", "Functions and events"):
        assert words in page


def test_views_say_what_the_node_says(client: TestClient, lab: Lab) -> None:
    found = client.get(f"/address/{lab.trust.addresses['ledger']}").json()["contract"]
    values = {line["name"]: (line["value"], line["href"]) for line in found["values"]}
    registry = lab.trust.addresses["registry"]
    assert values["registry"] == (registry, f"/address/{registry}")
    selector = keccak(b"batchVerifier()")[:4]
    answer = lab.chain.rpc().call(lab.trust.addresses["ledger"], selector)
    assert values["batchVerifier"][0] == "0x" + answer[-20:].hex()
    assert "commit" in str(client.get(f"/address/{registry}").json()["contract"]["members"])


def test_other_code_at_a_contract_is_said(altered: Altered, honest: Run, lab: Lab) -> None:
    """The attack: after the pinned code was compared, the endpoint gives other code."""
    address = lab.trust.addresses["registry"]
    count = iter(range(1 << 20))

    def change(call: dict[str, Any], result: Any) -> Any:
        is_it = call["method"] == "eth_getCode" and call["params"][0].lower() == address
        return "0x00" + result[4:] if is_it and next(count) else result

    client = altered(change, honest)
    assert client.get(f"/address/{address}").json()["contract"]["code"] == "none"
    assert "is not that of this package" in page_of(client, f"/address/{address}")


def test_a_publisher_has_runs_releases_and_proofs(
    make_client: ClientFactory, honest: Run, revoked: Run, lab: Lab
) -> None:
    client = make_client(honest.folder.root, revoked.folder.root)
    address = lab.session().address
    for text in (address, address.upper().replace("0X", "0x"), address[2:]):
        account = client.get(f"/address/{text}").json()["account"]
        assert account["party"]["address"] == address
    ids = {"0x" + run.run_id.hex() for run in (honest, revoked)}
    assert {run["run_id"] for run in account["runs"]} == ids
    assert account["party"]["name"] == "default"
    assert account["opened"] == len(lab.reader().latest().runs_of(address))
    assert {release["run_id"] for release in account["releases"]} == ids
    assert account["proofs"] == [{"run_id": "0x" + honest.run_id.hex(), "proofs": 1}]
    assert [line["reason"] for line in account["revoked"]["revocations"]] == [REASON]


def test_an_account_that_nobody_knows_has_an_empty_page(client: TestClient) -> None:
    account = client.get("/address/0x" + 40 * "7").json()["account"]
    assert (account["opened"], account["runs"], account["party"]["role"]) == (0, [], None)
    assert "does not name this address" in page_of(client, "/address/0x" + 40 * "7")


def test_keys_say_who_could_forge(client: TestClient, lab: Lab, honest: Run) -> None:
    keys = client.get("/keys").json()["keys"]
    assert [key["vk_id"] for key in keys] == [key.vk_id for key in lab.trust.keys]
    assert {key["setup"] for key in keys} == {"single_party"}
    vk_id = lab.deployment.key("epoch").vk_id
    found = client.get(f"/keys/{vk_id}").json()
    assert found["shows"] == kind_named("epoch").shows
    seen = found["on_chain"]
    assert (seen["kind"], seen["slots"], seen["matches"]) == (1, 256, True)
    code = lab.chain.rpc().code(seen["data"])
    assert keccak(code[1:]).hex() == vk_id[2:]
    assert [proof["run_id"] for proof in found["proofs"]] == ["0x" + honest.run_id.hex()]
    record = honest.records()[found["proofs"][0]["index"]]
    assert record.fields["vk_id"] == vk_id
    page = unescape(page_of(client, f"/keys/{vk_id}"))
    for words in ("Single-party set-up", kind_named("epoch").shows, "uses this key"):
        assert words in page
    assert page_of(client, "/keys").count("single-party set-up") == len(keys)


def test_a_ceremony_key_names_its_transcript(
    make_client: ClientFactory, honest: Run, lab: Lab
) -> None:

    transcript = "sha256:" + 64 * "a"
    first, *rest = lab.trust.keys
    made = replace(first, klass="ceremony", transcript=transcript)
    trust: Trust = replace(lab.trust, keys=(made, *rest))
    client = make_client(honest.folder.root, trust=trust)
    found = client.get(f"/keys/{first.vk_id}").json()
    assert (found["setup"], found["transcript"]) == ("ceremony", transcript)
    assert transcript in page_of(client, f"/keys/{first.vk_id}")


def test_other_bytes_under_a_key_are_said(altered: Altered, honest: Run, lab: Lab) -> None:
    """The attack: the endpoint gives other bytes than those that the key's id is made of."""
    vk_id = lab.deployment.key("epoch").vk_id
    pinned = set(lab.trust.addresses.values())

    def change(call: dict[str, Any], result: Any) -> Any:
        is_it = call["method"] == "eth_getCode" and call["params"][0].lower() not in pinned
        return result[:-2] + "ff" if is_it else result

    client = altered(change, honest)
    assert client.get(f"/keys/{vk_id}").json()["on_chain"]["matches"] is False
    assert "have another Keccak-256" in page_of(client, f"/keys/{vk_id}")


def test_revocations_are_listed_where_they_belong(
    make_client: ClientFactory, revoked: Run, lab: Lab, lookup: ChainLookup
) -> None:
    client = make_client(revoked.folder.root)
    run_id = "0x" + revoked.run_id.hex()
    found = client.get("/revocations").json()
    [line] = [each for each in found["revocations"] if each["run_id"] == run_id]
    assert (line["kind"], line["reason"], line["run_here"]) == ("record", REASON, True)
    assert line["index"] == revoked.release_index
    block = lab.reader().latest().revocation(revoked.run_id, revoked.release_index)
    assert block is not None
    assert line["block"] == block.block_number
    assert client.get(f"/tx/{line['transaction']}").json()["call"]["name"] == "revoke"
    assert client.get(f"/runs/{run_id}").json()["revoked"]["revocations"] == [line]
    for path in ("/revocations", f"/runs/{run_id}"):
        page = page_of(client, path)
        assert "trained on &lt;b&gt;leaked&lt;/b&gt; data" in page
        assert f"/tx/{line['transaction']}" in page
    command = json.loads(found["commands"]["events"].split("'")[3])
    logs = lab.chain.rpc().request(command["method"], command["params"])
    assert line["transaction"] in [log["transactionHash"] for log in logs]


def test_a_revoked_dataset_says_so(make_client: ClientFactory, honest: Run, lab: Lab) -> None:
    session = lab.session("revoker")
    dataset_id = honest.data.registered.dataset_id
    session.final(session.revoke_dataset(dataset_id, "not mine"))
    client = make_client(honest.folder.root)
    [line] = client.get(f"/datasets/{dataset_id}").json()["revoked"]["revocations"]
    assert (line["kind"], line["reason"], line["by"]) == ("dataset", "not mine", session.address)
    assert "not mine" in page_of(client, f"/datasets/{dataset_id}")


def test_attestations_on_chain_are_listed(
    make_client: ClientFactory, honest: Run, lab: Lab
) -> None:
    session = lab.session("attester")
    digest = hashlib.sha256(b"attestation").digest()
    session.final(
        session.writer.send("attestations", "attest:test", "attest", honest.run_id, digest)
    )
    client = make_client(honest.folder.root)
    run_id = "0x" + honest.run_id.hex()
    [line] = client.get(f"/runs/{run_id}").json()["attestations"]["attestations"]
    assert (line["digest"], line["address"]) == (f"sha256:{digest.hex()}", session.address)
    assert line["auditor"] is None
    page = page_of(client, f"/runs/{run_id}")
    assert f"/tx/{line['transaction']}" in page
    pinned = {n: c for n, c in lab.trust.contracts.items() if n != "attestations"}

    without = make_client(honest.folder.root, trust=replace(lab.trust, contracts=pinned))
    assert "pins no contract that takes attestations" in page_of(without, f"/runs/{run_id}")


def test_heads_lead_to_transactions_and_those_to_blocks(
    client: TestClient, honest: Run, lab: Lab
) -> None:
    heads = client.get(f"/runs/0x{honest.run_id.hex()}/heads").json()["heads"]
    for head in heads:
        found = client.get(f"/tx/{head['transaction']}").json()
        values = {value["name"]: value["value"] for value in found["events"][0]["values"]}
        assert (values["seq"], values["newRoot"]) == (str(head["seq"]), head["root"])
        block = client.get(f"/block/{found['block']['hash']}").json()
        assert head["transaction"] in [line["hash"] for line in block["transactions"]]
        assert found["sender"]["address"] == lab.session().address
    run = client.get(f"/runs/0x{honest.run_id.hex()}")
    block = run.json()["source"]["chain"]["committed_block"]
    assert f'href="/block/{block}"' in page_of(client, f"/runs/0x{honest.run_id.hex()}")
    verdict = client.get(f"/verify/{honest.model}").json()
    assert f'href="/block/{verdict["release"]["block"]}"' in page_of(
        client, f"/verify/{honest.model}"
    )


def test_the_search_finds_transactions_blocks_and_keys(
    client: TestClient, lookup: ChainLookup, honest: Run
) -> None:
    [log, *_] = lookup.events("registry", ["HeadCommitted"], lookup.newest(), honest.run_id)
    block_hash = to_hex(lookup.header(log.block_number).hash)
    for handle, href in {
        to_hex(log.tx_hash): f"/tx/{to_hex(log.tx_hash)}",
        log.tx_hash.hex().upper(): f"/tx/{to_hex(log.tx_hash)}",
        block_hash: f"/block/{block_hash}",
        str(log.block_number): f"/block/{log.block_number}",
    }.items():
        found = client.get("/search", params={"q": handle}).json()
        assert [hit["href"] for hit in found["hits"]] == [href], handle
        page = client.get("/search", params={"q": handle}, headers=HTML, follow_redirects=False)
        assert (page.status_code, page.headers["location"]) == (303, href)
    assert client.get("/search", params={"q": "999999999"}).status_code == 404
    assert client.get("/search", params={"q": 400 * "9"}).status_code == 404


@pytest.mark.parametrize("odd", ODD)
def test_odd_addresses_and_keys_are_refused(client: TestClient, odd: str) -> None:
    for path in (f"/address/{odd}", f"/keys/{odd}"):
        assert client.get(path).status_code in (400, 404), path
    assert client.get("/keys/0x" + 64 * "0").status_code == 404


def test_a_silent_chain_leaves_what_the_index_knows(
    make_client: ClientFactory, honest: Run, lab: Lab
) -> None:
    let = threading.Event()

    def silent() -> object:
        let.wait(60)
        raise UnavailableError("chain does not answer")

    client = make_client(honest.folder.root, reader=silent)
    key = lab.trust.keys[0].vk_id
    addresses = (lab.session().address, lab.trust.addresses["registry"])
    for path in (*(f"/address/{each}" for each in addresses), f"/keys/{key}", "/revocations"):
        assert client.get(path).json()["chain"]["problem"] == "it did not answer in time"
        assert "did not answer" in page_of(client, path)
    found = client.get("/search", params={"q": "0x" + 64 * "9"})
    let.set()
    assert found.status_code == 404
    assert "not the chain, which did not answer" in found.json()["searched"]


def test_each_page_asks_a_bounded_number_of_questions(
    altered: Altered, honest: Run, lab: Lab
) -> None:
    asked: list[str] = []

    def count(call: dict[str, Any], result: Any) -> Any:
        asked.append(call["method"])
        return result

    run = f"/runs/0x{honest.run_id.hex()}"
    key = lab.trust.keys[0].vk_id
    bounds = {
        f"/address/{lab.trust.addresses['models']}": 5,
        f"/address/{lab.session().address}": 2,
        f"/keys/{key}": 2,
        "/revocations": 1,
        run: 2 + 2,
        f"{run}/heads": 3,
        f"/datasets/{honest.data.registered.dataset_id}": 2,
        "/search?q=" + 64 * "9": 7,
        "/search?q=1": 4,
        "/keys": 0,
    }
    for path, bound in bounds.items():
        client = altered(count, honest)
        before = len(asked)
        assert client.get(path).status_code in (200, 404), path
        assert len(asked) - before <= SHARED + bound, (path, asked[before:])


@pytest.mark.parametrize("result", HOSTILE_RESULTS, ids=repr)
def test_no_answer_about_events_breaks_a_page(
    altered: Altered, honest: Run, lab: Lab, result: object
) -> None:
    """The attack: every form of an answer to the questions for events, views and code."""
    run = f"/runs/0x{honest.run_id.hex()}"
    dataset = f"/datasets/{honest.data.registered.dataset_id}"
    for method in ("eth_getLogs", "eth_call", "eth_getCode"):

        def lie(call: dict[str, Any], given: Any, method: str = method) -> Any:
            return result if call["method"] == method else given

        client = altered(lie, honest)
        key, address = lab.trust.keys[0].vk_id, lab.trust.addresses["registry"]
        paths = (
            run,
            f"{run}/heads",
            dataset,
            "/revocations",
            f"/keys/{key}",
            f"/address/{address}",
        )
        for path in paths:
            answer = client.get(path, headers={"accept": "text/html"})
            assert answer.status_code in (200, 503), (method, path)


def test_an_event_that_the_contract_does_not_have_is_not_listed(
    altered: Altered, revoked: Run
) -> None:
    """The attack: the endpoint tells of a revocation with a cut reason."""

    def cut(call: dict[str, Any], result: Any) -> Any:
        if call["method"] == "eth_getLogs":
            return [{**log, "data": log["data"][:66]} for log in result]
        return result

    found = altered(cut, revoked).get("/revocations").json()
    assert found["revocations"] == []
    assert "event that the contract does not have" in found["chain"]["problem"]

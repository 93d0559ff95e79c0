"""Heads, proofs, datasets, releases, the search and the front page."""

from __future__ import annotations

import threading
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from provenance.digest import sha256
from provenance.errors import UnavailableError
from provenance.log.anchoring import read_heads
from provenance.statements import kind_named
from provenance.verify import LIMITS
from provenance_api.db import Database
from tests.support.chain import Lab
from tests.support.service import HOSTILE, HTML, ClientFactory, page_of
from tests.support.spine import Data, Plan, Run, build_run

ODD = ("0x", "x", "0x" + 63 * "0", "0x" + 64 * "g", "%00", "%F0%9F%92%A9", "1.1.1", "-1.0", ".")


def at(run: Run, rest: str = "") -> str:
    return f"/runs/0x{run.run_id.hex()}{rest}"


@pytest.fixture(scope="module")
def named(lab: Lab, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose first record names the dataset's registration, as trained runs do."""
    dataset = data.dataset.root.to_json() | {"dataset_id": str(data.registered.dataset_id)}
    plan = Plan(model=b"named", prove=False, opening={"dataset": dataset})
    return build_run(lab, data, tmp_path_factory.mktemp("named"), plan)


def test_heads_are_those_of_the_file_and_hold(client: TestClient, honest: Run) -> None:
    found = client.get(at(honest, "/heads")).json()
    lines = read_heads(honest.folder.heads)
    assert [(h["seq"], h["size"], h["root"]) for h in found["heads"]] == [
        (h.seq, h.head.size, "0x" + h.head.root.hex()) for h in lines
    ]
    assert [h["digest"] for h in found["heads"]] == [str(h.head.digest) for h in lines]
    assert all(h["holds"] for h in found["heads"])
    page = page_of(client, at(honest, "/heads"))
    assert page.count(">the newest head on chain<") == 1
    assert "a part of the newest head on chain" in page


def test_a_head_of_another_history_is_called_so(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    other = read_heads(run.folder.heads)[-1]
    line = other.to_line().replace(other.head.root.hex().encode(), 32 * b"ab")
    with run.folder.heads.open("ab") as stream:
        stream.write(line)
    client = make_client(run.folder.root)
    found = client.get(at(run, "/heads")).json()
    assert [h["holds"] for h in found["heads"]] == [True, True, False]
    assert found["source"]["head"]["size"] == other.head.size
    assert "no: another history" in page_of(client, at(run, "/heads"))


def test_a_proof_says_what_it_shows_and_what_not(client: TestClient, honest: Run) -> None:
    [line] = client.get(at(honest, "/proofs")).json()["proofs"]
    proof = client.get(at(honest, f"/proofs/{line['epoch']}/{line['chunk']}")).json()
    data = (honest.folder.epoch(0) / "proof-0.json").read_bytes()
    assert proof["digest"] == str(sha256(data))
    assert proof["shows"] == kind_named("epoch").shows
    assert set(LIMITS) <= set(proof["shows_not"])
    assert proof["anchoring"]["accepted"] is True
    record = honest.records()[proof["anchored_by"]]
    assert record.fields["vk_id"] == proof["vk_id"]
    page = unescape(page_of(client, at(honest, "/proofs/0/0")))
    for words in (kind_named("epoch").shows, *LIMITS, "accepted all of its proofs"):
        assert words in page
    assert "This page did not check the proof" in page


def test_an_anchoring_that_the_ledger_does_not_have_is_said(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    """The attack: a record that names an anchoring that never was."""
    run = honest.copy(tmp_path / "copy")

    def lie(records: list[Any]) -> list[Any]:
        return [
            type(r)(r.type, r.time, {**r.fields, "number": 7}, r.version)
            if "number" in r.fields
            else r
            for r in records
        ]

    run.rewrite(lie)
    client = make_client(run.folder.root)
    proof = client.get(at(run, "/proofs/0/0")).json()
    assert (proof["number"], proof["anchoring"]) == (7, None)
    assert "the ledger has no such anchoring" in page_of(client, at(run, "/proofs/0/0"))


def test_a_dataset_says_root_and_count_and_no_contents(
    make_client: ClientFactory, named: Run, data: Data
) -> None:
    client = make_client(named.folder.root)
    dataset_id = str(data.registered.dataset_id)
    assert client.get("/datasets").json()["datasets"] == [{"dataset_id": dataset_id, "runs": 1}]
    found = client.get(f"/datasets/{dataset_id}").json()
    root = data.dataset.root
    assert found["registered"]["root"] == root.hex0x
    assert (found["registered"]["count"], found["registered"]["depth"]) == (40, root.depth)
    assert found["registered"]["finished"] is True
    assert [r["run_id"] for r in found["runs"]] == ["0x" + named.run_id.hex()]
    assert client.get(at(named)).json()["dataset"]["dataset_id"] == dataset_id
    page = page_of(client, f"/datasets/{dataset_id}")
    assert "contradicts" not in page
    assert "record 1 " not in page


def test_a_run_that_lies_about_its_dataset_is_named(
    make_client: ClientFactory, lab: Lab, data: Data, tmp_path: Path
) -> None:
    dataset = {"root": "0x" + 64 * "1", "depth": 5, "count": 40_000_000}
    lie = dataset | {"dataset_id": str(data.registered.dataset_id)}
    plan = Plan(prove=False, release=False, opening={"dataset": lie})
    run = build_run(lab, data, tmp_path / "lie", plan)
    client = make_client(run.folder.root)
    page = page_of(client, f"/datasets/{data.registered.dataset_id}")
    assert "contradicts the chain" in page


def test_a_dataset_that_only_the_chain_knows_is_shown(client: TestClient, data: Data) -> None:
    found = client.get(f"/datasets/{data.registered.dataset_id}").json()
    assert (found["runs"], found["said"]) == ([], [])
    assert found["registered"]["count"] == 40
    assert client.get("/datasets/0x" + 64 * "0").status_code == 404


def test_releases_are_paged_to_their_end(
    make_client: ClientFactory, honest: Run, twice: Run, hostile: Run
) -> None:
    client = make_client(honest.folder.root, twice.folder.root, hostile.folder.root)
    found: list[str] = []
    path = "/releases?limit=1"
    while path:
        page = client.get(path).json()
        assert len(page["releases"]) == 1
        found += [f"{r['run_id']}.{r['index']}" for r in page["releases"]]
        path = page["next"]
    assert len(found) == len(set(found)) == 4
    runs: list[str] = []
    path = "/runs?limit=1"
    while path:
        page = client.get(path).json()
        runs += [r["run_id"] for r in page["runs"]]
        path = page["next"]
    assert sorted(runs) == sorted("0x" + r.run_id.hex() for r in (honest, twice, hostile))


def handles(run: Run, lab: Lab) -> dict[str, str]:
    """Each kind of handle of a run, and where it leads."""
    records, heads = run.records(), read_heads(run.folder.heads)
    release = records[run.release_index]
    verdict = f"/verify/{run.model}"
    return {
        "0x" + run.run_id.hex(): at(run),
        run.run_id.hex().upper(): at(run),
        str(records[2].digest): at(run, "/records/2"),
        records[2].digest.hex(): at(run, "/records/2"),
        str(release.entry): at(run, f"/records/{run.release_index}"),
        str(release.digest): at(run, f"/records/{run.release_index}"),
        "0x" + heads[0].head.root.hex(): at(run, "/heads"),
        str(run.model): verdict,
        release.fields["manifest"]: verdict,
        "model": "/verify/model",
        lab.session().address: f"/address/{lab.session().address}",
        lab.session().address[2:].upper(): f"/address/{lab.session().address}",
        lab.trust.addresses["models"]: f"/address/{lab.trust.addresses['models']}",
        lab.trust.keys[0].vk_id: f"/keys/{lab.trust.keys[0].vk_id}",
        str(run.data.dataset.root.hex0x): at(run),
    }


def test_every_handle_leads_to_its_page(client: TestClient, honest: Run, lab: Lab) -> None:
    for handle, href in handles(honest, lab).items():
        found = client.get("/search", params={"q": f" {handle} "}).json()
        assert [hit["href"] for hit in found["hits"]] == [href], handle
        page = client.get("/search", params={"q": handle}, headers=HTML, follow_redirects=False)
        assert (page.status_code, page.headers["location"]) == (303, href), handle
        assert client.get(href, headers=HTML).status_code == 200, href


def test_a_dataset_id_leads_to_its_page(make_client: ClientFactory, named: Run, data: Data) -> None:
    client = make_client(named.folder.root)
    found = client.get("/search", params={"q": str(data.registered.dataset_id)}).json()
    assert [hit["kind"] for hit in found["hits"]] == ["dataset"]


def test_several_hits_are_listed(make_client: ClientFactory, honest: Run, twice: Run) -> None:
    client = make_client(honest.folder.root, twice.folder.root)
    found = client.get("/search", params={"q": "llama"})
    assert [hit["what"] for hit in found.json()["hits"]] == ["llama:2", "llama:1"]
    page = page_of(client, "/search?q=llama")
    assert "llama:1" in page
    assert "a release: its verdict" in page


def test_a_planted_name_shows_no_verdict_under_it(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    """The attack: a folder with a release of a known name that nobody claimed on chain."""
    run = honest.copy(tmp_path / "copy")
    fields = run.release_record("llama:9").fields | {"model": str(sha256(b"planted"))}
    record = run.release_record("llama:9")
    run.log(type(record)(record.type, record.time, fields, record.version))
    client = make_client(run.folder.root)
    answer = client.get("/search", params={"q": "llama:9"}, headers=HTML)
    assert answer.status_code == 404
    assert "no trusted publisher claimed one of them on chain" in answer.text


@pytest.mark.parametrize("handle", ["nobody", "0x" + 64 * "0", "0x" + 40 * "0", "nobody:1"])
def test_nothing_says_what_was_searched(client: TestClient, handle: str) -> None:
    answer = client.get("/search", params={"q": handle})
    assert answer.status_code == 404
    assert answer.json()["searched"]
    page = page_of(client, f"/search?q={quote(handle)}")
    for place in answer.json()["searched"]:
        assert place in page


@pytest.mark.parametrize("handle", ["", " ", "a\0b", "a\u202eb", "x" * 513, "a\nb"])
def test_odd_handles_are_refused(client: TestClient, handle: str) -> None:
    assert client.get("/search", params={"q": handle}).status_code == 400
    assert client.get("/search").status_code == 400


@pytest.mark.parametrize("handle", ["%", "_", "' OR 1=1 --", HOSTILE, "../../etc/passwd", "x:y:z"])
def test_hostile_handles_find_nothing(client: TestClient, handle: str) -> None:
    answer = client.get("/search", params={"q": handle}, headers=HTML)
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("after", ODD)
def test_bad_cursors_are_refused_everywhere(client: TestClient, honest: Run, after: str) -> None:
    unknown = ("0x" + 64 * "0", "0x" + 64 * "0" + ".3", "77", "7.7")
    for path in ("/datasets", "/releases", at(honest, "/heads"), at(honest, "/proofs")):
        for cursor in (after, *unknown):
            answer = client.get(f"{path}?after={cursor}")
            assert answer.status_code == 400, (path, cursor)
            assert answer.json()["type"] == "urn:provenance:problem:bad-cursor"


@pytest.mark.parametrize(
    "odd", ["x", "-1", "9007199254740992", "1.5", "%00", "99999999999999999999"]
)
def test_odd_places_are_refused(client: TestClient, honest: Run, odd: str) -> None:
    for path in (
        at(honest, f"/proofs/{odd}/0"),
        at(honest, f"/proofs/0/{odd}"),
        f"/datasets/{odd}",
    ):
        assert client.get(path).status_code in (400, 404), path
    assert client.get(at(honest, "/proofs/0/9007199254740991")).status_code == 404
    assert client.get(at(honest, "/proofs/9007199254740991/0")).status_code == 404


def test_the_front_page_counts_and_lists(client: TestClient, honest: Run) -> None:
    found = client.get("/").json()
    assert found["counts"] == {
        "runs": 1,
        "records": len(honest.records()),
        "heads": len(read_heads(honest.folder.heads)),
        "releases": 1,
        "datasets": 0,
    }
    page = page_of(client, "/")
    assert at(honest) in page
    assert f"/verify/{honest.model}" in page


def test_a_silent_chain_hangs_no_page(make_client: ClientFactory, honest: Run) -> None:
    """The attack: an endpoint that takes every question and answers none."""

    let = threading.Event()

    def silent() -> object:
        let.wait(60)
        raise UnavailableError("chain does not answer")

    client = make_client(honest.folder.root, reader=silent)
    for rest in ("", "/records", "/heads", "/proofs/0/0"):
        answer = client.get(at(honest, rest))
        assert answer.status_code == 200
        assert "it did not answer in time" in answer.text
    assert not let.is_set()  # all pages were there before the endpoint answered anything
    let.set()


def test_the_database_down_is_503_everywhere(make_client: ClientFactory, honest: Run) -> None:
    nowhere = Database("postgresql://user:hunter2@127.0.0.1:9/nothing")
    client = make_client(honest.folder.root, database=nowhere)
    for path in ("/", "/runs", at(honest), "/datasets", "/releases", "/search?q=x"):
        answer = client.get(path)
        assert answer.status_code == 503, path
        assert "hunter2" not in answer.text


def test_a_moved_name_cannot_be_shown_by_an_altered_row(
    make_client: ClientFactory, honest: Run, database: Database
) -> None:
    """The attack: the database gives somebody else's name to a release."""
    client = make_client(honest.folder.root)
    with database.session() as session:
        session.execute(text("UPDATE releases SET name = 'famous'"))
    answer = client.get("/search", params={"q": "famous"}, headers=HTML)
    assert answer.status_code in (404, 500)

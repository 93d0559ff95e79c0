"""Runs and records: what they say, what was compared, and how a reader checks it alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from provenance.errors import UnavailableError
from provenance.log.record import Record
from provenance.merkle import Tree, verify_inclusion
from provenance_api.app import create_app
from provenance_api.db import Database
from tests.support.chain import Lab
from tests.support.service import HOSTILE, HTML, ClientFactory, StateFactory, page_of, serving
from tests.support.spine import Data, Plan, Run, build_run

ODD = (
    "0x",
    "x",
    "0x" + 63 * "0",
    "0x" + 65 * "0",
    "0x" + 64 * "g",
    "%00",
    "%F0%9F%92%A9",
    "'%20OR%201",
)


def at(run: Run, rest: str = "") -> str:
    return f"/runs/0x{run.run_id.hex()}{rest}"


def answer(client: TestClient, path: str) -> dict[str, object]:
    found = client.get(path)
    assert found.status_code == 200, found.text
    value: dict[str, object] = found.json()
    return value


def test_a_run_says_what_its_records_say(client: TestClient, honest: Run, lab: Lab) -> None:
    run = client.get(at(honest)).json()
    records = honest.records()
    assert (run["size"], run["state"]) == (len(records), "closed")
    assert run["signer"] == lab.session().address
    assert run["publisher"] == "default"
    assert sum(run["counts"].values()) == len(records)
    assert run["counts"]["batch"] == sum(r.type == "batch" for r in records)
    [checkpoint] = run["checkpoints"]
    assert records[checkpoint["index"]].type == "checkpoint"
    assert run["dataset"]["count"] == 40
    [release] = run["releases"]
    assert release["verdict"] == f"/verify/{honest.model}"
    assert client.get(release["verdict"]).status_code == 200
    assert {s["name"]: s["value"] for s in run["configuration"]} == {
        "lora_r": "2",
        "lora_alpha": "4",
    }


def test_a_run_is_compared_with_the_chain(client: TestClient, honest: Run) -> None:
    run = client.get(at(honest)).json()
    chain = run["source"]["chain"]
    assert chain["status"] == "on_chain"
    assert chain["size"] == len(honest.records())
    assert chain["root"] == "0x" + Tree(r.entry for r in honest.records()).root().hex()
    assert run["source"]["head"]["holds"] is True
    assert run["registry"] == run["registry"] | {
        "opening_matches": True,
        "signer_is_owner": True,
        "seed_drawn": True,
    }
    page = page_of(client, at(honest))
    block = chain["committed_block"]
    link = f'<a href="/block/{block}">{block}</a>'
    assert f"of {chain['size']} records, committed in block {link}" in page
    assert "Its signature was not checked here" in page


def test_every_record_is_shown_as_it_is_hashed(client: TestClient, honest: Run) -> None:
    records = honest.records()
    for index, record in enumerate(records):
        shown = client.get(at(honest, f"/records/{index}")).json()
        assert shown["canonical"].encode() == record.to_bytes()
        assert (shown["digest"], shown["entry"]) == (str(record.digest), str(record.entry))
        assert shown["digest_checked"] is True
        assert shown["previous"] == (index - 1 if index else None)
        assert shown["next"] == (index + 1 if index + 1 < len(records) else None)
        raw = client.get(f"/records/{record.digest}")
        assert raw.content == record.to_bytes()
        assert "immutable" in raw.headers["cache-control"]


def test_every_path_leads_to_the_root_on_chain(client: TestClient, honest: Run) -> None:
    records = honest.records()
    root = Tree(r.entry for r in records).root()
    for index, record in enumerate(records):
        found = client.get(at(honest, f"/records/{index}")).json()["inclusion"]
        path = [bytes.fromhex(step["hash"][2:]) for step in found["path"]]
        verify_inclusion(record.entry, index, found["size"], path, root)
        assert found["on_chain"] is True
        assert f"number {index} of the {len(records)} records under head" in found["shows"]


def test_records_behind_the_head_have_no_proof(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    index = run.log(run.release_record("later:1"))
    client = make_client(run.folder.root)
    shown = client.get(at(run, f"/records/{index}")).json()
    assert shown["inclusion"] is None
    assert shown["source"]["chain"]["status"] == "on_chain"
    page = page_of(client, at(run, f"/records/{index}"))
    assert "The 1 records after them are under no head on chain." in page


def test_other_records_than_those_on_chain_are_called_so(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    """The attack: a journal that was rewritten, with its run's id and heads beside it."""
    run = honest.copy(tmp_path / "copy")
    run.rewrite(lambda records: [replace(r, time="2026-01-02T03:04:06Z") for r in records])
    client = make_client(run.folder.root)
    shown = client.get(at(run, "/records/3")).json()
    assert shown["source"]["chain"]["status"] == "differs"
    assert shown["source"]["head"] is None
    assert shown["inclusion"] is None
    assert client.get(at(run)).json()["registry"]["opening_matches"] is False
    page = page_of(client, at(run))
    assert "Contradiction" in page
    assert "record 0 is not the one that was fixed on chain" in page


def test_a_log_that_was_cut_is_not_called_compared(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    run.rewrite(lambda records: records[:-2])
    client = make_client(run.folder.root)
    assert client.get(at(run)).json()["source"]["chain"]["status"] == "missing_records"
    assert "Records are missing" in page_of(client, at(run))


def test_a_run_that_nobody_opened_is_not_on_chain(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    stranger = "0x" + 32 * "ab"
    run.folder.info.write_text(f'{{"run_id": "{stranger}"}}')
    client = make_client(run.folder.root)
    shown = client.get(f"/runs/{stranger}").json()
    assert shown["source"]["chain"]["status"] == "not_on_chain"
    assert shown["registry"] is None


def test_a_chain_that_does_not_answer_is_said(make_client: ClientFactory, honest: Run) -> None:
    def down() -> object:
        raise UnavailableError("chain does not answer", where="http://private:1")

    client = make_client(honest.folder.root, reader=down)
    for path in (at(honest), at(honest, "/records"), at(honest, "/records/2")):
        chain = client.get(path).json()["source"]["chain"]
        assert chain["status"] == "unanswered"
        page = page_of(client, path)
        assert "Not compared with the chain: chain does not answer" in page
        assert "On chain:" not in page
        assert "private" not in page
    local = client.get(at(honest, "/records/2")).json()["inclusion"]
    assert local["on_chain"] is False
    assert "does not show that the head is on chain" in local["shows"]


def test_an_altered_row_is_no_record(
    make_client: ClientFactory, honest: Run, database: Database
) -> None:
    client = make_client(honest.folder.root)
    digest = honest.records()[2].digest
    with database.session() as session:
        session.execute(
            text(
                'UPDATE records SET body = (SELECT body FROM records WHERE "index" = 3) '
                'WHERE "index" = 2'
            )
        )
    for path in (at(honest, "/records/2"), f"/records/{digest}"):
        found = client.get(path)
        assert (found.status_code, found.json()["type"]) == (
            500,
            "urn:provenance:problem:verification",
        ), path


def test_an_altered_entry_leads_to_no_proof(
    make_client: ClientFactory, honest: Run, database: Database
) -> None:
    client = make_client(honest.folder.root)
    with database.session() as session:
        session.execute(text('UPDATE records SET entry = run_id WHERE "index" = 4'))
    shown = client.get(at(honest, "/records/2")).json()
    assert shown["inclusion"] is None
    assert shown["source"]["chain"]["status"] == "differs"


def test_a_run_under_a_trusted_address_that_did_not_open_it_is_not_trusted(
    make_client: ClientFactory, honest: Run, lab: Lab, data: Data, tmp_path: Path
) -> None:
    """The attack: a stranger's run whose record 0 names a trusted publisher's address."""
    signer = {"signer": lab.session().address}
    plan = Plan(session="impostor", prove=False, release=False, opening=signer)
    run = build_run(lab, data, tmp_path / "impostor", plan)
    client = make_client(run.folder.root)
    assert client.get(at(run)).json()["registry"]["signer_is_owner"] is False
    page = page_of(client, at(run))
    assert "nothing here shows that it opened this run" in page
    assert "on chain it owns this run" not in page
    assert "on chain it owns this run" in page_of(make_client(honest.folder.root), at(honest))
    assert "says it is default" in page_of(client, "/runs")


def test_lists_are_paged_to_their_end(client: TestClient, honest: Run) -> None:
    found, path = [], at(honest, "/records?limit=3")
    while path:
        page = client.get(path).json()
        assert len(page["records"]) <= 3
        found += [line["digest"] for line in page["records"]]
        path = page["next"]
    assert found == [str(r.digest) for r in honest.records()]
    batches = client.get(at(honest, "/records?type=batch&limit=100")).json()["records"]
    assert {line["type"] for line in batches} == {"batch"}
    assert batches[0]["says"] == "positions 0-7 of epoch 0, step 1"


@pytest.mark.parametrize("after", ["-1", "x", "", "1.5", "99", "9" * 17, "0x1", "%D9%A1"])
def test_bad_cursors_are_refused(client: TestClient, honest: Run, after: str) -> None:
    found = client.get(at(honest, f"/records?after={after}"))
    assert found.status_code == 400
    assert found.json()["type"] == "urn:provenance:problem:bad-cursor"


@pytest.mark.parametrize("after", [*ODD, "0x" + 64 * "0"])
def test_bad_cursors_of_runs_are_refused(client: TestClient, honest: Run, after: str) -> None:
    found = client.get(f"/runs?after={after}")
    assert found.status_code == 400
    assert found.json()["type"] == "urn:provenance:problem:bad-cursor"


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1e2"])
def test_limits_are_from_1_to_100(client: TestClient, honest: Run, limit: str) -> None:
    for path in ("/runs", at(honest, "/records")):
        assert client.get(f"{path}?limit={limit}").status_code == 400


@pytest.mark.parametrize("odd", ODD)
def test_odd_ids_are_refused(client: TestClient, honest: Run, odd: str) -> None:
    for path in (f"/runs/{odd}", f"/runs/{odd}/records", f"/runs/{odd}/records/0"):
        for headers in ({}, HTML):
            assert client.get(path, headers=headers).status_code in (400, 404), path
    for path in (at(honest, f"/records/{odd}"), f"/records/{odd}"):
        assert client.get(path).status_code in (400, 404), path


def test_unknown_things_are_404(client: TestClient, honest: Run) -> None:
    nobody = "/runs/0x" + 64 * "0"
    for path in (
        nobody,
        f"{nobody}/records",
        f"{nobody}/records/0",
        at(honest, "/records/14"),
        at(honest, "/records/9007199254740991"),
        f"/records/sha256:{64 * '0'}",
    ):
        assert client.get(path).status_code == 404, path
        page_of(client, path)
    assert client.get(at(honest, "/records/9007199254740992")).status_code == 400
    assert client.get(at(honest, "/records?type=nothing")).status_code == 400


def test_hostile_words_are_text_on_every_page(
    make_client: ClientFactory, lab: Lab, data: Data, tmp_path: Path
) -> None:
    bad = HOSTILE + "\u202e\x1b[2J" + "a" * 3000
    opening = {
        "config": {bad: bad, "lora_r": bad, **{f"k{i}": i for i in range(500)}},
        "base": {"content": str(lab.trust.digest), "name": bad, "files": {}},
        "code": {bad: bad},
        "dataset": {"root": bad, "depth": bad, "count": 40, "dataset_id": bad},
    }
    fields = {"run.close": {"summary": {bad: bad}}}
    plan = Plan(prove=False, release=False, opening=opening, fields=fields)
    run = build_run(lab, data, tmp_path / "bad", plan)
    index = run.log(run.release_record(bad))
    run.log(Record.make("eval", "2026-01-02T03:04:05Z", step=1, metrics={bad: bad}, subject=bad))
    client = make_client(run.folder.root)
    for path in (
        at(run),
        at(run, "/records"),
        at(run, f"/records/{index}"),
        at(run, f"/records/{index + 1}"),
        at(run, "/records/0"),
        "/runs",
    ):
        page = page_of(client, path)
        assert "<script>alert" not in page, path
        assert "\u202e" not in page, path
        assert "\x1b" not in page, path
        assert len(page) < 200_000, path
        assert client.get(path).status_code == 200


def test_a_hostile_host_header_does_not_write_commands(client: TestClient, honest: Run) -> None:
    for host in ("evil'; rm -rf ~; '", "a/b", "x" * 300, "<b>"):
        shown = client.get(at(honest, "/records/2"), headers={"host": host}).json()
        assert "http://127.0.0.1:8000/" in shown["commands"]["digest"]


def test_a_broken_folder_has_a_page_that_says_so(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    data = bytearray(run.folder.journal.read_bytes())
    data[len(data) // 2] ^= 1
    run.folder.journal.write_bytes(data)
    client = make_client(run.folder.root)
    for path in (at(run), at(run, "/records"), at(run, "/records/1")):
        found = client.get(path)
        assert (found.status_code, found.json()["type"]) == (
            404,
            "urn:provenance:problem:broken-run",
        )
        assert "journal is damaged before its end" in found.json()["detail"]
        assert str(tmp_path) not in found.text
        page_of(client, path)
    listed = client.get("/runs")
    assert "journal is damaged before its end" in listed.json()["damaged"][0]
    assert str(tmp_path) not in listed.text
    assert "Folders that cannot be read (1)" in page_of(client, "/runs")


def test_a_folder_that_broke_later_is_shown_as_it_was(
    make_client: ClientFactory, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    client = make_client(run.folder.root)
    assert client.get(at(run)).json()["damage"] is None
    data = bytearray(run.folder.journal.read_bytes())
    data[len(data) // 2] ^= 1
    run.folder.journal.write_bytes(data)
    client.get("/runs")  # looks at the folders again
    assert "journal is damaged" in client.get(at(run)).json()["damage"]
    assert "cannot be read any more" in page_of(client, at(run))


def test_answers_are_sent_once(client: TestClient, honest: Run) -> None:
    record = honest.records()[2]
    for path in ("/runs", at(honest), at(honest, "/records/2"), f"/records/{record.digest}"):
        first = client.get(path)
        again = client.get(path, headers={"if-none-match": f'W/"x", {first.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200
    assert client.get(at(honest)).headers["cache-control"] == "no-cache"
    assert client.get(at(honest)).headers["vary"] == "Accept"


@pytest.fixture
def site(make_state: StateFactory, honest: Run) -> Iterator[str]:
    with serving(create_app(make_state(honest.folder.root))) as url:
        yield url


def shell(command: str) -> subprocess.CompletedProcess[str]:
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": programs},
        check=False,
        timeout=120,
    )


def test_the_commands_of_a_record_do_what_the_page_says(site: str, honest: Run) -> None:
    import httpx

    for index in (0, 5, len(honest.records()) - 1):
        shown = httpx.get(f"{site}{at(honest, f'/records/{index}')}").json()
        commands = shown["commands"]
        printed = shell(commands["digest"])
        assert printed.stdout.split() == [shown["digest"].removeprefix("sha256:"), "-"]
        path = shell(commands["path"])
        assert path.stdout.strip() == f"record {index} is under root {shown['inclusion']['root']}"
        folder = commands["evidence"].replace("RUN_FOLDER", str(honest.folder.root))
        assert f"record {index} (" in shell(folder).stdout


def test_the_command_for_a_path_refuses_another_record(site: str, honest: Run) -> None:
    import httpx

    command = httpx.get(f"{site}{at(honest, '/records/5')}").json()["commands"]["path"]
    for lie in ('s/"index":5/"index":6/', 's/"entry":"sha256:......../"entry":"sha256:00000000/'):
        assert "| python3" in command
        found = shell(command.replace("| python3", f"| sed '{lie}' | python3"))
        assert found.returncode == 1 or "is NOT" in found.stdout

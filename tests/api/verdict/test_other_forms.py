"""A verdict in its other forms: SARIF, a badge, and asked for by the files of a folder."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any
from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient

from provenance.artifacts.manifest import FileEntry, Manifest, manifest_of
from provenance.digest import sha256
from provenance.errors import UnavailableError
from provenance.judgement.sarif import MEDIA_TYPE
from provenance.judgement.verdict import TABLE, Status
from provenance_api.routes import verify
from provenance_api.routes.verify import MAX_FOLDER_BYTES
from provenance_api.web.badge import badge
from tests.support.chain import Lab
from tests.support.service import HTML, ClientFactory
from tests.support.spine import Data, Plan, Run, build_run

NOBODY = sha256(b"never released")


@pytest.fixture(scope="module")
def foldered(lab: Lab, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An unproven run whose release binds the files of its folder."""
    plan = Plan(model=b"in a folder", prove=False, release=False, opening={"code": {"commit": "f"}})
    run = build_run(lab, data, tmp_path_factory.mktemp("foldered"), plan)
    (run.folder.release / "README.md").write_text("how to run it")
    record = run.release_record("in-a-folder")
    fields = {**record.fields, "manifest": str(manifest_of(run.folder.release).root)}
    run.claim(run.log(type(record).make("release", **fields)))
    return run


def listed(run: Run) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = manifest_of(run.folder.release).to_json()["files"]
    return files


# SARIF.


def test_sarif_is_answered_to_whoever_asks_for_it(client: TestClient, honest: Run) -> None:
    for answer in (
        client.get(f"/verify/{honest.model}", headers={"accept": MEDIA_TYPE}),
        client.get(f"/verify/{honest.model}?format=sarif"),
        client.get("/verify", params={"id": str(honest.model), "format": "sarif"}),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPE)
        assert "accept" in answer.headers["vary"].lower()
        (run,) = answer.json()["runs"]
        assert run["properties"]["status"] == "verified"
        assert {r["kind"] for r in run["results"]} == {"pass", "open"}


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        (HTML["accept"], "text/html; charset=utf-8"),
        (f"{MEDIA_TYPE};q=0.1, application/json", "application/json"),
        (f"{MEDIA_TYPE}, application/json;q=0.9", MEDIA_TYPE),
    ],
)
def test_nobody_else_gets_it(client: TestClient, honest: Run, accept: str, media: str) -> None:
    answer = client.get(f"/verify/{honest.model}", headers={"accept": accept})
    assert answer.headers["content-type"] == media


def test_a_model_that_nobody_released_fails_in_sarif(client: TestClient) -> None:
    answer = client.get(f"/verify/{NOBODY}?format=sarif")
    assert answer.status_code == 404
    first = answer.json()["runs"][0]["results"][0]
    assert (first["ruleId"], first["level"]) == ("verdict", "error")


# Badges.


def words(drawn: str) -> list[str]:
    root = ElementTree.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return [str(each.text) for each in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("status", Status)
def test_every_status_has_a_badge_with_its_word(status: Status) -> None:
    assert words(badge(status)) == ["provenance", TABLE[status].word]


def test_a_good_verdict_of_development_says_so() -> None:
    assert words(badge(Status.VERIFIED, True))[1] == "Verified (development)"
    assert words(badge(Status.FAILED, True))[1] == "Failed"


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2) of `#rrggbb`."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("development", [False, True])
def test_the_words_can_be_read(status: Status, development: bool) -> None:
    root = ElementTree.fromstring(badge(status, development))
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert 1.05 / (luminance(rect.attrib["fill"]) + 0.05) >= 4.5


def test_a_badge_says_what_the_verdict_says(client: TestClient, honest: Run) -> None:
    for asked in (honest.model, "model", f"0x{honest.model.hex()}"):
        answer = client.get(f"/badge/{asked}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
        assert words(answer.text)[1] == client.get(f"/verify/{asked}").json()["word"]
    again = client.get("/badge/model", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("asked", [str(NOBODY), "nobody", "<script>alert(1)</script>"])
def test_an_unknown_model_has_a_badge_that_says_so(client: TestClient, asked: str) -> None:
    answer = client.get(f"/badge/{asked}")
    assert (answer.status_code, words(answer.text)[1]) == (200, "Not found")
    assert "script" not in answer.text


def test_a_badge_of_no_id_is_a_problem(client: TestClient) -> None:
    answer = client.get("/badge/sha256:12")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_badge_while_the_chain_is_away_is_not_green(
    make_client: ClientFactory, honest: Run
) -> None:
    def away() -> Any:
        raise UnavailableError("no chain")

    client = make_client(honest.folder.root, reader=away)
    answer = client.get(f"/badge/{honest.model}")
    assert answer.status_code == 503 or words(answer.text)[1] == "Undetermined"


# Folders.


def test_a_folder_is_found_by_its_files(make_client: ClientFactory, foldered: Run) -> None:
    client = make_client(foldered.folder.root)
    files = listed(foldered)
    manifest = Manifest.listed(json.dumps({"files": files}).encode())
    for body in ({"files": files[::-1]}, manifest_of(foldered.folder.release).to_json()):
        answer = client.post("/verify", json=body)
        subject = answer.json()["subject"]
        assert (answer.status_code, subject["asked_by"]) == (200, "manifest")
        assert subject["digest"] == str(foldered.model)
        assert subject["asked"] == str(manifest.root)
    page = client.post("/verify", json={"files": files}, headers=HTML)
    assert page.headers["content-type"].startswith("text/html")


def renamed(files: list[dict[str, Any]]) -> None:
    files[0]["path"] = "OTHER.md"


def changed(files: list[dict[str, Any]]) -> None:
    files[0]["sha256"] = str(NOBODY)


def grown(files: list[dict[str, Any]]) -> None:
    files[0]["size"] += 1


def added(files: list[dict[str, Any]]) -> None:
    files.append({"path": "tokenizer.json", "size": 1, "sha256": str(NOBODY)})


def removed(files: list[dict[str, Any]]) -> None:
    files.pop(0)


@pytest.mark.parametrize("change", [renamed, changed, grown, added, removed])
def test_a_folder_with_another_file_is_not_found(
    make_client: ClientFactory, foldered: Run, change: Any
) -> None:
    files = listed(foldered)
    change(files)
    answer = make_client(foldered.folder.root).post("/verify", json={"files": files})
    assert (answer.status_code, answer.json()["status"]) == (404, "not_found")


FILE = {"path": "a", "size": 1, "sha256": str(NOBODY)}
BAD: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "null": b"null",
    "no files": b"{}",
    "empty": b'{"files": []}',
    "files of text": b'{"files": "ab"}',
    "files of numbers": b'{"files": [1]}',
    "no size": json.dumps({"files": [{"path": "a", "sha256": str(NOBODY)}]}).encode(),
    "negative": json.dumps({"files": [FILE | {"size": -1}]}).encode(),
    "a fraction": json.dumps({"files": [FILE | {"size": 1.5}]}).encode(),
    "true": json.dumps({"files": [FILE | {"size": True}]}).encode(),
    "huge": json.dumps({"files": [FILE | {"size": 2**64}]}).encode(),
    "no digest": json.dumps({"files": [FILE | {"sha256": "12"}]}).encode(),
    "a number as digest": json.dumps({"files": [FILE | {"sha256": 12}]}).encode(),
    "a path above": json.dumps({"files": [FILE | {"path": "../a"}]}).encode(),
    "a number as path": json.dumps({"files": [FILE | {"path": 3}]}).encode(),
    "twice": json.dumps({"files": [FILE, FILE]}).encode(),
    "not UTF-8": b'{"files": [{"path": "\xff"}]}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_what_is_no_list_of_files_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/verify", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["type"] == "urn:provenance:problem:input"
    assert len(answer.content) < 2000


def test_a_body_without_end_is_not_read(client: TestClient) -> None:
    answer = client.post("/verify", content=b" " * (MAX_FOLDER_BYTES + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_long_list_keeps_nobody_waiting(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: send lists that take a second each, to the thread that answers everybody."""
    asked = []

    def listed(_: bytes) -> Manifest:
        with suppress(RuntimeError):
            asked.append(asyncio.get_running_loop())
        return Manifest((FileEntry("a", 0, sha256(b"")),))

    monkeypatch.setattr(verify.Manifest, "listed", listed)
    assert client.post("/verify", content=b"{}").status_code == 404
    assert asked == []


def test_a_long_path_is_not_sent_back(client: TestClient) -> None:
    path = "a" * 200_000
    files = [{"path": path, "size": 1, "sha256": "a" * 64}] * 2
    answer = client.post("/verify", json={"files": files})
    assert answer.status_code == 400
    assert len(answer.content) < 2_000

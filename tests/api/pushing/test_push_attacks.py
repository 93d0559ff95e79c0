"""What somebody who may push, or may not, sends instead of a run's evidence."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance.digest import sha256
from provenance.errors import InputError, UnavailableError
from provenance.ids import to_hex
from provenance.layout import RunFolder
from provenance.push import files
from provenance.push.copy import MOST_PIECE_BYTES, NOTHING, pieces
from provenance.push.sending import send
from provenance_api.state import Limits
from provenance_api.tenants import room as rooms
from provenance_api.tenants.inbox import Inbox
from provenance_api.tenants.room import InboxFull
from tests.api.pushing.conftest import Box
from tests.support.chain import Lab
from tests.support.spine import Run


@pytest.fixture
def kind() -> str:
    return "sqlite"


def digest(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(sha256(data)).decode()}:"


def at(run: Run, rest: str = "") -> str:
    return f"/push/{to_hex(run.run_id)}{rest}"


def put(box: Box, run: Run, name: str, data: bytes, token: str | None = None) -> Any:
    token = token or box.token()
    return box.ask("PUT", at(run, f"/files/{name}"), token, data, Content_Digest=digest(data))


def asks(run: Run) -> list[tuple[str, str, bytes, dict[str, str]]]:
    _, piece, _ = next(pieces(run.folder.journal, NOTHING))
    return [
        ("GET", at(run), b"", {}),
        ("PATCH", at(run, "/journal"), piece, {"Upload_Offset": "0"}),
        ("PUT", at(run, "/files/heads.jsonl"), b"", {"Content_Digest": digest(b"")}),
        ("POST", at(run, "/check"), b"", {}),
    ]


def test_nobody_pushes_without_a_token_that_may(box: Box, honest: Run) -> None:
    reads, unknown = box.token(may_push=False), box.token("acme")
    for method, path, body, headers in asks(honest):
        for token, status in ((None, 401), ("nonsense", 401), (unknown, 401), (reads, 403)):
            answer = box.ask(method, path, token, body, **headers)
            assert answer.status_code == status, (method, path, token)
            assert ("WWW-Authenticate" in answer.headers) is (status == 401)
            assert str(token) not in answer.text
    assert box.files() == {}


def test_a_service_without_an_inbox_takes_nothing(
    make_box: Callable[..., Box], honest: Run
) -> None:
    box = make_box(inbox=None)
    for method, path, body, headers in asks(honest):
        assert box.ask(method, path, box.token(), body, **headers).status_code == 404


NAMES = [
    "../../../../escaped",
    "..%2f..%2fescaped",
    "%2e%2e/%2e%2e/escaped",
    "secrets/salts.sqlite",
    "secrets",
    ".nodes/0",
    "journal",
    "epochs/../heads.jsonl",
    "epochs/0/proof-0.json/x",
    "epochs/00/proof-0.json",
    "epochs/0/proof-9999999.json",
    "epochs/0/proof-0.json%00",
    "epochs/0/proof-0.json%0ax",
    "keys/0xABC/vk.words",
    f"keys/0x{'A' * 64}/vk.words",
    "run.json.new",
    "/etc/passwd",
    "heads.jsonl/",
    "x" * 199,
    "\u0661",
]


@pytest.mark.parametrize("name", NAMES)
def test_no_other_name_is_written(box: Box, honest: Run, name: str) -> None:
    send(honest.folder, box.service(honest))
    before = box.files()
    assert put(box, honest, name, b"{}").status_code in (400, 404)
    assert box.files() == before
    assert not list(box.inbox.parent.rglob("escaped*"))


@pytest.mark.parametrize("run_id", ["0x12", "x" * 66, "0x" + "g" * 64, "%2e%2e%2f" * 8])
def test_no_other_run_id_is_written(box: Box, honest: Run, run_id: str) -> None:
    for method, path, body, headers in asks(honest):
        asked = path.replace(to_hex(honest.run_id), run_id)
        assert box.ask(method, asked, box.token(), body, **headers).status_code in (400, 404, 405)
    assert box.files() == {}


CONTENTS = {
    "run.json": [b"", b"[]", b"{", b'{"run_id": "0x00"}', b"\xff"],
    "heads.jsonl": [b"x\n", b"{}\n", b'{"run_id"'],
    "cosignatures.jsonl": [b"x\n", b"[]\n"],
    "attestations.jsonl": [b"\xff\n"],
    "release.manifest.json": [b"[1]", b"{" * 100_000],
    "epochs/0/proof-0.json": [b"", b'{"a": NaN}'],
    "dataset/registration.json": [b"null"],
}


@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_no_such_file_is_refused(box: Box, honest: Run, name: str) -> None:
    send(honest.folder, box.service(honest))
    before = box.files()
    for data in CONTENTS[name]:
        answer = put(box, honest, name, data)
        assert answer.status_code == 400, data[:40]
        assert answer.json()["type"].startswith("urn:provenance:problem:")
    assert box.files() == before


def test_files_of_another_run_are_refused(box: Box, honest: Run, twice: Run) -> None:
    send(honest.folder, box.service(honest))
    for name in ("heads.jsonl", "run.json"):
        data = files.content_to_send(twice.folder, name, 1 << 30)[0]
        answer = put(box, honest, name, data)
        assert (answer.status_code, "another run" in answer.json()["detail"]) == (400, True)


def test_a_path_of_the_senders_machine_is_refused(box: Box, honest: Run) -> None:
    """A client that sends run.json as it is tells more than its owner may know."""
    send(honest.folder, box.service(honest))
    info = json.loads(honest.folder.info.read_bytes()) | {"dataset": "/home/ada/data"}
    assert put(box, honest, "run.json", json.dumps(info).encode()).status_code == 400


def test_a_key_has_the_id_of_its_folder(box: Box, honest: Run) -> None:
    send(honest.folder, box.service(honest))
    [words, *_] = sorted(honest.folder.evidence.glob("keys/*/vk.words"))
    name, data = f"keys/{words.parent.name}/vk.words", words.read_bytes()
    assert put(box, honest, name, data).status_code == 204
    assert put(box, honest, name, data[:-1] + b"\0").status_code == 400
    assert put(box, honest, name.replace("vk.words", "p_bases.bin"), b"x" * 65).status_code == 400


def test_a_file_that_changed_on_the_way_is_refused(box: Box, honest: Run) -> None:
    send(honest.folder, box.service(honest))
    before, path = box.files(), at(honest, "/files/heads.jsonl")
    for given in (digest(b"other"), "sha-256=:AAAA:", "md5=:AAAA:", "", "sha-256=" + "A" * 150):
        assert box.ask("PUT", path, box.token(), b"", Content_Digest=given).status_code == 400
    assert box.ask("PUT", path, box.token(), b"").status_code == 400
    assert box.files() == before


def test_a_file_needs_its_runs_journal(box: Box, honest: Run) -> None:
    """The attack: fill the inbox with folders of runs that nobody trained."""
    assert put(box, honest, "heads.jsonl", b"").status_code == 404
    assert box.ask("POST", at(honest, "/check"), box.token()).status_code == 404
    assert box.files() == {}


def test_a_run_that_the_chain_does_not_have_is_refused(box: Box, honest: Run) -> None:
    stranger = replace(honest, run_id=type(honest.run_id)(sha256(b"no run")))
    _, piece, _ = next(pieces(honest.folder.journal, NOTHING))
    token = box.token()
    answer = box.ask("PATCH", at(stranger, "/journal"), token, piece, Upload_Offset="0")
    assert (answer.status_code, answer.json()["type"][-16:]) == (400, "refused-evidence")
    assert box.files() == {}


def test_another_runs_journal_is_refused(box: Box, honest: Run, twice: Run) -> None:
    _, piece, _ = next(pieces(twice.folder.journal, NOTHING))
    answer = box.ask("PATCH", at(honest, "/journal"), box.token(), piece, Upload_Offset="0")
    assert answer.status_code == 400
    assert "begins otherwise" in answer.json()["detail"]
    assert box.files() == {}


@pytest.mark.parametrize("offset", ["-1", "1", "x", "", "1e3", "9" * 40, "0, 0"])
def test_odd_offsets_write_nothing(box: Box, honest: Run, offset: str) -> None:
    _, piece, _ = next(pieces(honest.folder.journal, NOTHING))
    answer = box.ask("PATCH", at(honest, "/journal"), box.token(), piece, Upload_Offset=offset)
    assert answer.status_code in (400, 409)
    assert answer.json().get("received", 0) == 0
    assert box.files() == {}


def test_a_long_body_is_refused_before_it_is_whole(box: Box, honest: Run) -> None:
    send(honest.folder, box.service(honest))
    before = box.files()
    piece = bytes(MOST_PIECE_BYTES + 1)
    answer = box.ask("PATCH", at(honest, "/journal"), box.token(), piece, Upload_Offset="0")
    assert answer.status_code == 413
    assert put(box, honest, "run.json", bytes(1 << 20)).status_code == 413
    assert box.files() == before


def test_a_tenants_room_ends(make_box: Callable[..., Box], honest: Run) -> None:
    box = make_box(limits=Limits(fresh_s=0.0, reindex_s=0.0, inbox_bytes=4000))
    token = box.token()
    for offset, piece, _ in pieces(honest.folder.journal, NOTHING):
        answer = box.ask("PATCH", at(honest, "/journal"), token, piece, Upload_Offset=str(offset))
    assert (answer.status_code, answer.json()["type"][-10:]) == (507, "inbox-full")
    assert str(box.inbox) not in answer.text
    assert sum(map(len, box.files().values())) <= 4000


def test_runs_and_files_of_a_tenant_are_counted(
    honest: Run, twice: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {run.run_id: run.lab.reader().final().run(run.run_id) for run in (honest, twice)}
    monkeypatch.setattr(rooms, "MOST_RUNS", 1)
    monkeypatch.setattr(rooms, "MOST_RUN_FILES", 2)
    now = [0.0]
    box = Inbox(tmp_path, lambda run_id: facts[run_id], 1 << 30, lambda: now[0])
    for offset, piece, _ in pieces(honest.folder.journal, NOTHING):
        box.append("acme", honest.run_id, offset, piece)
    box.put("acme", honest.run_id, "heads.jsonl", sha256(b""), b"")
    _, other, _ = next(pieces(twice.folder.journal, NOTHING))
    for _ in range(2):
        with pytest.raises(InboxFull):
            box.put("acme", honest.run_id, "release.oms.json", sha256(b"{}"), b"{}")
        with pytest.raises(InboxFull):
            box.append("acme", twice.run_id, 0, other)
        now[0] += 100  # it is counted again
    box.append("bolt", twice.run_id, 0, other)


def test_a_link_in_the_inbox_is_not_followed(box: Box, honest: Run, tmp_path: Path) -> None:
    """Somebody who writes to the inbox's disk leads it elsewhere."""
    send(honest.folder, box.service(honest))
    target = tmp_path / "target"
    target.write_bytes(b"kept")
    journal = box.pushed(honest) / "journal"
    whole = journal.read_bytes()
    journal.unlink()
    journal.symlink_to(target)
    assert box.ask("GET", at(honest), box.token()).status_code >= 400
    assert target.read_bytes() == b"kept"
    journal.unlink()
    journal.write_bytes(whole)
    heads = box.pushed(honest) / "heads.jsonl"
    heads.unlink()
    heads.symlink_to(target)
    assert put(box, honest, "heads.jsonl", b"").status_code < 300
    assert target.read_bytes() == b"kept"


def test_a_disk_that_refuses_loses_nothing(
    box: Box, honest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = pieces(honest.folder.journal, NOTHING)
    real = os.fdatasync

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    token = box.token()
    monkeypatch.setattr(os, "fsync", full)
    answer = box.ask("PATCH", at(honest, "/journal"), token, first[1], Upload_Offset="0")
    assert answer.status_code == 500
    assert str(box.inbox) not in answer.text
    assert box.files() == {}
    monkeypatch.undo()
    assert os.fdatasync is real
    send(honest.folder, box.service(honest))
    assert box.service(honest).check().faults == ()


def test_a_damaged_copy_is_said_and_kept(box: Box, honest: Run) -> None:
    send(honest.folder, box.service(honest))
    journal = box.pushed(honest) / "journal"
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    assert box.ask("GET", at(honest), box.token()).status_code == 500
    assert journal.read_bytes() == data


def test_texts_of_the_documentation_name_every_file(box: Box) -> None:
    text = Path("docs/service.md").read_text()
    for kind in files.KINDS:
        last = kind.name.pattern.rsplit("/", 1)[-1]
        word = re.sub(r"\\|\(\?:[^)]*\)+.*", "", last)
        assert word.split("-")[0] in text, kind


def test_a_silent_chain_is_no_refusal(make_box: Callable[..., Box], honest: Run, lab: Lab) -> None:
    def silent() -> Any:
        raise UnavailableError("the endpoint does not answer")

    box = make_box(reader=silent)
    _, piece, _ = next(pieces(honest.folder.journal, NOTHING))
    answer = box.ask("PATCH", at(honest, "/journal"), box.token(), piece, Upload_Offset="0")
    assert answer.status_code == 503
    assert box.files() == {}


def test_a_folder_that_is_no_run_is_not_pushed(tmp_path: Path, box: Box, honest: Run) -> None:
    empty = RunFolder(tmp_path / "empty")
    empty.evidence.mkdir(parents=True)
    with pytest.raises(InputError, match="cannot be read"):
        send(empty, box.service(honest))
    assert box.files() == {}

"""Pushing where answers are lost and files change meanwhile, and what the inbox bounds."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from provenance.errors import InputError, NotFound, OutputError, UnavailableError
from provenance.ids import to_hex
from provenance.push import copy as copying
from provenance.push.copy import NOTHING, JournalCopy, pieces
from provenance.push.sending import Pushing, send
from provenance.push.service import PushService
from provenance_api.routes import push as push_route
from provenance_api.state import Limits
from provenance_api.tenants import inbox as inboxes
from tests.api.pushing.conftest import Box
from tests.api.pushing.test_push_attacks import at, put
from tests.api.tenants.test_service_commands import provenance
from tests.support.spine import Run

LOST = UnavailableError("service does not answer")


@pytest.fixture
def kind() -> str:
    return "sqlite"


def losing(service: PushService, times: int) -> Callable[..., Any]:
    """Requests reach the service, and so many answers are lost on the way back."""
    once, left = service._once, [times]

    def ask(*given: Any, **named: Any) -> Any:
        answer = once(*given, **named)
        if given[0] != "GET" and left[0]:
            left[0] -= 1
            raise LOST
        return answer

    return ask


def test_lost_answers_end_no_push(box: Box, honest: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "PIECE_BYTES", 2000)
    service = box.service(honest)
    monkeypatch.setattr(service, "_once", losing(service, 4))
    pushing = Pushing(honest.folder, service)
    pushing.push()
    pushing.confirm()
    assert service.check(len(honest.records())).faults == ()


def test_a_service_that_never_answers_is_given_up(
    box: Box, honest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = box.service(honest)
    monkeypatch.setattr(service, "_once", losing(service, 1000))
    with pytest.raises(UnavailableError, match="does not answer"):
        send(honest.folder, service)


def test_heads_that_are_signed_during_a_push_wait_for_their_records(
    box: Box, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "run")
    whole = run.folder.journal.read_bytes()
    *_, (_, _, then) = pieces(run.folder.journal, NOTHING)
    with run.folder.journal.open("rb") as stream:
        ends = [p.offset for p in copying._ends(copying.FileBytes(stream), run.folder.journal)]
    run.folder.journal.write_bytes(whole[: ends[4]])
    service = box.service(run)

    class Growing(Pushing):
        def _send_files(self, *given: Any) -> None:
            run.folder.journal.write_bytes(whole)
            super()._send_files(*given)

    pushing = Growing(run.folder, service)
    assert pushing.push().records == 4
    assert service.check().faults == ()
    more = pushing.push()
    assert (more.records, more.new_files) == (then.records, ["heads.jsonl"])
    assert service.check().faults == ()
    assert box.pushed(run).joinpath("heads.jsonl").read_bytes() == run.folder.heads.read_bytes()


def test_lines_that_verifiers_skip_stop_nothing_and_are_told(
    box: Box, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "run")
    run.folder.attestations.write_bytes(b"\nnonsense\n{}\n" + b'{"torn": ')
    sent = send(run.folder, box.service(run))
    assert "attestations.jsonl (2 lines that verifiers skip)" in sent.kept
    assert box.pushed(run).joinpath("attestations.jsonl").read_bytes() == b"{}\n"
    assert box.service(run).check().faults == ()


def test_what_no_verifier_reads_is_refused_before_it_is_sent(
    box: Box, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "run")
    run.folder.attestations.write_bytes(b"{}\n" * (2 << 20))
    with pytest.raises(InputError, match="too large"):
        send(run.folder, box.service(run))


def test_a_path_of_the_service_is_not_told(box: Box, honest: Run) -> None:
    send(honest.folder, box.service(honest))
    for body in (b"garbage", b"PROVJNL1\xff\xff\xff\xff", b"\0" * 200):
        for offset in ("0", str(len(honest.folder.journal.read_bytes()))):
            answer = box.ask(
                "PATCH", at(honest, "/journal"), box.token(), body, Upload_Offset=offset
            )
            assert answer.status_code in (400, 409)
            assert str(box.inbox) not in answer.text


def test_runs_that_nobody_registered_leave_nothing(box: Box, honest: Run) -> None:
    _, piece, _ = next(pieces(honest.folder.journal, NOTHING))
    token = box.token()
    for number in range(3):
        path = f"/push/0x{number:064x}"
        headers = {"Upload_Offset": "0"}
        assert box.ask("PATCH", f"{path}/journal", token, piece, **headers).status_code == 400
        assert box.ask("GET", path, token).status_code == 200
    assert not box.inbox.exists() or not list(box.inbox.rglob("*"))


def test_one_run_is_read_at_a_time(box: Box, honest: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack: many checks at a time, each of which takes a run's memory."""
    send(honest.folder, box.service(honest))
    monkeypatch.setattr(push_route, "WAIT_S", 0.01)
    held = []
    agreement = inboxes._agreement

    def asking(*given: Any) -> Any:
        for path, method in (("/check", "POST"), ("", "GET")):
            held.append(box.ask(method, at(honest, path), box.token()).status_code)
        return agreement(*given)

    monkeypatch.setattr(inboxes, "_agreement", asking)
    assert box.ask("POST", at(honest, "/check"), box.token()).status_code == 200
    assert held[:2] == [503, 503]


def test_who_waits_for_a_check_is_in_nobodys_way(
    box: Box, honest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: more checks at a time than the service has threads."""
    send(honest.folder, box.service(honest))
    ended, agreement, token = threading.Event(), inboxes._agreement, box.token()

    def waiting(*given: Any) -> Any:
        assert ended.wait(60)
        return agreement(*given)

    monkeypatch.setattr(inboxes, "_agreement", waiting)
    with ThreadPoolExecutor(80) as pool:
        asked = [
            pool.submit(box.ask, "POST", at(honest, "/check"), token, timeout=90) for _ in range(80)
        ]
        try:
            answer = box.ask("GET", f"/runs/{to_hex(honest.run_id)}", timeout=15)
            assert answer.status_code == 200
        finally:
            ended.set()
        assert {each.result().status_code for each in asked} == {200}


def test_a_journal_has_an_end(box: Box, honest: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inboxes, "MOST_JOURNAL_BYTES", 3000)
    monkeypatch.setattr(copying, "PIECE_BYTES", 1000)
    with pytest.raises(InputError, match="longer than a service takes"):
        send(honest.folder, box.service(honest))
    assert box.pushed(honest).joinpath("journal").stat().st_size <= 3000


def test_a_sender_that_leaves_is_no_error_of_the_service(
    box: Box, honest: Run, caplog: pytest.LogCaptureFixture
) -> None:
    send(honest.folder, box.service(honest))
    parts = urlsplit(box.url)
    head = (
        f"PUT {at(honest)}/files/heads.jsonl HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
        f"Content-Digest: sha-256=:{'A' * 43}=:\r\nAuthorization: Bearer {box.token()}\r\n\r\n"
    )
    with caplog.at_level(logging.ERROR):
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as sender:
            sender.sendall(head.encode() + b"x" * 10)
        assert box.ask("GET", at(honest), box.token()).status_code == 200
    assert caplog.records == []


def test_a_copy_that_is_not_shown_is_told_and_can_be_mended(
    box: Box, honest: Run, tmp_path: Path
) -> None:
    """An operator removes a bad copy: its rows are there still, and a rebuild mends them."""
    run = honest.copy(tmp_path / "run")
    run.log(run.release_record("another"))
    service = box.service(run)
    send(run.folder, service)
    assert service.check().faults == ()
    box.pushed(run).joinpath("journal").unlink()
    send(honest.folder, service)
    [fault] = service.check().faults
    assert fault.startswith("not shown: ")
    assert str(box.inbox) not in fault
    url = box.store.owner.engine.url.render_as_string(hide_password=False)
    folder = str(box.pushed(run).parent)
    command = ("fsck", folder, "--database", url, "--rebuild", "--offline")
    assert provenance(run.lab, *command).returncode == 0
    os.utime(box.pushed(run) / "journal")
    assert service.check().faults == ()
    shown = box.ask("GET", f"/runs/{to_hex(run.run_id)}").json()
    assert [each["name"] for each in shown["releases"]] == ["model"]


def test_a_pushed_run_is_shown_when_the_check_ends(
    make_box: Callable[..., Box], honest: Run
) -> None:
    box = make_box(limits=Limits(fresh_s=0.0, reindex_s=1e9))
    service = box.service(honest)
    send(honest.folder, service)
    service.check()
    assert box.ask("GET", f"/runs/{to_hex(honest.run_id)}").status_code == 200


def test_a_copy_without_its_run_id_is_told(box: Box, honest: Run) -> None:
    service = box.service(honest)
    send(honest.folder, service)
    box.pushed(honest).joinpath("run.json").unlink()
    assert any(fault.startswith("run.json: ") for fault in service.check().faults)


def test_two_tokens_in_one_request_open_nothing(box: Box, honest: Run) -> None:
    parts = urlsplit(box.url)
    lines = [f"Authorization: Bearer {box.token()}\r\n"] * 2
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as sender:
        head = f"GET {at(honest)} HTTP/1.1\r\nHost: x\r\n{''.join(lines)}\r\n"
        sender.sendall(head.encode())
        assert sender.recv(100).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("value", ["/home/ada/secret", "https://key@rpc.example", 1.5, True, None])
def test_run_json_holds_identities_and_nothing_else(box: Box, honest: Run, value: object) -> None:
    import json

    send(honest.folder, box.service(honest))
    for key in ("ledger", "chain_id", "format"):
        info = json.loads(honest.folder.info.read_bytes())
        known = {name: info[name] for name in ("run_id",)} | {key: value}
        assert put(box, honest, "run.json", json.dumps(known).encode()).status_code == 400, key


def test_a_linked_copy_is_not_cut(honest: Run, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(honest.folder.journal.read_bytes() + b"\0\0\0\1")
    before = target.read_bytes()
    (tmp_path / "journal").symlink_to(target)
    with pytest.raises(OutputError):
        JournalCopy(tmp_path / "journal", lambda _: None).received()
    assert target.read_bytes() == before


def test_a_piece_that_the_disk_takes_by_half_is_taken_back(
    honest: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PIECE_BYTES", 2000)
    first, second, *_ = pieces(honest.folder.journal, NOTHING)
    path, write, calls = tmp_path / "journal", os.pwrite, [0]
    copy = JournalCopy(path, lambda _: None)
    copy.append(*first[:2])

    def half(fd: int, data: memoryview, offset: int) -> int:
        calls[0] += 1
        if calls[0] > 1:
            raise OSError(28, "No space left on device")
        return write(fd, bytes(data)[:100], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", half)
        with pytest.raises(OutputError):
            copy.append(*second[:2])
    assert path.read_bytes() == first[1]
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    copy.append(*second[:2])
    assert len(synced) == 1


def test_what_is_sent_is_durable_here_first(honest: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut here could take records that the service has, for ever."""

    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", refuse)
    with pytest.raises(OSError, match="Input/output"):
        next(pieces(honest.folder.journal, NOTHING))


def test_a_link_that_takes_a_files_place_is_not_followed(
    box: Box, honest: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who may write to the run folder leads a name to a secret while it is pushed."""
    run = honest.copy(tmp_path / "run")
    (tmp_path / "secret").write_text('{"private": "KEY"}')
    run.folder.attestations.write_bytes(b"{}\n")
    listed = ["attestations.jsonl"]
    monkeypatch.setattr("provenance.push.sending.files_to_send", lambda _: (listed, []))
    run.folder.attestations.unlink()
    run.folder.attestations.symlink_to(tmp_path / "secret")
    with pytest.raises(InputError):
        send(run.folder, box.service(run))
    run.folder.attestations.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        send(run.folder, box.service(run))  # it vanished meanwhile
    assert not any(b"KEY" in data for data in box.files().values())


def test_nothing_is_compared_that_is_not_there(box: Box, honest: Run) -> None:
    with pytest.raises(NotFound):
        box.service(honest).check()

"""A run that was pushed is judged and shown as one whose folder is there; secrets stay."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provenance.errors import Conflict, ProvenanceError
from provenance.ids import to_hex
from provenance.push import copy as copying
from provenance.push.copy import pieces
from provenance.push.sending import send
from tests.api.pushing.conftest import Box
from tests.support.service import ClientFactory
from tests.support.spine import Run

SECRET = ("secrets", "salts", "blindings", ".nodes")


def comparable(verdict: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in verdict.items() if name not in ("time", "judged")}


def test_a_pushed_run_is_judged_as_its_folder_is(
    box: Box, honest: Run, make_client: ClientFactory
) -> None:
    assert box.ask("GET", f"/verify/{honest.model}").json()["status"] == "indeterminate"
    service = box.service(honest)
    sent = send(honest.folder, service)
    assert sent.records == sent.new_records == len(honest.records())
    checked = service.check()
    assert checked.faults == ()
    assert checked.records == checked.anchored == len(honest.records())
    pushed = box.ask("GET", f"/verify/{honest.model}").json()
    beside = make_client(honest.folder.root).get(f"/verify/{honest.model}").json()
    assert pushed["status"] == "verified"
    assert comparable(pushed) == comparable(beside)
    assert box.ask("GET", f"/runs/{to_hex(honest.run_id)}").status_code == 200


def test_what_stays_with_the_owner_is_not_sent(box: Box, honest: Run, tmp_path: Path) -> None:
    run = honest.copy(tmp_path / "run")
    secrets = run.folder.evidence / "secrets"
    secrets.mkdir(exist_ok=True)
    (secrets / "salts.sqlite").write_bytes(b"SALT-OF-A-RECORD")
    (run.folder.evidence / "notes.txt").write_bytes(b"SALT-OF-A-RECORD")
    (run.folder.evidence / "epochs" / "link").symlink_to(secrets)
    (run.folder.evidence / "epochs" / "0" / "proof-9.json").symlink_to(secrets / "salts.sqlite")
    info = run.folder.info.read_text().replace("{", '{"dataset": "/home/ada/data", ', 1)
    run.folder.info.write_text(info)
    sent = send(run.folder, box.service(run))
    assert sent.kept == ["epochs/0/proof-9.json", "epochs/link", "notes.txt", "secrets/"]
    for name, data in box.files().items():
        assert not any(word in name for word in SECRET)
        assert b"SALT-OF" not in data
        assert b"/home/ada" not in data


def test_pushed_again_it_sends_only_what_is_new(box: Box, honest: Run, tmp_path: Path) -> None:
    run = honest.copy(tmp_path / "run")
    send(run.folder, box.service(run))
    before = box.files()
    again = send(run.folder, box.service(run))
    assert (again.new_records, again.new_files, again.bytes) == (0, [], 0)
    assert box.files() == before
    run.log(run.release_record("later"))
    run.folder.heads.write_bytes(b"".join(run.folder.heads.read_bytes().splitlines(True)[:-1]))
    more = send(run.folder, box.service(run))
    assert (more.new_records, more.new_files) == (1, ["heads.jsonl"])
    assert box.pushed(run).joinpath("journal").read_bytes() == run.folder.journal.read_bytes()


def test_a_push_that_is_stopped_anywhere_goes_on(
    box: Box, honest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PIECE_BYTES", 2000)

    class Stopped(Exception):
        pass

    service, done = box.service(honest), 0
    for stop in range(1, 200):
        left = stop

        def count(*_: object, of: int = stop) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Stopped(of)

        try:
            send(honest.folder, service, count)
        except Stopped:
            done += 1
            continue
        break
    assert done > 3
    assert service.check().faults == ()
    assert box.pushed(honest).joinpath("journal").read_bytes() == honest.folder.journal.read_bytes()


def test_two_who_push_one_run_write_one_journal(
    box: Box, honest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PIECE_BYTES", 1000)
    token = box.token()

    def attempt(_: int) -> None:
        for _ in range(50):
            try:
                send(honest.folder, box.service(honest, token))
            except Conflict:
                continue
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(attempt, range(4)))
    assert box.pushed(honest).joinpath("journal").read_bytes() == honest.folder.journal.read_bytes()
    assert box.service(honest).check().faults == ()


def test_a_release_in_a_pushed_run_shows_it_and_nothing_else_does(
    make_box: Callable[..., Box], twice: Run, tmp_path: Path
) -> None:
    box = make_box(others={"acme": (), "bolt": ()})
    run = twice.copy(tmp_path / "run")
    run.rewrite(lambda records: [r for r in records if r.type != "release"])
    token = box.token("acme")
    service = box.service(run, token)
    send(run.folder, service)
    service.check()
    page = f"/runs/{to_hex(run.run_id)}"
    assert box.ask("GET", page, token).status_code == 200
    assert box.ask("GET", page).status_code == 404
    assert box.ask("GET", page, box.token("bolt")).status_code == 404
    assert box.pushed(run, "acme").is_dir()
    other = box.service(run, box.token("bolt"))
    assert other.held().journal.records == 0


def test_what_contradicts_is_said_at_the_end(box: Box, honest: Run, tmp_path: Path) -> None:
    """The attack: a run's folder with another end than the chain has."""
    run = honest.copy(tmp_path / "run")
    run.rewrite(lambda records: [*records[:-1], run.release_record("another")])
    service = box.service(run)
    send(run.folder, service)
    faults = service.check().faults
    assert any(fault.startswith("heads.jsonl: ") for fault in faults)
    assert any(fault.startswith("chain: ") for fault in faults)


def test_a_copy_is_never_replaced_by_another_journal(box: Box, honest: Run, tmp_path: Path) -> None:
    send(honest.folder, box.service(honest))
    run = honest.copy(tmp_path / "run")
    run.rewrite(lambda records: [*records[:-1], run.release_record("another")])
    before = box.files()
    with pytest.raises(Conflict, match="another journal"):
        send(run.folder, box.service(run))
    offset, piece, _ = next(pieces(run.folder.journal, copying.NOTHING))
    with pytest.raises(ProvenanceError):
        box.service(run).append(offset, piece)
    assert box.files() == before

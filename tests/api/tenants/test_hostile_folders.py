"""What a tenant plants in its own folder, to stop others, to speak for them, or to read theirs."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from provenance.digest import sha256
from provenance.encoding import bound_recursion
from provenance.errors import UnavailableError
from provenance.ids import to_hex
from provenance.layout import RunFolder, write_json
from provenance.log.anchoring import SignedHead
from provenance.log.record import Record
from provenance.log.tree import Head
from provenance_api import catalog
from provenance_api.db import acting_for, index_run, rows, shown_by
from provenance_api.tenants import scan as scanning
from provenance_api.tenants.scan import CONTEST_S, Scan
from provenance_api.tenants.shelf import Shelf
from tests.api.tenants.conftest import ACME, BOLT, World
from tests.api.tenants.test_folders import status
from tests.support.service import Store
from tests.support.spine import Run


@pytest.fixture
def kind() -> str:
    return "sqlite"


def scan(world: World) -> int:
    """Have the folders scanned; the status of the request that did it."""
    return world.client.get("/runs/" + "0" * 64).status_code


def nested(run: Run) -> None:
    """Folders in each other, more than a function may call itself."""
    depth = os.open(run.folder.evidence, os.O_RDONLY)
    for _ in range(1600):
        os.mkdir("d", dir_fd=depth)
        deeper = os.open("d", os.O_RDONLY, dir_fd=depth)
        os.close(depth)
        depth = deeper
    os.close(depth)


def renamed(run: Run) -> None:
    """A folder whose name is no text."""
    os.rename(run.folder.root, os.fsencode(run.folder.root) + b"\xff")


def filled(run: Run) -> None:
    """A record that makes more of itself than a verifier reads."""
    run.log(run.release_record("a" * (4 << 20)))


@pytest.mark.parametrize(
    ("plant", "problem"), [(nested, ""), (renamed, "not UTF-8"), (filled, "too much evidence")]
)
def test_a_folder_that_cannot_be_read_is_in_nobodys_way(
    make_world: Callable[..., World],
    twice: Run,
    hostile: Run,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[Run], None],
    problem: str,
) -> None:
    """The attack: bolt makes a folder on which the scan of all folders ends."""
    bound_recursion()  # py_ecc, which these tests import, lifts Python's limit
    monkeypatch.setattr(rows, "MAX_EVIDENCE_BYTES", 1 << 18)
    world = make_world(acme=[twice])
    plant(hostile.copy(world.folders[BOLT] / "planted"))
    hostile.copy(world.folders["acme"] / "later")
    assert scan(world) == 404
    assert status(world, None, hostile) == 200
    damaged = world.client.get("/runs", headers=world.headers(BOLT)).json()["damaged"]
    assert len(damaged) == bool(problem)
    assert problem in "".join(damaged)


def test_a_folder_on_which_this_program_fails_is_in_nobodys_way(
    make_world: Callable[..., World], twice: Run, hostile: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def index(session: Session, folder: RunFolder) -> int:
        if folder.root.name == "planted":
            raise RecursionError("deeper than anybody thought of")
        return index_run(session, folder)

    world = make_world(acme=[twice])
    monkeypatch.setattr(scanning, "index_run", index)
    twice.copy(world.folders[BOLT] / "planted")
    hostile.copy(world.folders[BOLT] / "sound")
    assert scan(world) == 404
    assert status(world, None, hostile) == 200
    damaged = world.client.get("/runs", headers=world.headers(BOLT)).json()["damaged"]
    assert len(damaged) == 1
    assert "deeper" not in damaged[0]


def test_of_another_tenants_copies_one_is_read(
    new_store: Callable[[], Store], tmp_path: Path, twice: Run
) -> None:
    for number in range(3):
        twice.copy(tmp_path / BOLT / f"copy-{number}")
    shelf = Shelf({BOLT: (tmp_path / BOLT,), ACME: ()}, several=True)
    Scan(new_store().service, shelf, 0.0, lambda _: 0).refresh()
    assert [len(shelf.seen_by(who)) for who in (None, ACME, BOLT)] == [1, 1, 3]


def test_a_tenants_folder_that_becomes_a_link_shows_nothing(
    make_world: Callable[..., World], unreleased: Run, twice: Run
) -> None:
    """The attack: bolt may write beside its folder, and puts a link to acme's in its place."""
    world = make_world(acme=[unreleased], bolt=[twice])
    theirs, mine = world.folders[ACME], world.folders[BOLT]
    mine.rename(mine.with_name("aside"))
    mine.symlink_to(theirs)
    scan(world)
    assert status(world, BOLT, unreleased) == 404
    ask = f"/verify/{unreleased.model}"
    public = world.client.get(ask).json()
    assert world.client.get(ask, headers=world.headers(BOLT)).json() == public
    assert status(world, ACME, unreleased) == 200


@pytest.mark.parametrize(
    "place", ["stolen", "group/stolen", "run/provenance", "run/provenance/journal"]
)
def test_a_link_does_not_tell_whether_its_target_is_there(
    make_world: Callable[..., World], unreleased: Run, place: str
) -> None:
    """The attack: bolt links to names in acme's folder, and compares what it is told."""
    told = []
    for target in ("run-0", "run-9"):
        world = make_world(acme=[unreleased])
        theirs, mine = world.folders[ACME] / target, world.folders[BOLT] / place
        mine.parent.mkdir(parents=True, exist_ok=True)
        inside = {"provenance": "provenance", "journal": "provenance/journal"}
        mine.symlink_to(theirs / inside.get(mine.name, "."))
        headers = world.headers(BOLT)
        asked = ["/runs", f"/runs/{to_hex(unreleased.run_id)}", "/healthz"]
        scan(world)
        answers = [world.client.get(path, headers=headers) for path in asked]
        told.append([(a.status_code, a.json()) for a in answers])
    assert told[0] == told[1]


def test_anothers_log_under_a_runs_id_fails_nothing(
    make_world: Callable[..., World], unreleased: Run, twice: Run
) -> None:
    """The attack: bolt releases a folder that says it is of acme's run, so that it fails."""
    world = make_world(acme=[unreleased])
    ask = f"/verify/{unreleased.model}"
    assert world.client.get(ask).json()["status"] == "indeterminate"
    own = world.client.get(ask, headers=world.headers(ACME)).json()
    planted = twice.copy(world.folders[BOLT] / "planted")
    write_json(planted.folder.info, {"run_id": to_hex(unreleased.run_id)})
    scan(world)
    assert world.client.get(ask).json()["status"] == "indeterminate"
    assert world.client.get(ask, headers=world.headers(ACME)).json() == own


def test_many_copies_of_a_run_take_its_verdict_from_nobody(
    make_world: Callable[..., World], honest: Run
) -> None:
    """The attack: bolt copies acme's released run more often than folders are tried."""
    world = make_world(acme=[honest])
    ask = f"/verify/{honest.model}"
    for number in range(9):
        honest.copy(world.folders[BOLT] / f"copy-{number}")
    scan(world)
    for who in (None, ACME):
        now = world.client.get(ask, headers=world.headers(who)).json()
        assert now["status"] == "verified", now["reason"]


def test_false_heads_beside_a_copy_take_its_verdict_from_nobody(
    make_world: Callable[..., World], honest: Run
) -> None:
    """The attack: so many heads in bolt's copy that not all their signatures are looked at."""
    world = make_world(acme=[honest])
    copy = honest.copy(world.folders[BOLT] / "copy")
    forged = (Head(honest.run_id, 1, bytes(30) + n.to_bytes(2, "big")) for n in range(300))
    with copy.folder.heads.open("ab") as stream:
        stream.writelines(SignedHead(head, 1, bytes(65)).to_line() for head in forged)
    scan(world)
    for who in (None, ACME):
        ask = world.client.get(f"/verify/{honest.model}", headers=world.headers(who)).json()
        assert ask["status"] == "verified", ask["reason"]


def test_what_takes_a_released_runs_place_is_not_released(
    make_world: Callable[..., World], unreleased: Run, twice: Run
) -> None:
    """acme's next run is in the folder where a released one was; nobody scans in between."""
    world = make_world(acme=[twice])
    ask = f"/verify/{unreleased.model}"
    before = world.client.get(ask).json()
    place = world.folders[ACME] / "run-0"
    shutil.rmtree(place)
    unreleased.copy(place)
    assert world.client.get(ask).json() == before


def test_more_releases_of_a_name_than_are_looked_at_hide_nobodys(
    make_world: Callable[..., World],
    twice: Run,
    hostile: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The attack: bolt logs many newer releases under the name of acme's."""
    monkeypatch.setattr(catalog, "MOST_MATCHES", 3)
    world = make_world(acme=[twice], bolt=[hostile])
    flood = Run(**{**vars(hostile), "folder": RunFolder(world.folders[BOLT] / "run-0")})
    for number in range(4):
        fields = flood.release_record("llama:1").fields | {"model": str(sha256(bytes([number])))}
        flood.log(Record.make("release", "2099-01-01T00:00:00Z", **fields))
    scan(world)
    answer = world.client.get("/verify/llama:1")
    assert answer.status_code == 200, answer.text
    assert answer.json()["subject"]["digest"] == str(sha256(b"one"))


def test_a_folder_that_is_gone_is_no_problem_any_more(
    make_world: Callable[..., World], hostile: Run
) -> None:
    world = make_world()
    planted = hostile.copy(world.folders[BOLT] / "planted")
    planted.folder.journal.write_bytes(b"nonsense")
    scan(world)
    headers = world.headers(BOLT)
    assert len(world.client.get("/runs", headers=headers).json()["damaged"]) == 1
    shutil.rmtree(planted.folder.root)
    scan(world)
    assert world.client.get("/runs", headers=headers).json()["damaged"] == []


def test_a_copy_that_was_first_is_left_when_the_chain_goes_on(
    new_store: Callable[[], Store], tmp_path: Path, twice: Run
) -> None:
    """The attack: bolt has acme's run first, and stays shown when the log grows."""
    place = {tenant: tmp_path / "held" / tenant for tenant in (ACME, BOLT)}
    copies = {tenant: twice.copy(folder / "run").folder.root for tenant, folder in place.items()}
    store, now, beyond = new_store(), [0.0], dict.fromkeys(copies.values(), 0)
    shelf = Shelf({BOLT: (place[BOLT],), ACME: (place[ACME],)}, several=True)
    scanned = Scan(store.service, shelf, 0.0, lambda f: beyond.get(f.root), lambda: now[0])

    def shown() -> str | None:
        with store.service.session() as session:
            found = shown_by(session, twice.run_id)
        return None if found is None else found[0]

    scanned.refresh()
    assert shown() == BOLT
    del beyond[copies[BOLT]]
    now[0] += CONTEST_S
    scanned.refresh()
    assert shown() == ACME


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("first", [ACME, BOLT])
def test_records_that_nobody_anchored_are_not_shown_in_anothers_run(
    make_world: Callable[..., World], twice: Run, tmp_path: Path, first: str, restarted: bool
) -> None:
    """The attack: bolt has acme's released run, and a release of its own after it."""
    world = make_world()
    forged = twice.copy(tmp_path / "forged")
    forged.log(forged.release_record("forged"))
    runs = {ACME: twice, BOLT: forged}
    for tenant in (first, BOLT if first == ACME else ACME):
        runs[tenant].copy(world.folders[tenant] / "run")
        scan(world)
    client = world.client
    if restarted:  # the service reads bolt's folders first
        others = {tenant: (world.folders[tenant],) for tenant in (BOLT, ACME)}
        client = world.restarted(others=others)
    shown = client.get(f"/runs/{to_hex(twice.run_id)}").json()
    assert [each["name"] for each in shown["releases"]] == ["llama", "llama"]
    named = [each["name"] for each in client.get("/releases").json()["releases"]]
    assert "forged" not in named


def test_a_chain_that_does_not_answer_keeps_nobody_out(
    new_store: Callable[[], Store], tmp_path: Path, twice: Run, hostile: Run
) -> None:
    """The attack: bolt has a copy of acme's run, so that its folder waits for the chain."""
    place = {tenant: tmp_path / "held" / tenant for tenant in (ACME, BOLT)}
    twice.copy(place[ACME] / "run")
    twice.copy(place[BOLT] / "copy")
    hostile.copy(place[BOLT] / "own")
    store = new_store()

    def silent(_: RunFolder) -> int | None:
        raise UnavailableError("chain does not answer")

    shelf = Shelf({tenant: (folder,) for tenant, folder in place.items()}, several=True)
    scanned = Scan(store.service, shelf, 0.0, silent)
    scanned.refresh()
    with store.service.session() as session:
        assert shown_by(session, hostile.run_id) is not None
    with acting_for(BOLT):
        assert [each.folder.name for each in scanned.damage()] == ["copy"]


def test_a_scan_that_does_not_end_holds_nobodys_request(
    world: World, twice: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: bolt has so many files that a scan takes minutes."""
    monkeypatch.setattr(scanning, "PATIENCE_S", 0.0)
    begun, ended = threading.Event(), threading.Event()

    def endless(shelf: Shelf, reader: str | None = None) -> Iterator[tuple[str, RunFolder]]:
        begun.set()
        ended.wait(60)
        yield from ()

    monkeypatch.setattr(Shelf, "all", endless)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(scan, world)
        begun.wait(60)
        assert [status(world, None, twice), scan(world)] == [200, 404]
        assert world.client.get("/runs").status_code == 200
        assert not slow.done()
        ended.set()
        assert slow.result() == 404

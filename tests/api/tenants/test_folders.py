"""Folders of tenants who do not trust each other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.errors import ConfigError
from provenance.ids import to_hex
from provenance.layout import write_json
from provenance.verify.sources import evidence
from provenance_cli.judge.serve import tenants_of
from tests.api.tenants.conftest import ACME, BOLT, World
from tests.support.spine import Run


def status(world: World, tenant: str | None, run: Run) -> int:
    answer = world.client.get(f"/runs/{to_hex(run.run_id)}", headers=world.headers(tenant))
    return answer.status_code


def first(world: World, tenant: str | None, run: Run) -> str:
    """The digest of the first record that is shown of a run."""
    path = f"/runs/{to_hex(run.run_id)}/records/0"
    return str(world.client.get(path, headers=world.headers(tenant)).json()["digest"])


def opening(run: Run) -> str:
    return str(run.records()[0].digest)


@pytest.mark.parametrize("link", ["run", "provenance", "journal", "epochs", "merged"])
def test_a_link_into_another_tenants_folder_shows_nothing(
    make_world: Callable[..., World], unreleased: Run, twice: Run, link: str
) -> None:
    """The attack: bolt puts a link to acme's run, or to a part of it, into its own folder."""
    world = make_world(acme=[unreleased], bolt=[twice])
    theirs, mine = world.folders[ACME] / "run-0", world.folders[BOLT] / "stolen"
    if link == "run":
        mine.symlink_to(theirs)
    else:
        unreleased.copy(mine)
        place = {"journal": "provenance/journal", "epochs": "provenance/epochs"}.get(link, link)
        (theirs / "merged").mkdir(exist_ok=True)
        if (mine / place).is_dir():
            os.rename(mine / place, mine.parent / "aside")
        else:
            (mine / place).unlink(missing_ok=True)
        (mine / place).symlink_to(theirs / place)
    assert status(world, BOLT, unreleased) == 404
    assert status(world, ACME, unreleased) == 200
    damaged = world.client.get("/runs", headers=world.headers(BOLT)).json()["damaged"]
    assert len(damaged) == 1
    assert "link" in damaged[0] or "leads out" in damaged[0]
    assert world.client.get("/runs").json()["damaged"] == []
    assert world.client.get("/runs", headers=world.headers(ACME)).json()["damaged"] == []


def test_a_damaged_folder_is_told_to_its_tenant_alone(
    make_world: Callable[..., World], unreleased: Run, hostile: Run
) -> None:
    world = make_world(acme=[unreleased], bolt=[hostile])
    broken = unreleased.copy(world.folders[BOLT] / "broken")
    broken.folder.journal.write_bytes(b"nonsense")
    asked = f"/runs/{to_hex(unreleased.run_id)}"
    own = world.client.get(asked, headers=world.headers(BOLT)).json()
    assert own["type"] == "urn:provenance:problem:broken-run"
    public = world.client.get(asked).json()
    assert public["type"] == "urn:provenance:problem:not-found"
    assert world.client.get("/healthz").json()["evidence"] == {
        "status": "problems",
        "detail": "some folders are not indexed; the log says why",
    }


def test_a_copy_of_anothers_run_hides_nothing_from_its_tenant(
    make_world: Callable[..., World], unreleased: Run, twice: Run
) -> None:
    """The attack: bolt writes the id of acme's unreleased run into a released run of its own."""
    world = make_world(acme=[unreleased], bolt=[twice])
    planted = twice.copy(world.folders[BOLT] / "planted")
    write_json(planted.folder.info, {"run_id": to_hex(unreleased.run_id)})
    assert first(world, BOLT, unreleased) == opening(twice)
    assert first(world, ACME, unreleased) == opening(unreleased)


def test_the_chain_says_whose_released_copy_is_shown(
    make_world: Callable[..., World], honest: Run, twice: Run
) -> None:
    """The attack: bolt shows its own records under the id of a run that acme releases later."""
    world = make_world(bolt=[twice])
    planted = twice.copy(world.folders[BOLT] / "planted")
    write_json(planted.folder.info, {"run_id": to_hex(honest.run_id)})
    assert first(world, None, honest) == opening(twice)
    honest.copy(world.folders[ACME] / "run")
    world.client.get("/runs")  # scans the folders again
    assert first(world, None, honest) == opening(honest)
    assert first(world, BOLT, honest) == opening(twice)  # its own, to itself alone


def test_a_release_in_the_folder_shows_a_run_to_everybody(
    make_world: Callable[..., World], unreleased: Run, honest: Run
) -> None:
    world = make_world(acme=[unreleased])
    assert status(world, None, unreleased) == 404
    run = Run(
        **{**vars(unreleased), "folder": type(unreleased.folder)(world.folders[ACME] / "run-0")}
    )
    run.log(run.release_record())
    world.client.get("/runs")
    assert status(world, None, unreleased) == 200
    assert status(world, BOLT, unreleased) == 200
    assert world.client.get(f"/verify/{honest.model}").json()["status"] != "not_found"


def test_a_tenant_with_too_many_folders_is_in_nobodys_way(
    world: World, twice: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: bolt makes more run folders than the service looks at."""
    ask = f"/verify/{twice.model}"
    before = {who: world.client.get(ask, headers=world.headers(who)) for who in (None, ACME)}
    monkeypatch.setattr(evidence, "MAX_RUN_FOLDERS", 2)
    for number in range(3):
        twice.copy(world.folders[BOLT] / f"more-{number}")
    assert world.client.get("/runs/" + "0" * 64).status_code == 404  # scans the folders again
    for who, told in before.items():
        assert told.status_code == 200
        assert world.client.get(ask, headers=world.headers(who)).json() == told.json()
    own = world.client.get(ask, headers=world.headers(BOLT))
    assert own.json() != before[ACME].json()


def test_folders_of_two_tenants_lie_apart(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    a = tmp_path / "a"
    for theirs in (a, a / "b", tmp_path, tmp_path / "link"):
        with pytest.raises(ConfigError, match="two tenants"):
            tenants_of([f"acme={a}", f"bolt={theirs}"])
        with pytest.raises(ConfigError, match="two tenants"):
            tenants_of([str(a), f"bolt={theirs}"])


def test_what_names_a_tenant_and_what_a_folder() -> None:
    assert tenants_of(["runs", "acme=x", "acme=y=z", "./a=b", "A=b", "default=c"]) == (
        (Path("runs"), Path("./a=b"), Path("A=b"), Path("c")),
        {"acme": (Path("x"), Path("y=z"))},
    )


@pytest.mark.parametrize("text", ["", "acme=", "default="])
def test_a_folder_without_a_name_is_none(text: str) -> None:
    """An empty variable in a script must not make the working folder a tenant's."""
    with pytest.raises(ConfigError, match="no folder is named"):
        tenants_of([text])

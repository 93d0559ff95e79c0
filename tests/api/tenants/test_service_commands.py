"""`provenance service`, and `serve` with tenants, as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from provenance.ids import to_hex
from provenance_api.db import Database, acting_for, compare_run
from tests.support.chain import Lab
from tests.support.processes.postgres import OWNER, SERVICE, Postgres
from tests.support.spine import Run

SERVE = "from provenance_cli.judge.serve import serve_app; serve_app()"
MAIN = "from provenance_cli.main import main; main()"


def provenance(lab: Lab, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PROVENANCE_HOME": str(lab.settings.home), **variables}
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def said(lab: Lab, *arguments: str, **variables: str) -> dict[str, Any]:
    ended = provenance(lab, *arguments, "--json", **variables)
    assert ended.returncode == 0, ended.stderr
    value: dict[str, Any] = json.loads(ended.stdout)
    return value


@pytest.fixture
def urls(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """The URLs of an empty database, for the owner and for the service."""
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'service.sqlite'}"
        yield url, url
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name, OWNER), server.url(name, SERVICE)
    server.drop(name)


def test_from_an_empty_database_to_a_service_of_two_tenants(
    lab: Lab, urls: tuple[str, str], unreleased: Run, tmp_path: Path, kind: str
) -> None:
    owner, service = urls
    migrated = said(lab, "service", "migrate", "--database", owner)
    assert migrated["role"] == (None if kind == "sqlite" else SERVICE)
    again = said(lab, "service", "migrate", "--database", owner)
    assert again | {"role_made": False} == again
    token = said(lab, "service", "token", "create", "acme", "--name", "ci", "--database", owner)
    listed = said(lab, "service", "token", "list", "acme", "--database", owner)
    assert [row["name"] for row in listed["tokens"]] == ["ci"]
    assert token["token"] not in json.dumps(listed)

    run = unreleased.copy(tmp_path / "acme" / "run")
    (tmp_path / "bolt").mkdir()
    environment = {
        **os.environ,
        "PROVENANCE_HOME": str(lab.settings.home),
        "PROVENANCE_TRUST": str(lab.trust_file),
        "PROVENANCE_DATABASE": service,
    }
    evidence = [f"--evidence={t}={tmp_path / t}" for t in ("acme", "bolt")]
    command = [sys.executable, "-W", "error", "-c", SERVE, "--port", "0", *evidence]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            base = process.stdout.readline().strip()
            path = f"{base}runs/{to_hex(run.run_id)}"
            assert status(path, None) == 404
            assert status(path, token["token"]) == 200
            [row] = listed["tokens"]
            said(lab, "service", "token", "revoke", "acme", row["id"], "--database", owner)
            assert status(path, token["token"]) == 401
        finally:
            process.terminate()
    database = Database(service)
    with acting_for("acme"), database.session() as session:
        assert compare_run(session, run.folder) == []
    database.close()


def status(url: str, token: str | None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve",),
        ("service", "migrate"),
        ("service", "token", "list", "acme"),
        ("fsck", "nowhere"),
    ],
)
@pytest.mark.parametrize(
    "url", ["postgresql://u:hunter2@127.0.0.1:9/x", "postgresql://127.0.0.1:9/x?password=hunter2"]
)
def test_a_password_on_the_command_line_is_refused_and_not_repeated(
    lab: Lab, arguments: tuple[str, ...], url: str
) -> None:
    ended = provenance(lab, *arguments, "--database", url)
    assert ended.returncode == 2
    assert "PGPASSFILE" in ended.stderr
    assert "hunter2" not in ended.stderr + ended.stdout


def test_a_password_in_the_variable_is_used_and_not_told(lab: Lab) -> None:
    url = "postgresql://u:hunter2@127.0.0.1:9/x"
    ended = provenance(lab, "service", "migrate", PROVENANCE_DATABASE=url)
    assert ended.returncode == 3
    assert "hunter2" not in ended.stderr + ended.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "Acme", "--name", "x"),
        ("create", "acme", "--name", ""),
        ("create", "acme", "--name", "x", "--expires", "soon"),
        ("create", "acme", "--name", "x", "--expires", "2001-01-01"),
        ("revoke", "acme", "0000"),
    ],
)
def test_what_makes_no_sense_is_refused(
    lab: Lab, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    url = f"sqlite:///{tmp_path / 'service.sqlite'}"
    Database(url).prepare()
    ended = provenance(lab, "service", "token", *arguments, "--database", url)
    assert ended.returncode in (2, 4), ended.stderr
    assert ended.stderr.startswith("error: ")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("list", "acme"), ("revoke", "acme", "0" * 16)])
def test_a_database_that_is_not_there_is_not_made_to_look_for_tokens(
    lab: Lab, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Somebody mistypes the file: "no tokens" would be of another database."""
    url = f"sqlite:///{tmp_path / 'typo.sqlite'}"
    ended = provenance(lab, "service", "token", *arguments, "--database", url)
    assert ended.returncode == 4
    assert "no such database" in ended.stderr
    assert list(tmp_path.iterdir()) == []

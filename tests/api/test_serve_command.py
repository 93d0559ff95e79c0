"""`provenance serve` as a process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provenance.errors import ConfigError
from provenance_cli.judge.serve import Offer, compose, link, listen, url_of
from tests.support.chain import Lab
from tests.support.spine import Run

SERVE = "from provenance_cli.judge.serve import serve_app; serve_app()"


@contextmanager
def served(lab: Lab, *arguments: str) -> Iterator[list[str]]:
    """Run a server and yield the lines it prints; SIGTERM must end it without a traceback."""
    environment = {
        **os.environ,
        "PROVENANCE_HOME": str(lab.settings.home),
        "PROVENANCE_TRUST": str(lab.trust_file),
    }
    command = [sys.executable, "-W", "error", "-c", SERVE, "--port", "0", *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield [
                process.stdout.readline().strip() for _ in range(2 if "--open" in arguments else 1)
            ]
        finally:
            process.send_signal(signal.SIGTERM)
            complaint = process.stderr.read()
            process.wait(timeout=20)
    assert "Traceback" not in complaint


def fetch(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        value: dict[str, object] = json.load(answer)
    return value


def test_served_process_answers_at_the_url_it_prints(lab: Lab, honest: Run, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'served.sqlite'}"
    arguments = ("--evidence", str(honest.folder.root), "--database", database, "--open", "model")
    with served(lab, *arguments) as (url, model):
        assert url.startswith("http://127.0.0.1:")
        assert model == f"{url}verify/model"
        assert fetch(model)["status"] == "verified"
        assert fetch(f"{url}healthz")["status"] == "ok"


def test_folders_named_like_letters_and_words_leave_the_verdict_as_it_is(
    lab: Lab, honest: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("r", "runs"):
        honest.copy(tmp_path / name)
    database = f"sqlite:///{tmp_path / 'served.sqlite'}"
    answers = []
    for evidence in ("r", "runs", str(honest.folder.root)):
        arguments = ("--evidence", evidence, "--database", database, "--open", str(honest.model))
        with served(lab, *arguments) as (_, model):
            answers.append(fetch(model))
    assert answers[0]["status"] == "verified"
    assert answers[0] == answers[1] == answers[2]


def test_taken_port_is_a_config_error() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigError, match="cannot listen"):
            listen("127.0.0.1", other.getsockname()[1])


def test_port_0_picks_a_free_one() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert url_of("127.0.0.1", listener) == f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_link_escapes_the_id() -> None:
    assert link("http://h/", "sha256:ab") == "http://h/verify/sha256:ab"
    assert link("http://h/", "a b/../<c>") == "http://h/verify/a%20b%2F..%2F%3Cc%3E"


def test_missing_evidence_folder_is_a_config_error(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="evidence folder"):
        compose(lab.settings, Offer((tmp_path / "none",), lab.trust_file))


def test_missing_trust_file_is_a_config_error(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no trust file"):
        compose(lab.settings, Offer((tmp_path,)))

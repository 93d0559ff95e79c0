"""`provenance push` to a served process, which is killed; and what it is given by mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from provenance.errors import ProvenanceError
from provenance.ids import to_hex
from provenance.push import copy as copying
from provenance.push.sending import send
from provenance.push.service import PushService
from tests.api.tenants.test_service_commands import MAIN, SERVE, said
from tests.support.chain import Lab
from tests.support.spine import Run


@pytest.fixture
def kind() -> str:
    return "sqlite"


class Served:
    """`provenance serve` with an inbox, which a test may kill and start again."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder, self.port = lab, folder, "0"
        self.database = f"sqlite:///{folder / 'service.sqlite'}"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        command = [sys.executable, "-W", "error", "-c", SERVE, "--port", self.port]
        command += ["--database", self.database, "--inbox", str(self.folder / "inbox")]
        environment = {
            **os.environ,
            "PROVENANCE_HOME": str(self.lab.settings.home),
            "PROVENANCE_TRUST": str(self.lab.trust_file),
        }
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip()
        self.port = url.rstrip("/").rsplit(":", 1)[1]
        return url

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def served(lab: Lab, tmp_path: Path) -> Iterator[Served]:
    made = Served(lab, tmp_path)
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture
def token_file(lab: Lab, served: Served, tmp_path: Path) -> Path:
    made = said(
        lab,
        "service",
        "token",
        "create",
        "default",
        "--name",
        "ci",
        "--may-push",
        "--database",
        served.database,
    )
    path = tmp_path / "token"
    path.write_text(made["token"] + "\n")
    path.chmod(0o600)
    return path


def push(lab: Lab, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PROVENANCE_HOME": str(lab.settings.home), **variables}
    return subprocess.run(
        [sys.executable, "-c", MAIN, "push", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_a_service_killed_during_a_push_goes_on_where_it_was(
    lab: Lab, honest: Run, served: Served, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PIECE_BYTES", 1000)
    token, asked = token_file.read_text().strip(), 0
    url = served.start()

    def killing(*_: object) -> None:
        nonlocal asked
        asked += 1
        if asked == 4:
            served.kill()

    service = PushService(url, honest.run_id, token, pause=lambda _: None)
    with pytest.raises(ProvenanceError, match="does not answer"):
        send(honest.folder, service, killing)
    service.close()
    assert served.start() == url
    arguments = [str(honest.folder.root), "--server", url, "--token-file", str(token_file)]
    done = push(lab, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert 0 < value["new_records"] < value["records"] == len(honest.records())
    assert value["faults"] == []
    assert token not in done.stdout + done.stderr
    again = push(lab, *arguments)
    assert again.returncode == 0
    assert "(0 new)" in again.stdout
    assert "nothing contradicts" in again.stdout
    assert again.stdout.splitlines()[-1] == f"{url}runs/{to_hex(honest.run_id)}"


def test_a_run_that_contradicts_itself_ends_with_1(
    lab: Lab, honest: Run, served: Served, token_file: Path, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "run")
    run.rewrite(lambda records: [*records[:-1], run.release_record("another")])
    done = push(
        lab, str(run.folder.root), "--server", served.start(), "--token-file", str(token_file)
    )
    assert done.returncode == 1
    assert "chain: " in done.stdout


def shared(path: Path) -> None:
    path.chmod(0o644)


def emptied(path: Path) -> None:
    path.write_text("\n")


def odd(path: Path) -> None:
    path.write_text("pvt_\u00e9 x\n")


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("server", "change", "code", "words"),
    [
        ("http://provenance.example", None, 2, "where anybody can read it"),
        ("http://127.0.0.1.example:80", None, 2, "where anybody can read it"),
        ("https://ada:secret@provenance.example", None, 2, "not the URL of a service"),
        ("provenance.example", None, 2, "not the URL of a service"),
        ("https://provenance.example/?a=b", None, 2, "not the URL of a service"),
        ("http://127.0.0.1:9", shared, 5, "can be read by others"),
        ("http://127.0.0.1:9", emptied, 5, "is empty"),
        ("http://127.0.0.1:9", odd, 2, "not a token"),
        ("http://127.0.0.1:9", gone, 5, "cannot read token file"),
        ("http://127.0.0.1:9", None, 3, "does not answer"),
    ],
)
def test_wrong_input_is_one_line(
    lab: Lab,
    honest: Run,
    tmp_path: Path,
    server: str,
    change: Callable[[Path], None] | None,
    code: int,
    words: str,
) -> None:
    path = tmp_path / "token"
    path.write_text("pvt_nothing\n")
    path.chmod(0o600)
    if change is not None:
        change(path)
    done = push(
        lab, str(honest.folder.root), PROVENANCE_SERVER=server, PROVENANCE_TOKEN_FILE=str(path)
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done.stderr
    assert words in done.stderr
    assert "secret" not in done.stderr


def test_without_a_token_or_a_run_nothing_is_asked(lab: Lab, honest: Run, tmp_path: Path) -> None:
    server = ("--server", "http://127.0.0.1:9")
    assert push(lab, str(honest.folder.root), *server).returncode == 5
    assert push(lab, str(tmp_path), *server).returncode == 4
    assert push(lab, str(honest.folder.root)).returncode == 2


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """A server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


HOSTILE: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "a page": (200, b"<html>", {}),
    "a list": (200, b"[]", {}),
    "numbers that are none": (200, b'{"journal": {"bytes": true}, "files": {}}', {}),
    "less than nothing": (
        200,
        b'{"journal": {"bytes": -1, "records": 0, "last": "0x00"}, "files": {}}',
        {},
    ),
    "another address": (302, b"", {"Location": "http://127.0.0.1:9/"}),
    "a problem in colours": (400, b'{"detail": "\\u001b[31mred\\n\\nmore", "hint": 7}', {}),
    "nothing": (204, b"", {}),
    "a failure": (500, b"\xff", {}),
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_whatever_a_server_answers_is_one_line(
    honest: Run, answer: tuple[int, bytes, dict[str, str]]
) -> None:
    status, body, headers = answer
    with answering(status, body, **headers) as url:
        service = PushService(url, honest.run_id, "token", pause=lambda _: None)
        with pytest.raises(ProvenanceError) as caught:
            send(honest.folder, service)
        service.close()
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert "token" not in str(caught.value)

"""Whatever ends a command is one line with a documented exit code, never a traceback and never the
code of a verdict. Each command runs as a process of its own, on a machine that really fails.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from provenance.errors import InternalError, OutputError
from provenance.judgement.verdict import TABLE
from provenance_cli.crash import redacted
from provenance_cli.main import known_error

DIGEST = "sha256:" + "ab" * 32
# Whoever runs these tests in the background ignores SIGINT, and children would, too.
MAIN = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from provenance_cli.main import COMMANDS, main; COMMANDS.update({extra}); main()"
)
KEY = "0x" + "4c0883a69102937d6231471b5dbb6204fe512961708279feb1be6ae5538da033"
BROKEN = """
import os, signal, sys, typer
app = typer.Typer()
@app.command()
def broken(how: str, json: bool = False) -> None:
    if how == "value":
        password = "hunter2-hunter2"
        url = "https://me:secret1@node.example:8545/v3/0123456789abcdef?k=abcdef"
        token = os.environ["MY_API_TOKEN"]
        raise ValueError(f"cannot open {url} with {token}, key KEY, password: {password}")
    if how == "eof":
        raise EOFError
    if how == "interrupt":
        signal.raise_signal(signal.SIGINT)
    if how == "file":
        open(sys.argv[0] + "/nowhere/file")
    if how == "abort":
        raise typer.Abort
""".replace("KEY", KEY)


class Shell:
    """Runs commands with a folder and a home of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "broken_command.py").write_text(BROKEN)
        (folder / "tmp").mkdir()
        path = os.pathsep.join([str(folder), *filter(None, sys.path)])
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": path,
            "PROVENANCE_HOME": str(folder / "home"),
            "PROVENANCE_CACHE": str(folder / "cache"),
            "PROVENANCE_CONFIG": str(folder / "config"),
            "PROVENANCE_PASSWORD_FILE": str(folder / "password"),
            "TMPDIR": str(folder / "tmp"),
            "MY_API_TOKEN": "tok-in-a-variable",
        }
        (folder / "password").write_text("hunter2-hunter2\n")
        (folder / "password").chmod(0o600)

    def __call__(
        self, *arguments: object, stdout: int = subprocess.PIPE, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        code = MAIN.format(extra={"broken": ("broken_command:app", "fails")})
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=self.environment | environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_no_verdict_has_the_code_of_a_crash() -> None:
    codes = {InternalError.exit_code, OutputError.exit_code}
    assert codes == {70, 73}
    assert not codes & {row.exit_code for row in TABLE.values()}


def test_an_unforeseen_exception_is_one_line_and_a_report_without_secrets(shell: Shell) -> None:
    line = one_line(shell("broken", "value"), 70)
    assert "ValueError" in line
    found = re.search(r"report: (\S+);", line)
    assert found is not None
    path = Path(found[1])
    assert path.parent == shell.folder / "tmp"  # there is no home folder yet
    assert path.stat().st_mode & 0o777 == 0o600
    report = path.read_text()
    assert "Traceback" in report
    assert "https://node.example:8545/.." in report
    for secret in ("secret1", "0123456789abcdef", "k=abcdef", "tok-in-a", KEY[2:], "hunter2"):
        assert secret not in report


def test_the_report_lies_in_the_home_folder_where_there_is_one(shell: Shell) -> None:
    (shell.folder / "home").mkdir()
    one_line(shell("broken", "value"), 70)
    assert [p.name[:18] for p in (shell.folder / "home").iterdir()] == ["provenance-report-"]


def test_a_report_that_nobody_takes_is_said_to_be_missing(shell: Shell) -> None:
    """No folder takes a file here: a limit of the process on the size of files stands for that."""
    limit = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (0, 0)); "
    code = limit + MAIN.format(extra={"broken": ("broken_command:app", "fails")})
    command = [sys.executable, "-B", "-c", code, "broken", "value"]
    done = subprocess.run(
        command, env=shell.environment, capture_output=True, text=True, check=False
    )
    assert "no report could be written" in one_line(done, 70)
    assert not list((shell.folder / "tmp").iterdir())


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("eof", 70, "EOFError"),
        ("file", 70, "-c is"),
        ("interrupt", 130, "interrupted"),
        ("abort", 130, "interrupted"),
    ],
)
def test_what_click_ends_with_1_has_a_code_of_its_own(
    shell: Shell, how: str, code: int, words: str
) -> None:
    (shell.folder / "-c").touch()
    assert words in one_line(shell("broken", how), code)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "X", "--anchor", "--bogus"), "provenance train: No such option: --bogus"),
        (("verify",), "provenance verify: Missing argument 'subject'"),
        (("key", "nosuch"), "provenance key: No such command 'nosuch'"),
        (("nosuch",), "provenance: No such command 'nosuch'"),
    ],
)
def test_a_usage_error_is_one_line_and_one_object(
    shell: Shell, arguments: tuple[str, ...], words: str
) -> None:
    done = shell(*arguments, "--json")
    line = one_line(done, 2)
    assert words in line or "No such option: --json" in line
    assert "--help)" in line
    value = json.loads(done.stdout)
    assert (value["format"], value["error"]["code"]) == ("provenance-error/1", "usage")
    plain = shell(*arguments)
    assert words in one_line(plain, 2)
    assert plain.stdout == ""


def test_an_interrupt_is_one_object(shell: Shell) -> None:
    done = shell("broken", "interrupt", "--json")
    assert one_line(done, 130) == "interrupted"
    assert json.loads(done.stdout)["error"]["code"] == "interrupted"


def test_an_interrupted_job_says_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["provenance", "train", "x.yaml"])
    assert "goes on where it stopped" in str(known_error(KeyboardInterrupt()))
    monkeypatch.setattr(sys, "argv", ["provenance", "serve"])
    assert str(known_error(KeyboardInterrupt())) == "interrupted"


def test_json_holds_the_crash_as_it_holds_every_error(shell: Shell) -> None:
    value = json.loads(shell("broken", "value", "--json").stdout)
    assert (value["format"], value["error"]["code"]) == ("provenance-error/1", "internal")
    assert "report: " in value["error"]["hint"]


@pytest.mark.parametrize("command", [("doctor",), ("doctor", "--json"), ("--help",)])
def test_a_full_device_for_the_result_is_no_verdict(shell: Shell, command: tuple[str]) -> None:
    with open("/dev/full", "w") as full:
        line = one_line(shell(*command, stdout=full.fileno()), 73)
    assert "no space is left" in line


def test_a_reader_who_went_away_is_141(shell: Shell) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = shell("doctor", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("text", "redacted_text"),
    [
        ("https://u:p@h.example/k", "https://h.example/.."),
        ("postgresql://u:p@db/x?y, then", "postgresql://db/.., then"),
        ("with url: /v3/0123456789 (Caused by", "with url: (path) (Caused by"),
        ('{"password": "abc"}', '{"password": (secret)}'),
        ("API_KEY=abc next", "API_KEY=(secret) next"),
        ("Authorization: Bearer abcdefgh", "Authorization: Bearer (token)"),
        ("hf_abcdefghijkl", "(token)"),
        (f"key {KEY} end", "key (hex) end"),
        ("the value of x in a file", "the value of x in a file"),
    ],
)
def test_secrets_are_taken_out_by_their_form(text: str, redacted_text: str) -> None:
    assert redacted(text, {"PROVENANCE_HOME": "/nowhere"}) == redacted_text


def test_secrets_are_taken_out_by_their_variable_as_whole_words() -> None:
    environ = {"PROVENANCE_HOME": "/nowhere", "HF_TOKEN": "abcdefgh", "DB_PASSWORD": "r"}
    assert redacted("abcdefgh abcdefghi every r", environ) == "(secret) abcdefghi every r"

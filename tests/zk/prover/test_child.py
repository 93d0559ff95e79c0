"""A prover process that fails, hangs or is interrupted is reported, and none is left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.errors import InputError, RejectedError, UnavailableError
from provenance.ids import KeyId
from provenance.settings import Settings
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.client import ZkProver, find_binary
from provenance_zk.workers.executors import ONE_SHOT, Workshop


def fake(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "fake-prover"
    path.write_text(
        f"#!{sys.executable}\nimport json, os, sys, time\nrequest = "
        f"json.load(sys.stdin)\n{textwrap.dedent(body)}"
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("body", "error", "text"),
    [
        ("print('not json')", UnavailableError, "without a result"),
        ("sys.exit(3)", UnavailableError, "status 3"),
        ("print('[]')", UnavailableError, "without a result"),
        ("sys.stderr.write('panic: oh no'); sys.exit(2)", UnavailableError, "panic: oh no"),
        ("os.kill(os.getpid(), 9)", UnavailableError, "killed"),
        (
            "print(json.dumps({'error': {'code': 'bad_file', 'what': 'w', 'expected': '1', "
            "'actual': '2'}})); sys.exit(2)",
            InputError,
            "expected 1, actual 2",
        ),
        (
            "print(json.dumps({'error': {'code': 'bad_key', 'what': 'w'}})); sys.exit(2)",
            InputError,
            "w",
        ),
        (
            "print(json.dumps({'error': {'code': 'unproven', 'what': 'w'}})); sys.exit(2)",
            RejectedError,
            "w",
        ),
        (
            "print(json.dumps({'error': {'code': 'internal', 'what': 'w'}})); sys.exit(3)",
            UnavailableError,
            "w",
        ),
        (
            "print(json.dumps({'error': {'code': 'new', 'what': 'w'}})); sys.exit(2)",
            UnavailableError,
            "w",
        ),
    ],
)
def test_a_child_that_fails_is_reported(
    tmp_path: Path, body: str, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        ZkProver(fake(tmp_path, body)).request("inspect", {})


def test_an_empty_verdict_is_no_success(tmp_path: Path) -> None:
    proof = ProofFile("tree", KeyId(bytes(32)), (0, 0), (0, 0, 0, 0), (0, 0), (), (), (0,) * 8)
    results = (
        {"ok": True, "results": []},
        {"ok": True, "results": [{"ok": False}]},
        {"ok": False, "results": [{"ok": True}]},
    )
    for result in results:
        with pytest.raises(UnavailableError):
            ZkProver(fake(tmp_path, f"print(json.dumps({result!r}))")).verify(tmp_path, [proof], 0)


def test_progress_lines_reach_the_caller(tmp_path: Path) -> None:
    lines: list[str] = []
    ZkProver(
        fake(tmp_path, "sys.stderr.write('zkprover: one\\ntwo\\n'); print('{}')"),
        progress=lines.append,
    ).request("inspect", {})
    assert lines == ["one", "two"]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_slow_child_is_stopped(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    body = f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(UnavailableError, match="too long"):
        ZkProver(fake(tmp_path, body), timeout_s=1.5).request("inspect", {})
    assert not is_running(int(pid_file.read_text()))


def test_a_child_dies_with_an_exception_of_its_caller(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    pids: list[int] = []
    body = "sys.stderr.write(f'{os.getpid()}\\n'); sys.stderr.flush(); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        ZkProver(fake(tmp_path, body), progress=interrupt).request("inspect", {})
    assert not is_running(pids[0])


def test_ctrl_c_kills_the_child(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    binary = fake(
        tmp_path,
        f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)",
    )
    # A shell starts jobs in the background with SIGINT ignored, and children inherit that.
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from provenance_zk.prover.client import ZkProver; from pathlib import Path; "
        f"ZkProver(Path({str(binary)!r})).request('inspect', {{}})"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    child: int | None = None
    try:
        deadline = time.monotonic() + 30
        while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        child = int(pid_file.read_text())
        parent.send_signal(signal.SIGINT)
        parent.wait(30)
        assert not is_running(child)
    finally:
        parent.kill()
        parent.wait()
        if child is not None and is_running(child):
            os.kill(child, signal.SIGKILL)


def test_secrets_reach_the_child_in_private_files_that_go_away(tmp_path: Path) -> None:
    report = tmp_path / "report"
    body = f"""
        mode = lambda path: oct(os.stat(path).st_mode)[-3:]
        files = {{name: (mode(path), mode(os.path.dirname(path)), path)
                 for name, path in request.items() if name in ("digests", "salts")}}
        json.dump([files, sys.argv, request], open({str(report)!r}, "w"))
        open(request["leaves_out"], "wb").write(bytes(32))
        print(json.dumps({{"root": "0x" + "0" * 64, "depth": 5, "count": 1}}))
    """
    salt = b"\xabSALT" * 6 + b"\xab"
    ZkProver(fake(tmp_path, body)).dataset(bytes(32), salt, 5)
    files, argv, request = json.loads(report.read_text())
    for mode, folder_mode, path in files.values():
        assert (mode, folder_mode) == ("600", "700")
        assert not Path(path).exists()
    assert argv[1:] == ["dataset"]
    assert salt.hex() not in json.dumps(request)


def test_a_missing_binary_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="make setup"):
        find_binary(tmp_path / "zkprover")
    (tmp_path / "zkprover").write_text("not executable")
    (tmp_path / "zkprover").chmod(0o644)
    with pytest.raises(UnavailableError):
        find_binary(tmp_path / "zkprover")
    with pytest.raises(UnavailableError, match="cannot start"):
        ZkProver(tmp_path / "zkprover").request("inspect", {})


def test_the_configured_program_runs_and_no_other(tmp_path: Path) -> None:
    """PROVENANCE_ZKPROVER reaches the child through the settings alone."""
    binary = fake(tmp_path, "print(json.dumps({'program': sys.argv[0]}))")
    settings = Settings.load({"HOME": str(tmp_path), "PROVENANCE_ZKPROVER": str(binary)})
    assert find_binary(settings.zkprover) == binary
    prover = Workshop(replace(settings, prover=ONE_SHOT)).prover
    assert prover.request("inspect", {}) == {"program": str(binary)}
    binary.unlink()
    with pytest.raises(UnavailableError, match="make setup"):
        Workshop(settings).prover  # noqa: B018

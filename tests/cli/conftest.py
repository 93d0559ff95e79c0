"""The command line as a user has it: `cli(..)` runs a command in this process with an environment
of its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provenance_cli.main import main
from tests.support.chain import TINY_MODEL_KEYS, cache_folder
from tests.support.places import REPO


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value


Cli = Callable[..., Outcome]


class _NoTty(io.StringIO):
    def isatty(self) -> bool:
        return False


def run_cli(environment: dict[str, str], *arguments: object) -> Outcome:
    """Run one command as `provenance ARGUMENTS` would."""
    out, err = _NoTty(), _NoTty()
    code = 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["provenance", *map(str, arguments)])
        patch.setattr(sys, "stdin", _NoTty())
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return Outcome(code, out.getvalue(), err.getvalue())


def make_environment(folder: Path) -> dict[str, str]:
    password = folder / "password"
    password.write_text("not a secret\n")
    password.chmod(0o600)
    return {
        "PROVENANCE_HOME": str(folder / "home"),
        "PROVENANCE_CACHE": str(cache_folder()),
        "PROVENANCE_PASSWORD_FILE": str(password),
        "PROVENANCE_TRUST": str(folder / "trust.yaml"),
        "PROVENANCE_CONFIG": str(folder / "config"),
        "HF_HUB_OFFLINE": "1",
    }


@dataclass(frozen=True)
class Job:
    """A finished main job on the tiny model: `run` is the run folder, `file` the released GGUF."""

    folder: Path
    environment: dict[str, str]
    run: Path
    dataset: Path
    file: Path

    def __call__(self, *arguments: object) -> Outcome:
        return run_cli(self.environment, *arguments)


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """The main job, whose run no test changes."""
    with main_job(tmp_path_factory.mktemp("job")) as finished:
        yield finished


@contextlib.contextmanager
def main_job(folder: Path, last: str = "release") -> Iterator[Job]:
    """The main job on a chain of its own, command by command up to `last`; each must succeed."""
    environment = make_environment(folder)
    run, dataset = folder / "run", folder / "dataset"
    with contextlib.ExitStack() as stack:
        stack.callback(run_cli, environment, "chain", "down")
        for arguments in (
            ("key", "create"),
            ("chain", "up"),
            (
                "chain",
                "deploy",
                "--slots",
                256,
                "--no-audit-keys",
                "--model-keys",
                TINY_MODEL_KEYS,
                "--trust-out",
                folder / "trust.yaml",
            ),
            ("dataset", "commit", "attack-stix", "--limit", 64, "--dedupe", "--out", dataset),
            ("dataset", "register", dataset),
            (
                "train",
                REPO / "examples/tiny.yaml",
                f"dataset_name={dataset}",
                f"output_dir={run}",
                "--anchor",
            ),
            ("prove", run),
            ("merge", run),
            ("quantize", run),
            ("prove", run, "--weights", "--draws", 4),
            ("release", run, "--name", "tiny:1"),
        ):
            done = run_cli(environment, *arguments)
            assert done.code == 0, f"{arguments}: {done.err}\n{done.out}"
            if arguments[0] == last:
                break
        yield Job(folder, environment, run, dataset, next(run.glob("*/*.gguf")))


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line of a fresh, empty installation."""
    environment = make_environment(tmp_path)
    return lambda *arguments: run_cli(environment, *arguments)

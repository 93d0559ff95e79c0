"""How many prover processes a whole `train --anchor` and a whole `publish` start, told by a program
that writes down its starts; and that none is left after Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from provenance_zk.prover.client import ZkProver
from tests.cli.conftest import Outcome, make_environment, run_cli
from tests.support.chain import TINY_MODEL_KEYS
from tests.support.places import EXAMPLES

# Whoever runs these tests in the background ignores SIGINT, and children would, too.
COMMAND = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from provenance_cli.main import main; main()"
)
# It becomes the prover, so the number that it writes is that of the prover's process.
PROGRAM = """#!/bin/sh
echo "$1 $$" >> {starts}
exec {prover} "$@"
"""


@dataclass(frozen=True)
class Start:
    command: str
    pid: int

    @property
    def runs(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()


@dataclass
class Place:
    """An installation whose prover writes down each of its starts."""

    folder: Path
    environment: dict[str, str]
    of: dict[str, list[Start]] = field(default_factory=dict)
    interrupted: int = 0
    """The exit code of the publish that Ctrl-C ended."""
    left: list[Start] = field(default_factory=list)
    """The provers that ran after it."""
    published: Outcome | None = None

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def publish(self) -> tuple[object, ...]:
        return ("publish", self.run, "--name", "tiny:1", "--draws", 4)

    def starts(self) -> list[Start]:
        file = self.folder / "starts"
        lines = file.read_text().splitlines() if file.exists() else []
        return [Start(command, int(pid)) for command, pid in map(str.split, lines)]

    def __call__(self, *arguments: object) -> Outcome:
        before = len(self.starts())
        done = run_cli(self.environment, *arguments)
        assert done.code == 0, f"{arguments}: {done.err}\n{done.out}"
        self.of[str(arguments[0])] = self.starts()[before:]
        return done

    def interrupt_publish(self) -> None:
        """Press Ctrl-C as soon as a prover has started."""
        before = len(self.starts())
        command = [sys.executable, "-c", COMMAND, *map(str, self.publish)]
        process = subprocess.Popen(
            command,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while len(self.starts()) == before:
            assert process.poll() is None, f"ended with {process.returncode}"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        self.interrupted = process.wait(60)
        self.of["interrupted"] = self.starts()[before:]
        self.left = [start for start in self.starts() if start.runs]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, prover: ZkProver) -> Iterator[Place]:
    """Trained, published with an interruption, and published again."""
    folder = tmp_path_factory.mktemp("provers")
    program = folder / "zkprover"
    program.write_text(PROGRAM.format(starts=folder / "starts", prover=prover.binary))
    program.chmod(0o700)
    place = Place(folder, make_environment(folder) | {"PROVENANCE_ZKPROVER": str(program)})
    deploy = ("--slots", 256, "--model-keys", TINY_MODEL_KEYS, "--trust-out")
    source = ("dataset_name=attack-stix", "--limit", 16, "--dedupe")
    try:
        place("key", "create")
        place("chain", "up")
        place("chain", "deploy", *deploy, folder / "trust.yaml")
        place("train", EXAMPLES / "tiny.yaml", *source, f"output_dir={place.run}", "--anchor")
        place.interrupt_publish()
        place.published = place(*place.publish)
        yield place
    finally:
        run_cli(place.environment, "chain", "down")


def test_training_starts_one_prover_before_it_and_one_after_it(place: Place) -> None:
    """Dataset and order share the first; none fills memory while the model trains."""
    commands = [start.command for start in place.of["train"]]
    assert commands.count("serve") == 2
    assert {*commands} == {"serve", "dataset", "leaf-root"}


def test_a_whole_publish_starts_one_prover_and_leaves_none(place: Place) -> None:
    assert place.interrupted == 130
    assert not place.left
    assert [start.command for start in place.of["interrupted"]] == ["serve"]
    done = place.published
    assert done is not None
    assert "prove weights: done in" in done.err
    assert done.out.startswith("VERIFIED (development)")
    assert [start.command for start in place.of["publish"]] == ["serve"]
    assert not any(start.runs for start in place.starts())


def test_a_verdict_asks_no_server_that_somebody_else_started(place: Place) -> None:
    nobody = {"PROVENANCE_PROVER": f"unix:{place.folder}/nobody"}
    done = run_cli(place.environment | nobody, *place.publish)
    assert done.code == 0, done.err
    assert done.err.count("done already") == 4
    assert done.out.startswith("VERIFIED (development)")

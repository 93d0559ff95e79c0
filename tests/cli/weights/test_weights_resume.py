"""`prove RUN --weights` is killed between its anchoring and its last proof: the next call goes on
with the same draw.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Job, main_job


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A main job whose weights are not proven yet."""
    with main_job(tmp_path_factory.mktemp("resume"), last="quantize") as finished:
        yield finished


def killed_once(job: Job, file: Path, *arguments: object) -> None:
    """Run a command in a process of its own; kill it and its children as soon as `file` exists."""
    command = [str(Path(sys.executable).with_name("provenance")), *map(str, arguments)]
    process = subprocess.Popen(
        command,
        env=os.environ | job.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not file.exists():
        assert process.poll() is None, f"ended with {process.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_command_goes_on_with_its_anchoring(job: Job) -> None:
    samples = job.run / "provenance" / "samples"
    command = ("prove", job.run, "--weights", "--draws", 4)
    killed_once(job, samples / "merge-0" / "proof-0.json", *command)
    killed_once(job, samples / "quantize-0" / "tables.json", *command)
    done = job(*command, "--json")
    assert done.code == 0, done.err
    assert done.json["anchorings"] == {"merge": 0, "quantize": 0}
    assert sorted(folder.name for folder in samples.iterdir()) == ["merge-0", "quantize-0"]

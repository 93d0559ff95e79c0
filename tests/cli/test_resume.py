"""A run that is killed goes on from its last checkpoint, and its model is verified."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from provenance.log.tree import read_records
from tests.cli.conftest import REPO, Job


def killed_after_first_checkpoint(job: Job, run: Path, *overrides: str) -> None:
    """Train in another process; kill it once batches follow a journaled checkpoint."""
    command = [
        str(Path(sys.executable).with_name("provenance")),
        "train",
        str(REPO / "examples/tiny.yaml"),
        f"dataset_name={job.dataset}",
        f"output_dir={run}",
        *overrides,
        "--anchor",
    ]
    with subprocess.Popen(
        command, env=os.environ | job.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as child:
        deadline = time.monotonic() + 300
        while child.poll() is None and time.monotonic() < deadline:
            if _has_batch_after_checkpoint(run / "provenance" / "journal"):
                os.kill(child.pid, signal.SIGKILL)
                break
            time.sleep(0.02)
        _, errors = child.communicate()
    assert child.returncode == -signal.SIGKILL, errors.decode()


def _has_batch_after_checkpoint(journal: Path) -> bool:
    if not journal.is_file():
        return False
    kinds = [r.type for r in read_records(journal)]
    return "checkpoint" in kinds and "batch" in kinds[kinds.index("checkpoint") :]


def test_killed_run_is_resumed_proven_and_verified(job: Job, tmp_path: Path) -> None:
    run = tmp_path / "run"
    overrides = ("save_steps=4", "num_train_epochs=6", "per_device_train_batch_size=2")
    killed_after_first_checkpoint(job, run, *overrides)
    arguments = (
        "train",
        REPO / "examples/tiny.yaml",
        f"dataset_name={job.dataset}",
        f"output_dir={run}",
        *overrides,
        "--anchor",
    )
    other = job(*arguments, "learning_rate=2e-3")
    assert other.code == 2, "a pre-registered run cannot change its configuration"
    assert "configuration differs" in other.err
    resumed = job(*arguments)
    assert resumed.code == 0, resumed.err
    assert "prove epochs: done in" in resumed.err
    records = read_records(run / "provenance" / "journal")
    resume = next(r for r in records if r.type == "resume")
    assert records[resume.fields["from"]].type == "checkpoint"
    assert len([r for r in records if r.type == "run.open"]) == 1
    for command in ("prove", "merge", "quantize", "release"):
        done = job(command, run)
        assert done.code == 0, done.err
    verdict = job("verify", next((run / "release").glob("*.gguf")), "--evidence", run, "--json")
    assert verdict.code == 0
    assert ", 1 resume" in next(
        c["text"] for c in verdict.json["claims"] if c["id"] == "history.consistent"
    )

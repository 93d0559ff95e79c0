"""Each example configuration runs from the repository's root as its first line says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provenance.log.tree import read_records
from provenance.settings import Settings
from provenance_cli.actions.commit import Selection
from provenance_cli.jobs.tasks import run_tasks
from provenance_cli.jobs.train import TrainJob, TrainRequest
from provenance_trainer.draft import load_draft
from provenance_zk.workers.executors import Workshop
from tests.support.places import EXAMPLES, REPO

SHAPES = sorted(path.stem for path in (EXAMPLES / "data").glob("*.yaml"))


def test_there_is_one_for_each_shape() -> None:
    assert SHAPES == ["conversations", "instruction", "messages", "prompt_completion", "text"]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_example_trains_on_what_it_says(
    shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPO)
    monkeypatch.setenv("PROVENANCE_HOME", str(tmp_path / "home"))
    draft = load_draft(EXAMPLES / "data" / f"{shape}.yaml", [f"output_dir={tmp_path / 'run'}"])
    job = TrainJob(TrainRequest(draft, Selection(""), anchor=False), Workshop(Settings.load()))
    job.check(job.relay)
    run_tasks(job.tasks(), job.relay)
    opening = read_records(tmp_path / "run" / "provenance" / "journal")[0]
    fed = opening.fields["fed"]
    assert (fed["shape"], fed["records"], fed["cut"], fed["unlearned"]) == (shape, 8, 0, 0)
    assert job.checked is not None
    assert fed == json.loads(json.dumps(job.checked.fed.to_json()))
    assert fed["loss"] == ("completion" if shape in ("instruction", "prompt_completion") else "all")
    assert 0 < fed["predicted"] < fed["tokens"]

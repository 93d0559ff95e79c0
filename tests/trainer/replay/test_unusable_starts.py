"""Checkpoints that the log names and nobody can go on from: they hide no segment that came out
otherwise, and cost time alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import TrainerCallback

from provenance.errors import NotFound, VerificationError
from provenance.log.audit.agreement import Agreement
from provenance.log.graph.segments import joined, segments_of
from provenance.progress import silent
from provenance_trainer.model.base import BaseModel
from provenance_trainer.record.checkpoints import checkpoint_digests
from provenance_trainer.replay import again
from provenance_trainer.replay.again import Replayed
from provenance_trainer.replay.compare import Weights, load_weights
from provenance_trainer.replay.on_ray import replay_on_ray
from provenance_trainer.replay.process import Apart
from provenance_trainer.replay.run import Replay, replay_run
from provenance_trainer.run import lifecycle
from provenance_trainer.run import train as training
from provenance_zk.workers.names import RAY_HERE
from tests.support import training as support
from tests.trainer.replay.dishonest import WAYS
from tests.trainer.replay.test_replay_again import Trained
from tests.trainer.replay.test_replay_hostile import copy_of, logged
from tests.trainer.replay.test_replay_processes import PATHS, material_of, tasks_of


class Spoiling(TrainerCallback):
    """Exchanges the optimizer of a checkpoint before it is recorded, so the log names the other."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 4:
            folder = Path(args.output_dir) / "checkpoint-4"
            torch.save({"state": {}, "param_groups": []}, folder / "optimizer.pt")


@pytest.fixture(scope="module")
def cheated(tmp_path_factory: pytest.TempPathFactory, tiny: BaseModel) -> Trained:
    """A run that was fed other data in its second segment, which ends with a spoiled checkpoint."""
    original = training.prepare_run

    def prepared(*args: Any, **kwargs: Any) -> training.PreparedRun:
        run = original(*args, **kwargs)
        WAYS["other data"][0](run)
        run.trainer.callback_handler.callbacks.insert(0, Spoiling())
        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lifecycle, "prepare_run", prepared)
        return Trained(tmp_path_factory.mktemp("cheated"), tiny)


def replayed(run: Trained, numbers: list[int], executor: str) -> Replay:
    config = support.make_config(run.folder / "data", run.folder / "run")
    records = support.records_of(config)
    return replay_run(records, [run.folder / "run"], numbers, material_of(run, executor), silent)


@pytest.mark.parametrize("executor", ["local", "local:2"])
def test_a_start_that_cannot_be_loaded_hides_no_other_segment(
    cheated: Trained, executor: str
) -> None:
    found = replayed(cheated, [0, 1, 2], executor)
    assert [str(one.agreement) for one in found.outcomes] == ["exact", "different", "different"]
    assert str(found.trainings[-1]) == (
        "steps 1 to 6: from the seed, since checkpoint-4 is gone or of no use"
    )
    assert found.to_json()["trainings"][-1]["gone"] == ["checkpoint-4"]


def test_on_ray_such_a_segment_begins_with_the_seed_too(cheated: Trained) -> None:
    options = {
        "num_cpus": 2,
        "object_store_memory": 100 << 20,
        "runtime_env": {"env_vars": {"PYTHONPATH": PATHS}},
    }
    third = tasks_of(cheated)[2]
    tasks = [replace(third, instead=joined(segments_of(cheated.history)))]
    (done,) = replay_on_ray(tasks, material_of(cheated, RAY_HERE), silent, **options)
    assert done.made.refused == "checkpoint-4"
    assert [str(one.agreement) for one in done.made.comparisons] == ["exact", "different"]


@pytest.mark.parametrize("executor", ["local", "local:1"])
def test_what_came_out_otherwise_is_told_though_a_later_segment_ends_the_replay(
    cheated: Trained, executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends it, and no seed mends, such as a machine without memory."""
    original = Apart.told

    def told(self: Apart) -> str | Replayed:
        if self._task.segment.number == 2 and self._task.segment.first != 3:
            raise NotFound("no memory")
        return original(self)

    monkeypatch.setattr(Apart, "told", told)
    what = r"checkpoint-4: training again makes another.*no memory"
    with pytest.raises(VerificationError, match=what):
        replayed(cheated, [1, 2], executor)


def test_an_error_about_the_log_is_not_tried_again_from_the_seed(cheated: Trained) -> None:
    task = tasks_of(cheated)[2]
    anew = replace(task, instead=joined(segments_of(cheated.history)))
    error = VerificationError("the log lists other records than the run's order feeds")
    for each, cause in ((anew, error), (task, NotFound("gone"))):
        with pytest.raises(type(cause)):
            each.anew(cause, silent)
    assert anew.anew(NotFound("gone"), silent).segment.start is None


def test_weights_larger_than_the_run_can_have_are_not_read_into_memory(
    cheated: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would end the process that compares with them, and so hide that they differ."""
    run, segment = copy_of(cheated, tmp_path / "copy"), segments_of(cheated.history)[1]
    folder = run.folder / "run" / "checkpoint-4"
    file = folder / "adapter_model.safetensors"
    save_file({"large": torch.zeros(40 << 20, dtype=torch.bfloat16)}, file)
    weights = str(checkpoint_digests(folder).weights)
    read = list[Path]()

    def noted(folder: Path) -> Weights:
        read.append(folder)
        return load_weights(folder)

    monkeypatch.setattr(again, "load_weights", noted)
    (tmp_path / "again").mkdir()
    end = logged(segment.ends[0], weights=weights)
    (found,) = run.replay(replace(segment, ends=(end,)), tmp_path / "again").comparisons
    assert found.agreement is Agreement.UNKNOWN
    assert folder not in read

"""Folders and logs of a publisher who wants training again to find what is not so, or to end it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from provenance.dataset.committed import CommittedDataset
from provenance.errors import InputError, NotFound, VerificationError
from provenance.log.audit.agreement import Agreement
from provenance.log.graph.segments import Segment, joined, segments_of
from provenance.log.history import Placed
from provenance.progress import silent
from provenance_trainer.model.base import BaseModel
from provenance_trainer.record.checkpoints import checkpoint_digests
from provenance_trainer.replay.again import Work, replay_segment
from provenance_trainer.replay.reach import reachable
from tests.support import training as support
from tests.trainer.replay.test_replay_again import Trained


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, tiny: BaseModel) -> Trained:
    return Trained(tmp_path_factory.mktemp("honest"), tiny)


def copy_of(run: Trained, folder: Path) -> Trained:
    shutil.copytree(run.folder, folder)
    copy = Trained.__new__(Trained)
    copy.folder, copy.base = folder, run.base
    return copy


def logged(placed: Placed, **fields: Any) -> Placed:
    """A record as its publisher would write it; None leaves a field out."""
    changed = {k: v for k, v in {**placed.fields, **fields}.items() if v is not None}
    return replace(placed, record=replace(placed.record, fields=changed))


def scaled(path: Path) -> None:
    found = load_file(path)
    save_file({name: value * 3 for name, value in found.items()}, path)


def subfolder(folder: Path) -> None:
    """Trainer loads adapters of subfolders over the one beside them."""
    (folder / "default").mkdir()
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        shutil.copy(folder / name, folder / "default" / name)
    scaled(folder / "default" / "adapter_model.safetensors")


def whole_model(folder: Path) -> None:
    """Trainer loads a whole model instead of the adapter."""
    found = load_file(folder / "adapter_model.safetensors")
    names = {n.replace(".weight", ".default.weight"): v * 3 for n, v in found.items()}
    save_file(names, folder / "model.safetensors")


def other_step(folder: Path) -> None:
    state = folder / "trainer_state.json"
    state.write_text(state.read_text().replace('"global_step": 2,', '"global_step": 4,'))


def endless_pattern(folder: Path) -> None:
    (folder / "evil").mkdir()
    shutil.copy(folder / "adapter_model.safetensors", folder / "evil")
    text = (folder / "adapter_config.json").read_text()
    pattern = "(.+)+(.+)+(.+)+(.+)+!"
    (folder / "evil" / "adapter_config.json").write_text(
        text.replace('"target_modules": [', f'"target_modules": "{pattern}", "was": [')
    )


@pytest.mark.parametrize("change", [subfolder, whole_model, other_step, endless_pattern])
def test_of_a_checkpoint_nothing_but_the_logged_parts_is_read(
    honest: Trained, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    run = copy_of(honest, tmp_path / "copy")
    change(tmp_path / "copy" / "run" / "checkpoint-2")
    segment = segments_of(run.history)[1]
    assert segment.start is not None
    made = checkpoint_digests(tmp_path / "copy" / "run" / "checkpoint-2")
    start = logged(segment.start, manifest=str(made.manifest))
    (tmp_path / "again").mkdir()
    found = run.replay(replace(segment, start=start), tmp_path / "again")
    assert [c.agreement for c in found.comparisons] == [Agreement.EXACT]


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory, tiny: BaseModel) -> Trained:
    """A run whose learning rate does not tell when it will end."""
    return Trained(tmp_path_factory.mktemp("steady"), tiny, lr_scheduler_type="constant")


@pytest.mark.parametrize("change", [{"num_train_epochs": 2}, {"max_steps": 4}])
@pytest.mark.parametrize("first", [1, 2])
def test_a_configuration_that_ends_before_the_log_leaves_no_segment_uncompared(
    steady: Trained, tmp_path: Path, change: dict[str, int], first: int
) -> None:
    history = steady.history
    fields = dict(history.opening.fields)
    opening = replace(history.opening, fields=fields | {"config": fields["config"] | change})
    segment = joined(segments_of(history)[first:])
    assert history.seed is not None
    seed = bytes.fromhex(history.seed.fields["seed"][2:])
    work = Work(opening, seed, segment, [steady.folder / "run"], tmp_path)
    with (
        CommittedDataset.open(steady.folder / "data", support.KEY, support.AGAIN) as dataset,
        pytest.raises(VerificationError, match="a batch that the run's order does not feed"),
    ):
        replay_segment(work, steady.base, dataset, silent)


@pytest.mark.parametrize("part", ["optimizer", "scheduler", "rng"])
def test_a_checkpoint_whose_record_leaves_a_part_out_is_no_start_and_no_exact_end(
    honest: Trained, tmp_path: Path, part: str
) -> None:
    first, second, third = segments_of(honest.history)
    end = logged(first.ends[0], **{part: None})
    found = honest.replay(replace(first, ends=(end,)), tmp_path)
    assert found.comparisons[0].agreement is Agreement.UNKNOWN
    (tmp_path / "second").mkdir()
    bare = replace(second, start=end)
    with pytest.raises(VerificationError, match="a digest in the log"):
        honest.replay(bare, tmp_path / "second")
    joined, _ = reachable([first, bare, third], [1], [honest.folder / "run"], silent)
    assert joined.start is None


def bigger(folder: Path) -> str:
    with (folder / "optimizer.pt").open("r+b") as stream:
        stream.truncate(1 << 40)  # a hole
    return "too large"


def linked(folder: Path) -> str:
    (folder / "optimizer.pt").unlink()
    (folder / "optimizer.pt").symlink_to("/dev/zero")
    return "cannot open file"


def another(folder: Path) -> str:
    scaled(folder / "adapter_model.safetensors")
    return "checkpoint was altered"


@pytest.mark.parametrize("change", [bigger, linked, another])
def test_a_part_that_is_not_as_logged_is_not_loaded(
    honest: Trained, tmp_path: Path, change: Callable[[Path], str]
) -> None:
    run = copy_of(honest, tmp_path / "copy")
    message = change(tmp_path / "copy" / "run" / "checkpoint-2")
    (tmp_path / "again").mkdir()
    with pytest.raises((InputError, VerificationError), match=message):
        run.replay(segments_of(run.history)[1], tmp_path / "again")


def more_tensors(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    found = load_file(path)
    base = "base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight"
    save_file({**found, base: np.zeros((4, 4), np.float32)}, path)


def test_a_start_of_other_tensors_is_refused(honest: Trained, tmp_path: Path) -> None:
    run = copy_of(honest, tmp_path / "copy")
    folder = tmp_path / "copy" / "run" / "checkpoint-2"
    more_tensors(folder)
    segment = segments_of(run.history)[1]
    assert segment.start is not None
    start = logged(segment.start, weights=str(checkpoint_digests(folder).weights))
    (tmp_path / "again").mkdir()
    with pytest.raises(VerificationError, match="other tensors than the run's adapter"):
        run.replay(replace(segment, start=start), tmp_path / "again")


def test_a_state_that_cannot_be_loaded_accuses_nobody(honest: Trained, tmp_path: Path) -> None:
    run = copy_of(honest, tmp_path / "copy")
    folder = tmp_path / "copy" / "run" / "checkpoint-2"
    torch.save({"state": {}, "param_groups": []}, folder / "optimizer.pt")
    segment = segments_of(run.history)[1]
    assert segment.start is not None
    start = logged(segment.start, optimizer=str(checkpoint_digests(folder).optimizer))
    (tmp_path / "again").mkdir()
    with pytest.raises(NotFound, match="cannot be done again here"):
        run.replay(replace(segment, start=start), tmp_path / "again")


@pytest.mark.parametrize(
    "fields",
    [{"path": "checkpoint-2"}, {"path": "checkpoint-04"}, {"step": 2, "path": "checkpoint-2"}],
)
def test_a_checkpoint_that_is_called_by_another_step_is_refused(
    honest: Trained, fields: dict[str, Any]
) -> None:
    history = honest.history
    first, second, *others = history.checkpoints
    changed = replace(history, checkpoints=(first, logged(second, **fields), *others))
    with pytest.raises(VerificationError, match="called by another step than its own"):
        segments_of(changed)


def test_a_run_that_has_not_ended_is_not_accused(honest: Trained) -> None:
    with pytest.raises(NotFound, match="has not ended"):
        segments_of(replace(honest.history, close=None))


def test_training_stops_where_the_state_is_another(honest: Trained, tmp_path: Path) -> None:
    """And an adapter that was shipped from another state accuses nobody a second time."""
    first, second, third = segments_of(honest.history)
    other = logged(second.ends[0], weights="sha256:" + "00" * 32)
    joined = Segment(
        2,
        None,
        (first.ends[0], other, *third.ends),
        (*first.batches, *second.batches, *third.batches),
    )
    found = honest.replay(joined, tmp_path)
    assert [(c.step, c.agreement) for c in found.comparisons] == [
        (2, Agreement.EXACT),
        (4, Agreement.UNKNOWN),
    ]

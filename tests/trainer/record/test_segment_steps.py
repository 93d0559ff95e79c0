"""Checkpoints for segments: written often, recorded without waiting, never pruned, and none lost
that a killed run could go on from.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import Trainer

from provenance.artifacts.manifest import manifest_of
from provenance.log.fold import read_history
from provenance.log.graph.segments import segments_of
from provenance.log.journal import Journal
from provenance.progress import silent
from provenance_trainer.config import TrainConfig
from provenance_trainer.model.base import BaseModel
from provenance_trainer.record import checkpoints, recorder
from provenance_trainer.record.callback import ProvenanceCallback
from provenance_trainer.record.checkpoints import CheckpointDigests
from provenance_trainer.record.pruning import Pruning, goes
from provenance_trainer.run import lifecycle, train
from tests.support import training as support
from tests.trainer import children
from tests.trainer.run.test_lifecycle import request

COUNT = 22  # six steps an epoch


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return support.make_dataset(tmp_path_factory.mktemp("d") / "data", COUNT)


def config_of(data: Path, out: Path, **changes: Any) -> TrainConfig:
    block = {"segment_steps": 2, **changes.pop("provenance", {})}
    return support.make_config(data, out, save_steps=5, provenance=block, **changes)


def steps_on_disk(run: Path) -> list[int]:
    return sorted(int(path.name.partition("-")[2]) for path in run.glob("checkpoint-*"))


def test_every_segment_ends_with_a_recorded_checkpoint(
    data: Path, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: dict[str, str] = {}
    original = checkpoints.checkpoint_digests

    def spy(folder: Path) -> CheckpointDigests:
        hashed[folder.name] = threading.current_thread().name
        return original(folder)

    monkeypatch.setattr(checkpoints, "checkpoint_digests", spy)
    config = config_of(data, tmp_path / "run")
    support.start_or_resume(config, cache_dir)
    here = threading.current_thread().name
    assert hashed == {
        "checkpoint-2": "recorder",
        "checkpoint-4": "recorder",
        "checkpoint-5": here,
        "checkpoint-6": here,
    }
    records = support.records_of(config)
    found = [(seq, r.fields) for seq, r in enumerate(records) if r.type == "checkpoint"]
    assert [(f["step"], f["consumed"], f.get("previous")) for _, f in found] == [
        (2, 8, None),
        (4, 16, found[0][0]),
        (5, 20, found[1][0]),
        (6, COUNT, found[2][0]),
    ]
    for seq, fields in found:
        folder = tmp_path / "run" / fields["path"]
        assert fields["manifest"] == str(manifest_of(folder).root)
        assert records[fields["last_batch"]].fields["step"] == fields["step"]
        assert {"optimizer", "scheduler", "rng"} <= set(fields)
        assert [r.fields["step"] for r in records[seq:] if r.type == "batch"][:1] in (
            [],
            [fields["step"] + 1],
        )
    read_history(records)


class Anchor:
    """Counts the heads that are asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def request(self) -> None:
        self.asked += 1

    def status(self) -> str:
        return "counted"


@pytest.mark.parametrize("segment_steps", [None, 2])
def test_checkpoints_for_segments_ask_for_no_heads(
    tiny: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, segment_steps: int | None
) -> None:
    anchor = Anchor()
    original = train._connect

    def connect(run: Any, made: Any, _: Any, say: Any) -> None:
        original(run, made, anchor, say)

    monkeypatch.setattr(train, "_connect", connect)
    block = {"segment_steps": segment_steps}
    asked = request(tmp_path, tiny, num_train_epochs=3, save_steps=4, provenance=block)
    lifecycle.train_recorded(asked, silent)
    assert anchor.asked == 3  # steps 4 and 6, and the end of training


def test_pruning_leaves_where_segments_begin(data: Path, cache_dir: Path, tmp_path: Path) -> None:
    config = config_of(data, tmp_path / "run", num_train_epochs=3, save_total_limit=1)
    support.start_or_resume(config, cache_dir)
    # 5 goes once 15 is recorded; 10 ends a segment, too.
    assert steps_on_disk(tmp_path / "run") == [2, 4, 6, 8, 10, 12, 14, 15, 16, 18]
    assert len(support.records_of(config, "checkpoint")) == 11


def test_without_segments_pruning_is_that_of_trainer(
    data: Path, cache_dir: Path, tmp_path: Path
) -> None:
    config = support.make_config(
        data, tmp_path / "run", num_train_epochs=2, save_steps=3, save_total_limit=2
    )
    support.start_or_resume(config, cache_dir)
    assert steps_on_disk(tmp_path / "run") == [9, 12]


@pytest.mark.parametrize(
    ("steps", "limit", "segment_steps", "expected"),
    [
        ([3, 6, 9], 1, None, [3, 6]),
        ([9, 3, 6], 2, None, [3]),
        ([3], 1, None, []),
        ([2, 3, 4, 6, 8, 9], 1, 2, [3]),
        ([2, 4, 6], 1, 2, []),
        ([], 1, None, []),
    ],
)
def test_what_goes(
    steps: list[int], limit: int, segment_steps: int | None, expected: list[int]
) -> None:
    assert goes(steps, limit, segment_steps) == expected


class Backlog:
    """A recorder whose records are not on disk."""

    backlog = 1

    @property
    def status(self) -> Backlog:
        return self


def test_nothing_is_deleted_while_records_are_not_on_disk(tmp_path: Path) -> None:
    for step in (3, 6):
        (tmp_path / f"checkpoint-{step}").mkdir()
    waiting = Backlog()
    pruning = Pruning(1, None, waiting)  # type: ignore[arg-type]
    args = type("Args", (), {"output_dir": str(tmp_path)})
    state = type("State", (), {"is_world_process_zero": True, "global_step": 6})
    pruning.on_save(args, state, None)  # type: ignore[arg-type]
    assert steps_on_disk(tmp_path) == [3, 6]
    waiting.backlog = 0
    pruning.on_save(args, state, None)  # type: ignore[arg-type]
    assert steps_on_disk(tmp_path) == [6]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_part(at: int) -> None:
    """When the adapter is written, and optimizer and random state are not."""
    original = Trainer._save_optimizer_and_scheduler

    def save(self: Trainer, folder: str) -> None:
        if self.state.global_step == at:
            die()
        original(self, folder)

    Trainer._save_optimizer_and_scheduler = save


def unrecorded(at: int) -> None:
    """When the folder is whole, and its record is not made."""
    original = ProvenanceCallback.on_save

    def save(self: ProvenanceCallback, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.global_step == at:
            die()
        original(self, args, state, control, **more)

    # This process ends with the kill, so nothing is put back.
    ProvenanceCallback.on_save = save  # type: ignore[method-assign]


def hashed(at: int) -> None:
    """When it was hashed, and its record is not in the journal."""
    original = recorder.digests_or_none

    def digests(folder: Path) -> CheckpointDigests | None:
        made = original(folder)
        if folder.name == f"checkpoint-{at}":
            die()
        return made

    recorder.digests_or_none = digests


def journaled(at: int) -> None:
    """When its record is on disk."""
    original = Journal.append

    def append(self: Journal, payload: bytes) -> Any:
        if b'"step":%d,' % (at + 1) in payload:
            self.barrier()
            die()
        return original(self, payload)

    Journal.append = append  # type: ignore[method-assign]


def waiting(at: int) -> None:
    """Training waits for the records of earlier checkpoints: else how many there are is chance."""
    original = ProvenanceCallback.on_save

    def save(self: ProvenanceCallback, args: Any, state: Any, control: Any, **more: Any) -> None:
        original(self, args, state, control, **more)
        if state.global_step < at:
            self.recorder.settle()

    ProvenanceCallback.on_save = save  # type: ignore[method-assign]


def killed(config: TrainConfig, cache: Path, arm: Callable[[int], None], at: int) -> None:
    waiting(at)
    arm(at)
    support.start_or_resume(config, cache)


@pytest.mark.parametrize(
    ("arm", "at", "goes_on_from"),
    [
        (in_part, 4, 2),
        (unrecorded, 4, 2),
        (hashed, 4, 2),
        (journaled, 4, 4),
        (unrecorded, 9, 8),
    ],
)
def test_a_run_that_is_killed_at_a_checkpoint_goes_on(
    data: Path,
    cache_dir: Path,
    tiny: BaseModel,
    tmp_path: Path,
    arm: Callable[[int], None],
    at: int,
    goes_on_from: int,
) -> None:
    more = {"num_train_epochs": 2, "save_total_limit": 1, "lora_dropout": 0.1}
    steps = {"save_steps": 9, "provenance": {"segment_steps": 2}} | more
    config = support.make_config(data, tmp_path / "run", **steps)
    folder = tmp_path / "child"
    folder.mkdir()
    code, output = children.run(folder, killed, config, cache_dir, arm, at)
    assert code == -signal.SIGKILL, output[-2000:]
    summary = support.start_or_resume(config, cache_dir)
    records = support.records_of(config)
    (resume,) = (r.fields for r in records if r.type == "resume")
    assert resume["step"] == goes_on_from
    history = read_history(records)
    assert [placed.fields["step"] for placed in history.checkpoints] == [2, 4, 6, 8, 9, 10, 12]
    for placed in history.checkpoints:
        made = manifest_of(tmp_path / "run" / placed.fields["path"]).root
        assert placed.fields["manifest"] == str(made)
    whole = support.make_config(data, tmp_path / "whole", **steps)
    assert support.start_or_resume(whole, cache_dir).adapter == summary.adapter


def test_with_trainer_alone_a_kill_would_leave_none_to_go_on_from(
    data: Path, cache_dir: Path, tiny: BaseModel, tmp_path: Path
) -> None:
    """Trainer prunes before the newest checkpoint is recorded; `Pruning` does so after it."""
    config = support.make_config(data, tmp_path / "run", save_total_limit=1)
    folder = tmp_path / "child"
    folder.mkdir()
    code, output = children.run(folder, killed, config, cache_dir, unrecorded, 6)
    assert code == -signal.SIGKILL, output[-2000:]
    support.start_or_resume(config, cache_dir)
    (resume,) = support.records_of(config, "resume")
    assert resume.fields["step"] == 3
    assert steps_on_disk(tmp_path / "run") == [6]


def test_segments_are_as_short_as_asked(tiny: BaseModel, tmp_path: Path) -> None:
    block = {"segment_steps": 1}
    asked = request(tmp_path, tiny, num_train_epochs=2, save_steps=100, provenance=block)
    lifecycle.train_recorded(asked, silent)
    history = read_history(support.records_of(asked.config))
    found = [(s.first, s.last, len(s.ends)) for s in segments_of(history)]
    assert found == [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 4, 2)]

"""Where a run is trained again: on what it was trained on, and from files that end."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import NotFound
from provenance.log.audit.agreement import Agreement
from provenance.log.graph.segments import segments_of
from provenance.progress import silent
from provenance_trainer.model.base import BaseModel
from provenance_trainer.record.determinism import devices_of
from provenance_trainer.replay import again as replaying
from provenance_trainer.replay.again import Replayed, Work, replay_segment
from provenance_trainer.replay.run import reachable
from tests.support import training as support
from tests.trainer.replay.test_replay_again import Trained

ENDLESS = 1 << 42  # bytes of a sparse file, which would take an hour to hash


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny: BaseModel) -> Trained:
    return Trained(tmp_path_factory.mktemp("trained"), tiny)


@pytest.mark.parametrize(
    ("said", "variables"),
    [
        ({}, {}),
        ({"stack": "no"}, {}),
        ({"stack": {"threads": 2}}, {"CUDA_VISIBLE_DEVICES": ""}),
        ({"stack": {"gpu": "NVIDIA H200"}}, {}),
    ],
)
def test_a_run_without_a_gpu_is_trained_again_without_one(
    said: dict[str, Any], variables: dict[str, str]
) -> None:
    assert devices_of(said) == variables


def with_gpu(run: Trained, scratch: Path) -> Work:
    """The first segment, of a run that says it was trained on a GPU."""
    history = run.history
    fields = dict(history.opening.fields)
    environment = fields["environment"]
    stack = environment["stack"] | {"gpu": "NVIDIA H200"}
    opening = replace(
        history.opening, fields=fields | {"environment": environment | {"stack": stack}}
    )
    assert history.seed is not None
    seed = bytes.fromhex(history.seed.fields["seed"][2:])
    return Work(opening, seed, segments_of(history)[0], [run.folder / "run"], scratch)


def test_a_run_with_a_gpu_is_not_accused_where_there_is_none(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout draws other numbers there, so an honest run would be called different."""
    monkeypatch.setattr(replaying, "has_gpu", lambda: False)

    def again() -> Replayed:
        with support.CommittedDataset.open(
            trained.folder / "data", support.KEY, support.AGAIN
        ) as dataset:
            return replay_segment(with_gpu(trained, tmp_path), trained.base, dataset, silent)

    with pytest.raises(NotFound, match="trained on a GPU"):
        again()
    monkeypatch.setattr(replaying, "has_gpu", lambda: True)
    assert [c.agreement for c in again().comparisons] == [Agreement.EXACT]


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "optimizer.pt"])
def test_a_planted_file_without_end_is_not_hashed(
    trained: Trained, tmp_path: Path, name: str
) -> None:
    run, planted = trained.folder / "run", tmp_path / "planted"
    shutil.copytree(run, planted)
    os.truncate(planted / "checkpoint-2" / name, ENDLESS)
    said: list[str] = []
    segments = segments_of(trained.history)
    assert reachable(segments, [1], [planted, run], said.append) == (segments[1], [run, planted])
    assert "file is too large" in said[0]


def test_files_beside_the_weights_do_not_keep_them_from_being_compared(
    trained: Trained, tmp_path: Path, tiny: BaseModel
) -> None:
    """A publisher who takes away the optimizer's state is told how far the weights are off."""
    other = Trained(tmp_path, tiny, learning_rate=2e-3)
    folder = tmp_path / "run" / "checkpoint-2"
    (folder / "optimizer.pt").unlink()
    os.truncate(folder / "trainer_state.json", ENDLESS)
    first = replace(segments_of(trained.history)[0], ends=segments_of(other.history)[0].ends)
    history = trained.history
    assert history.seed is not None
    seed = bytes.fromhex(history.seed.fields["seed"][2:])
    (tmp_path / "again").mkdir()
    work = Work(history.opening, seed, first, [tmp_path / "run"], tmp_path / "again")
    with support.CommittedDataset.open(
        trained.folder / "data", support.KEY, support.AGAIN
    ) as dataset:
        found = replay_segment(work, trained.base, dataset, silent)
    assert [c.agreement for c in found.comparisons] == [Agreement.DIFFERENT]

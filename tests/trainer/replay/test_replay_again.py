"""Training again: honest runs come out bit for bit, and whoever cheats is caught in the segment
where it happened.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from provenance.dataset.committed import CommittedDataset
from provenance.errors import InputError, VerificationError
from provenance.ids import Word
from provenance.log.audit.agreement import Agreement
from provenance.log.audit.draw import drawn
from provenance.log.fold import read_history
from provenance.log.graph.segments import Segment, joined, segments_of
from provenance.log.history import History
from provenance.progress import silent
from provenance.settings import Settings
from provenance_trainer.config import TrainConfig
from provenance_trainer.model.base import BaseModel
from provenance_trainer.record.determinism import variables_of
from provenance_trainer.replay.again import Replayed, Work, replay_segment
from provenance_trainer.replay.process import Material
from provenance_trainer.replay.reach import reachable
from provenance_trainer.replay.run import replay_run
from provenance_trainer.run import lifecycle
from provenance_trainer.run import train as training
from tests.support import training as support
from tests.trainer.replay.dishonest import WAYS, At
from tests.trainer.run.test_lifecycle import request


class Trained:
    """A finished run of six steps in three segments."""

    def __init__(self, folder: Path, base: BaseModel, **changes: Any) -> None:
        self.folder, self.base = folder, base
        settings: dict[str, Any] = {
            "num_train_epochs": 3,
            "save_steps": 2,
            "lora_dropout": 0.1,
            **changes,
        }
        lifecycle.train_recorded(request(folder, base, **settings), silent)

    @property
    def history(self) -> History:
        config = support.make_config(self.folder / "data", self.folder / "run")
        return read_history(support.records_of(config))

    def replay(self, segment: Segment, scratch: Path) -> Replayed:
        history = self.history
        assert history.seed is not None
        seed = bytes.fromhex(history.seed.fields["seed"][2:])
        work = Work(history.opening, seed, segment, [self.folder / "run"], scratch)
        with CommittedDataset.open(self.folder / "data", support.KEY, support.AGAIN) as dataset:
            return replay_segment(work, self.base, dataset, silent)

    def replay_all(self, scratch: Path) -> list[Replayed]:
        found = []
        for segment in segments_of(self.history):
            (place := scratch / str(segment.number)).mkdir(parents=True)
            found.append(self.replay(segment, place))
        return found


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, tiny: BaseModel) -> Trained:
    return Trained(tmp_path_factory.mktemp("honest"), tiny)


def test_an_honest_run_comes_out_bit_for_bit(honest: Trained, tmp_path: Path) -> None:
    found = honest.replay_all(tmp_path)
    assert [[c.name for c in one.comparisons] for one in found] == [
        ["checkpoint-2"],
        ["checkpoint-4"],
        ["checkpoint-6", "adapter"],
    ]
    assert {c.agreement for one in found for c in one.comparisons} == {Agreement.EXACT}


@pytest.mark.parametrize("way", WAYS)
def test_whoever_cheats_is_caught(
    way: str, tiny: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheat, first = WAYS[way]
    original = training.prepare_run

    def prepared(*args: Any, **kwargs: Any) -> training.PreparedRun:
        run = original(*args, **kwargs)
        cheat(run)
        return run

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "prepare_run", prepared)
        run = Trained(tmp_path, tiny)
    segments = segments_of(run.history)
    (tmp_path / "again").mkdir()
    found = run.replay(joined(segments), tmp_path / "again").comparisons
    assert {c.agreement for c in found[:-1]} <= {Agreement.EXACT}
    assert found[-1].agreement is not Agreement.EXACT
    assert found[-1].index in {end.index for end in segments[first].ends}


def refusal(run: Trained, segment: Segment, scratch: Path) -> str:
    with pytest.raises(VerificationError) as caught:
        run.replay(segment, scratch)
    return str(caught.value)


def test_batches_that_the_order_does_not_feed_are_named(honest: Trained, tmp_path: Path) -> None:
    (_, segment, _) = segments_of(honest.history)
    first, second = segment.batches
    lacking = replace(segment, batches=(second,))
    assert "step 3, batch 0: the log lacks a batch" in refusal(honest, lacking, tmp_path)
    (tmp_path / "swapped").mkdir()
    leaves = {"leaves": second.fields["leaves"]}
    other = replace(first, record=replace(first.record, fields={**first.fields, **leaves}))
    swapped = replace(segment, batches=(other, second))
    found = refusal(honest, swapped, tmp_path / "swapped")
    assert f"record {first.index}, step 3, batch 0: the log lists other records" in found
    (tmp_path / "more").mkdir()
    more = {"micro": 7}
    extra = replace(first, record=replace(first.record, fields={**first.fields, **more}))
    longer = replace(segment, batches=(*segment.batches, extra))
    assert "the log has a batch that the run's order does not feed" in refusal(
        honest, longer, tmp_path / "more"
    )


def test_checkpoints_of_another_run_are_no_end_of_these_batches(
    honest: Trained, tiny: BaseModel, tmp_path: Path
) -> None:
    other = Trained(tmp_path, tiny, learning_rate=2e-3)
    mine, theirs = segments_of(honest.history)[0], segments_of(other.history)[0]
    (tmp_path / "again").mkdir()
    found = honest.replay(replace(mine, ends=theirs.ends), tmp_path / "again")
    assert found.comparisons[0].agreement is Agreement.UNKNOWN  # theirs are not at hand here


def test_a_run_that_was_killed_and_resumed_comes_out_bit_for_bit(
    tiny: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(kwargs: Any) -> None:
        raise KeyboardInterrupt

    original = training.prepare_run

    def prepared(*args: Any, **kwargs: Any) -> training.PreparedRun:
        run = original(*args, **kwargs)
        run.trainer.add_callback(At("end", stop, step=3))
        return run

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "prepare_run", prepared)
        with pytest.raises(KeyboardInterrupt):
            Trained(tmp_path, tiny)
    run = Trained.__new__(Trained)
    run.folder, run.base = tmp_path, tiny
    config = support.make_config(
        tmp_path / "data", tmp_path / "run", num_train_epochs=3, save_steps=2, lora_dropout=0.1
    )
    settings = Settings.load({"PROVENANCE_HOME": str(tmp_path / "home")})
    again = lifecycle.Request(config, settings, None, resume=True, base=tiny)
    lifecycle.train_recorded(again, silent)
    assert run.history.resumes
    found = run.replay_all(tmp_path / "again")
    assert {c.agreement for one in found for c in one.comparisons} == {Agreement.EXACT}


def test_a_deleted_checkpoint_costs_time_and_not_the_replay(
    tiny: BaseModel, tmp_path: Path
) -> None:
    run = Trained(tmp_path, tiny)
    shutil.rmtree(tmp_path / "run" / "checkpoint-2")
    shutil.rmtree(tmp_path / "run" / "checkpoint-4")
    said: list[str] = []
    segment, _ = reachable(segments_of(run.history), [2], [tmp_path / "run"], said.append)
    assert len(said) == 2
    assert (segment.start, segment.first, segment.last) == (None, 1, 6)
    (tmp_path / "again").mkdir()
    found = run.replay(segment, tmp_path / "again")
    names = ["checkpoint-2", "checkpoint-4", "checkpoint-6", "adapter"]
    assert [c.name for c in found.comparisons] == names
    assert {c.agreement for c in found.comparisons} == {Agreement.EXACT}


def test_a_copy_with_other_checkpoints_keeps_nobody_from_training_again(
    honest: Trained, tmp_path: Path
) -> None:
    run, planted = honest.folder / "run", tmp_path / "planted"
    shutil.copytree(run, planted)
    (planted / "checkpoint-2" / "optimizer.pt").write_bytes(b"")
    said: list[str] = []
    segments = segments_of(honest.history)
    segment, folders = reachable(segments, [1], [planted, run], said.append)
    assert (segment, folders) == (segments[1], [run, planted])
    assert "optimizer.pt of record" in said[0]
    segment, _ = reachable(segments, [1], [planted], said.append)
    assert segment.start is None


def test_a_fresh_process_says_what_it_does_and_what_is_wrong(
    honest: Trained, tmp_path: Path, spawned: None
) -> None:
    settings = Settings.load(
        {"PROVENANCE_HOME": str(honest.folder / "home"), "PROVENANCE_CACHE": str(tmp_path)}
    )
    material = Material(honest.folder / "data", str(honest.base.dir), settings)
    config = support.make_config(honest.folder / "data", honest.folder / "run")
    said: list[str] = []
    records = support.records_of(config)
    found = replay_run(records, [honest.folder / "run"], [1], material, said.append)
    assert (found.count, found.agreement) == (3, Agreement.EXACT)
    assert "steps 3 to 4: step 4 of 4, about 0 s left" in said
    elsewhere = Material(tmp_path / "nothing", str(honest.base.dir), settings)
    with pytest.raises(InputError, match="nothing"):
        replay_run(records, [honest.folder / "run"], [1], elsewhere, silent)


def test_segments_are_drawn_by_a_nonce() -> None:
    nonce = Word(bytes(32))
    assert drawn(5, 5, nonce) == [0, 1, 2, 3, 4]
    some = {tuple(drawn(50, 3, Word(bytes(31) + bytes([i])))) for i in range(9)}
    assert len(some) == 9
    assert all(len(set(each)) == 3 and max(each) < 50 for each in some)
    with pytest.raises(InputError, match="not so many segments"):
        drawn(2, 3, nonce)


def plain(config: TrainConfig) -> dict[str, Any]:
    """A configuration as a file has it: only what is not the default."""
    default = TrainConfig("", "")
    found = asdict(config)
    del found["provenance"]
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in found.items()
        if value != getattr(default, name)
    }


def test_a_run_comes_out_on_a_processor_that_can_do_more(tmp_path: Path, spawned: None) -> None:
    """It is trained with the fewest instructions, and again where torch would choose the most."""
    command = [sys.executable, "-c", "from provenance_cli.main import main; main()", "train"]
    support.make_dataset(tmp_path / "data", 8)
    (tmp_path / "home").mkdir(mode=0o700)
    key = tmp_path / "home" / "salts.key"
    key.write_bytes(support.KEY)
    key.chmod(0o600)
    config = support.make_config(tmp_path / "data", tmp_path / "run", num_train_epochs=2)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(plain(config)))
    settings = {
        "PROVENANCE_HOME": str(tmp_path / "home"),
        "PROVENANCE_CACHE": str(tmp_path / "cache"),
        "ATEN_CPU_CAPABILITY": "default",
    }
    subprocess.run(
        [*command, str(tmp_path / "config.yaml"), "--unregistered"],
        env={**os.environ, **settings},
        check=True,
        capture_output=True,
    )
    records = support.records_of(config)
    assert records[0].fields["environment"]["stack"]["capability"] == "DEFAULT"
    material = Material(tmp_path / "data", "tiny", Settings.load(settings))
    found = replay_run(records, [tmp_path / "run"], [0], material, silent)
    assert found.agreement is Agreement.EXACT
    assert "ATEN_CPU_CAPABILITY" not in os.environ


@pytest.mark.parametrize(
    ("said", "variables"),
    [
        ({}, {}),
        ({"stack": "no"}, {}),
        ({"stack": {"capability": "AVX2"}}, {"ATEN_CPU_CAPABILITY": "avx2"}),
        ({"stack": {"capability": "LD_PRELOAD", "variables": {"LD_PRELOAD": "x"}}}, {}),
        ({"stack": {"variables": {"MKL_CBWR": "AVX2,STRICT"}}}, {"MKL_CBWR": "AVX2,STRICT"}),
        ({"stack": {"variables": {"MKL_CBWR": "a\0b", "ONEDNN_MAX_CPU_ISA": ["AVX2"]}}}, {}),
        ({"stack": {"variables": "MKL_CBWR"}}, {}),
    ],
)
def test_a_log_sets_few_variables(said: dict[str, Any], variables: dict[str, str]) -> None:
    assert variables_of(said) == variables

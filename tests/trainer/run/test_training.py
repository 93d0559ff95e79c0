"""Whole runs on the tiny model: the journal says what was fed, whatever happens on the way."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from provenance.artifacts.content import content_digest
from provenance.artifacts.identity import identity_of
from provenance.artifacts.manifest import manifest_of
from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import SaltStore
from provenance.encoding import batch_digest
from provenance.errors import InputError, VerificationError
from provenance.log.fold import read_history
from provenance.log.record import Record
from provenance.order import epoch_order
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.fed import rows_of
from provenance_trainer.data.kinds import Kinds
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.data.tokenizer import load_tokenizer
from provenance_trainer.model.base import BaseModel
from provenance_trainer.record import capture
from provenance_trainer.record.checkpoints import find_resume_point
from provenance_trainer.record.features import batch_tensors
from provenance_trainer.record.sampler import CommittedSampler, EpochOrders
from tests.support import training as support
from tests.support.core.log_maker import LogMaker, opened
from tests.trainer import children

COUNT = 22


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return support.make_dataset(tmp_path_factory.mktemp("d") / "data", COUNT)


def live_batches(records: list[Record]) -> list[tuple[int, Record]]:
    """(seq, batch) of the batches that no later resume abandoned."""
    abandoned = {seq for r in records if r.type == "resume" for seq in r.fields["abandons"]}
    return [(seq, r) for seq, r in enumerate(records) if r.type == "batch" and seq not in abandoned]


def assert_follows_order(records: list[Record], epochs: int, consumed: int = COUNT) -> None:
    """Every epoch's live batches are its first `consumed` positions, each once and in order."""
    for epoch in range(epochs):
        batches = [r for _, r in live_batches(records) if r.fields["epoch"] == epoch]
        assert [p for b in batches for p in b.fields["positions"]] == list(range(consumed))
        assert not any("unmatched" in b.fields for b in batches)
    assert not any(r.fields.get("unmatched") for r in records)


def leaf_words(dataset: CommittedDataset, indices: Any) -> list[str]:
    return [f"0x{bytes(dataset.leaves[int(i)]).hex()}" for i in indices]


def test_journal_says_exactly_what_was_fed(
    data: Path, tiny: BaseModel, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[dict[str, np.ndarray]] = []
    original = capture.take_snapshot

    def spy(inputs: Any, carried: Any) -> capture.Snapshot:
        assert capture.INDEX_KEY not in inputs
        fed.append({name: inputs[name].clone().numpy() for name in capture.BATCH_TENSORS})
        return original(inputs, carried)

    monkeypatch.setattr(capture, "take_snapshot", spy)
    config = support.make_config(
        data, tmp_path / "run", num_train_epochs=2, gradient_accumulation_steps=2
    )
    summary = support.start_or_resume(config, cache_dir)

    records, dataset = support.records_of(config), CommittedDataset.open(data, support.KEY)
    batches = [(seq, r) for seq, r in enumerate(records) if r.type == "batch"]
    assert_follows_order(records, 2)
    assert len(batches) == len(fed) == 12  # 22 records in batches of 4, the last of 2, twice
    keys = [(b.fields["epoch"], b.fields["step"], b.fields["micro"]) for _, b in batches[:6]]
    assert keys == [(0, 1, 0), (0, 1, 1), (0, 2, 0), (0, 2, 1), (0, 3, 0), (0, 3, 1)]
    recipe = Recipe.of(config, load_tokenizer(tiny.dir), ("text",), Kinds.of(rows_of(dataset)))
    with SaltStore.open(
        tmp_path / "run" / "provenance" / "secrets" / "salts.sqlite", support.KEY, create=False
    ) as salts:
        for (seq, batch), tensors in zip(batches, fed, strict=True):
            salt = salts.get("batch", seq)
            assert batch.fields["tensors"] == str(batch_digest(salt, tensors))
            indices = epoch_order(support.SEED, batch.fields["epoch"], COUNT)[
                batch.fields["positions"]
            ]
            assert batch.fields["leaves"] == leaf_words(dataset, indices)
            again = batch_tensors([dataset.row(int(i)) for i in indices], recipe)
            assert batch.fields["tensors"] == str(
                batch_digest(salt, {n: t.numpy() for n, t in again.items()})
            )

    assert [
        (r.fields["epoch"], r.fields["consumed"], r.fields["remainder"])
        for r in records
        if r.type == "epoch"
    ] == [(0, COUNT, []), (1, COUNT, [])]
    assert summary.steps == 6
    assert summary.remainder == 0
    assert summary.perplexity_after < summary.perplexity_before
    evals = [r.fields for r in records if r.type == "eval"]
    assert [e["subject"] for e in evals] == ["base model", "shipped adapter"]
    assert evals[1]["subject_digest"] == str(
        content_digest(summary.adapter_dir / "adapter_model.safetensors")
    )


def test_checkpoint_records_name_what_lies_on_disk(
    data: Path, cache_dir: Path, tmp_path: Path
) -> None:
    config = support.make_config(data, tmp_path / "run")
    support.start_or_resume(config, cache_dir)
    records = support.records_of(config)
    found = [(seq, r.fields) for seq, r in enumerate(records) if r.type == "checkpoint"]
    assert [(f["step"], f["epoch"], f["consumed"], f["path"]) for _, f in found] == [
        (3, 0, 12, "checkpoint-3"),
        (6, 0, COUNT, "checkpoint-6"),
    ]
    assert found[1][1]["previous"] == found[0][0]
    assert "previous" not in found[0][1]
    for seq, fields in found:
        folder = tmp_path / "run" / fields["path"]
        assert fields["manifest"] == str(manifest_of(folder).root)
        assert fields["weights"] == str(content_digest(folder / "adapter_model.safetensors"))
        assert "adapter_config.json" in fields["files"]
        assert fields["files"] == identity_of(folder).files_json()
        assert fields["last_batch"] < seq
        assert records[fields["last_batch"]].fields["step"] == fields["step"]
        assert {"optimizer", "scheduler", "rng"} <= set(fields)


def test_a_run_cut_by_max_steps_records_its_remainder(
    data: Path, cache_dir: Path, tmp_path: Path
) -> None:
    config = support.make_config(data, tmp_path / "run", max_steps=2)
    summary = support.start_or_resume(config, cache_dir)
    records, dataset = support.records_of(config), CommittedDataset.open(data)
    (epoch,) = (r.fields for r in records if r.type == "epoch")
    assert_follows_order(records, 1, consumed=8)
    assert (epoch["consumed"], summary.consumed, summary.remainder) == (8, 8, COUNT - 8)
    assert epoch["remainder"] == leaf_words(dataset, epoch_order(support.SEED, 0, COUNT)[8:])


def train_until(config: TrainConfig, cache: Path, at: int) -> None:
    def say(line: str) -> None:
        if line.startswith(f"step {at}/"):
            os.kill(os.getpid(), signal.SIGKILL)

    support.start_or_resume(config, cache, say=say)


def run_killed(config: TrainConfig, cache: Path, at: int) -> None:
    """The same run in a child process that kills itself at step `at`."""
    folder = Path(config.output_dir).with_name("child")
    folder.mkdir()
    code, output = children.run(folder, train_until, config, cache, at)
    assert code == -signal.SIGKILL, output[-2000:]


@pytest.mark.parametrize(("accumulation", "at"), [(1, 5), (2, 5)])
def test_killed_run_resumes_and_feeds_each_record_once(
    data: Path, tiny: BaseModel, cache_dir: Path, tmp_path: Path, accumulation: int, at: int
) -> None:
    config = support.make_config(
        data, tmp_path / "run", num_train_epochs=2, gradient_accumulation_steps=accumulation
    )
    run_killed(config, cache_dir, at)
    before = support.records_of(config)
    summary = support.start_or_resume(config, cache_dir)
    records = support.records_of(config)

    assert [r.to_bytes() for r in records[: len(before)]] == [r.to_bytes() for r in before]
    (resume,) = (r for r in records if r.type == "resume")
    checkpoint = records[resume.fields["from"]]
    assert checkpoint.type == "checkpoint"
    assert resume.fields["step"] == checkpoint.fields["step"] == 3
    begin, end = resume.fields["from"] + 1, records.index(resume)
    later = [i for i in range(begin, end) if records[i].type in ("batch", "checkpoint", "epoch")]
    assert resume.fields["abandons"] == later
    assert len(read_history(records).epochs) == 2
    assert_follows_order(records, 2)
    assert summary.steps == (12 if accumulation == 1 else 6)
    fed = Counter(leaf for _, b in live_batches(records) for leaf in b.fields["leaves"])
    assert len(fed) == COUNT
    assert set(fed.values()) == {2}

    whole = support.make_config(
        data, tmp_path / "whole", num_train_epochs=2, gradient_accumulation_steps=accumulation
    )
    # resuming changed nothing that was learned
    assert support.start_or_resume(whole, cache_dir).adapter == summary.adapter


def test_run_killed_before_its_first_checkpoint_starts_over(
    data: Path, cache_dir: Path, tiny: BaseModel, tmp_path: Path
) -> None:
    config = support.make_config(data, tmp_path / "run", num_train_epochs=2)
    run_killed(config, cache_dir, 2)
    support.start_or_resume(config, cache_dir)
    records = support.records_of(config)
    (resume,) = (r.fields for r in records if r.type == "resume")
    assert (resume["from"], resume["step"]) == (0, 0)
    assert len(read_history(records).epochs) == 2
    assert_follows_order(records, 2)


def test_altered_checkpoint_is_not_loaded(data: Path, cache_dir: Path, tmp_path: Path) -> None:
    config = support.make_config(data, tmp_path / "run")
    support.start_or_resume(config, cache_dir)
    file = tmp_path / "run" / "checkpoint-6" / "optimizer.pt"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(VerificationError, match="optimizer"):
        find_resume_point(read_history(support.records_of(config)), tmp_path / "run")
    for hostile in ("../checkpoint-6", "/tmp/checkpoint-6", "a/../checkpoint-6"):
        log = opened(LogMaker())
        log.checkpoint(hostile)
        with pytest.raises(InputError):
            find_resume_point(log.history(), tmp_path / "run")


def test_another_sampler_is_flagged(
    data: Path, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CommittedSampler, "__iter__", lambda self: iter(range(COUNT)))
    config = support.make_config(data, tmp_path / "run")
    support.start_or_resume(config, cache_dir)
    batches = support.records_of(config, "batch")
    dataset = CommittedDataset.open(data)
    assert all(b.fields["unmatched"] > 0 for b in batches)
    # as fed, not as planned
    assert [leaf for b in batches for leaf in b.fields["leaves"]] == leaf_words(
        dataset, range(COUNT)
    )


def test_tensors_swapped_after_the_collator_are_flagged(
    data: Path, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = capture.RecordingCollator.__call__

    def swap(self: capture.RecordingCollator, samples: Any) -> Any:
        batch = original(self, samples)
        batch["input_ids"] = torch.flip(batch["input_ids"], (0, 1))
        return batch

    monkeypatch.setattr(capture.RecordingCollator, "__call__", swap)
    config = support.make_config(data, tmp_path / "run", max_steps=2)
    support.start_or_resume(config, cache_dir)
    assert [b.fields["unmatched"] for b in support.records_of(config, "batch")] == [4, 4]


def test_batches_without_indices_are_recorded_and_flagged(
    data: Path, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        capture.RecordingCollator,
        "__call__",
        lambda self, samples: self.inner([s.features for s in samples]),
    )
    config = support.make_config(data, tmp_path / "run", max_steps=1)
    support.start_or_resume(config, cache_dir)
    (batch,) = support.records_of(config, "batch")
    assert (batch.fields["unmatched"], batch.fields["positions"], batch.fields["leaves"]) == (
        4,
        [],
        [],
    )


def test_the_sampler_follows_the_committed_order() -> None:
    orders = EpochOrders(support.SEED, 10)
    sampler = CommittedSampler(orders, start=4)
    sampler.set_epoch(3)
    expected = epoch_order(support.SEED, 3, 10).tolist()
    assert list(sampler) == expected[4:]
    assert list(sampler) == expected
    assert orders.positions(3)[orders.order(3)].tolist() == list(range(10))
    assert len(CommittedSampler(orders, batch_size=2, world_size=2)) == 8
    with pytest.raises(InputError):
        CommittedSampler(orders, start=11)

"""Plans agree with what runs do."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from provenance.errors import InputError
from provenance_trainer.draft import parse_config
from provenance_trainer.model.base import BaseModel
from provenance_trainer.run.plan import (
    EPOCH_SLOTS,
    Ends,
    ends_of,
    plan,
    proofs_by_transaction,
    slots_for,
)
from tests.support import training as support

BASE = {"dataset_name": "d", "output_dir": "o"}


def test_the_plan_of_the_reference_job_is_known() -> None:
    p = plan(
        parse_config(
            {**BASE, "per_device_train_batch_size": 8, "num_train_epochs": 3, "save_steps": 1000}
        ),
        10_000,
    )
    assert (p.batches, p.steps, p.checkpoints, p.slots, p.chunks, p.tree_chunks) == (
        3_750,
        3_750,
        4,
        20_480,
        1,
        3,
    )
    assert p.proof_transactions == {3: 1}
    assert p.proving_s <= 4
    assert p.registration_s <= 15


@pytest.mark.parametrize(
    ("max_steps", "accumulation", "segment_steps"),
    [(-1, 1, None), (-1, 2, None), (2, 1, None), (4, 2, 1), (7, 1, None), (7, 1, 2), (6, 1, 2)],
)
def test_plan_equals_the_run(
    tiny: BaseModel,
    cache_dir: Path,
    tmp_path: Path,
    max_steps: int,
    accumulation: int,
    segment_steps: int | None,
) -> None:
    data = support.make_dataset(tmp_path / "data", 10)
    config = support.make_config(
        data,
        tmp_path / "run",
        num_train_epochs=2,
        max_steps=max_steps,
        gradient_accumulation_steps=accumulation,
        provenance={"segment_steps": segment_steps},
    )
    p, summary = plan(config, 10), support.start_or_resume(config, cache_dir)
    count = {
        kind: len(support.records_of(config, kind)) for kind in ("batch", "epoch", "checkpoint")
    }
    assert (p.batches, p.epochs, p.checkpoints, p.steps) == (
        count["batch"],
        count["epoch"],
        count["checkpoint"],
        summary.steps,
    )
    assert (p.consumed, p.remainder) == (summary.consumed, summary.remainder)


@pytest.mark.parametrize("segment_steps", [None, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("steps", [1, 2, 5, 6, 12, 13, 30])
def test_checkpoints_are_counted_as_they_are_written(steps: int, segment_steps: int | None) -> None:
    block = {"segment_steps": segment_steps}
    config = parse_config({**BASE, "max_steps": steps, "save_steps": 6, "provenance": block})
    written = {*range(6, steps, 6), *range(segment_steps or 6, steps, segment_steps or 6), steps}
    p = plan(config, 10)
    stay = {step for step in written if segment_steps and step % segment_steps == 0}
    assert ends_of(config, steps) == Ends(len(written - stay), len(stay))
    assert (p.checkpoints, p.saves) == (len(written), len({*range(6, steps, 6), steps}))
    assert p.segment_steps == max(end - start for start, end in pairwise(sorted(written | {0})))


def test_segments_add_no_heads_to_a_plan() -> None:
    few = plan(parse_config({**BASE, "max_steps": 100, "save_steps": 50}), 10)
    block = {"segment_steps": 5}
    many = plan(parse_config({**BASE, "max_steps": 100, "save_steps": 50, "provenance": block}), 10)
    assert (few.checkpoints, many.checkpoints) == (2, 20)
    assert (few.anchors, few.transactions) == (many.anchors, many.transactions)
    assert many.log_records == few.log_records + 18


def test_a_plan_of_the_longest_run_takes_no_time() -> None:
    block = {"segment_steps": 1}
    longest = {**BASE, "max_steps": 2**31 - 1, "save_steps": 2, "provenance": block}
    longest_plan = plan(parse_config(longest), 10)
    assert longest_plan.checkpoints == 2**31 - 1
    assert sum(n * times for n, times in longest_plan.proof_transactions.items()) == (
        longest_plan.epochs * longest_plan.chunks
    )


def test_proofs_are_grouped_as_they_are_submitted() -> None:
    assert proofs_by_transaction(1, 1) == {1: 1}
    assert proofs_by_transaction(17, 1) == {16: 1, 1: 1}
    assert proofs_by_transaction(3, 10) == {10: 3}
    assert proofs_by_transaction(1, 49) == {12: 3, 13: 1}
    assert proofs_by_transaction(5, 8) == {16: 2, 8: 1}
    assert proofs_by_transaction(4, 8) == {16: 2}
    assert proofs_by_transaction(0, 1) == {}


def test_several_ranks_feed_whole_rounds_only() -> None:
    p = plan(parse_config({**BASE, "per_device_train_batch_size": 4}), 22, world_size=2)
    assert (p.consumed, p.remainder, p.batches, p.steps) == (16, 6, 4, 2)


def test_slots_follow_the_count_and_an_empty_dataset_is_refused() -> None:
    assert [slots_for(n) for n in (1, 256, 257, 344_064, 10**6)] == [
        256,
        256,
        4_096,
        344_064,
        EPOCH_SLOTS[-1],
    ]
    assert plan(parse_config(BASE), 10**6).chunks == 3
    with pytest.raises(InputError):
        plan(parse_config(BASE), 0)

"""Segments between light checkpoints (`provenance.segment_steps`): trained again by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provenance.log.audit.agreement import Agreement
from provenance.log.graph.segments import segments_of
from provenance.progress import silent
from provenance_trainer.model.base import BaseModel
from provenance_trainer.replay.reach import reachable
from provenance_trainer.run import lifecycle
from provenance_trainer.run import train as training
from tests.trainer.replay.dishonest import WAYS
from tests.trainer.replay.test_replay_again import Trained

SHORT = {"save_steps": 100, "provenance": {"segment_steps": 1}}


def test_a_short_segment_comes_out_bit_for_bit_after_pruning(
    tiny: BaseModel, tmp_path: Path
) -> None:
    steps = {"save_steps": 3, "save_total_limit": 1, "provenance": {"segment_steps": 2}}
    run = Trained(tmp_path, tiny, **steps)
    segments = segments_of(run.history)
    assert [(s.first, s.last) for s in segments] == [(1, 2), (3, 3), (4, 4), (5, 6)]
    said: list[str] = []
    reached = [reachable(segments, [n], [tmp_path / "run"], said.append)[0] for n in range(4)]
    assert [segment.first for segment in reached] == [1, 3, 4, 5]
    assert said == []
    (place := tmp_path / "again").mkdir()
    found = run.replay(segments[3], place).comparisons
    assert [(c.name, c.agreement) for c in found] == [
        ("checkpoint-6", Agreement.EXACT),
        ("adapter", Agreement.EXACT),
    ]


@pytest.mark.parametrize(("way", "caught"), [("other data", 3), ("weights edited", 2)])
def test_who_cheats_between_two_light_checkpoints_is_caught_there(
    way: str, caught: int, tiny: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = training.prepare_run

    def prepared(*args: Any, **kwargs: Any) -> training.PreparedRun:
        run = original(*args, **kwargs)
        WAYS[way][0](run)
        return run

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "prepare_run", prepared)
        run = Trained(tmp_path, tiny, **SHORT)
    segments = segments_of(run.history)
    assert len(segments) == 6
    for number in (caught - 1, caught, caught + 1):
        segment, _ = reachable(segments, [number], [tmp_path / "run"], silent)
        assert segment == segments[number]
        (place := tmp_path / str(number)).mkdir()
        (found,) = run.replay(segment, place).comparisons
        assert (found.agreement is Agreement.EXACT) == (number != caught)

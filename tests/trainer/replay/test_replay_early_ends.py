"""A publisher who ends the training where it suits, before the registered configuration does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provenance.errors import VerificationError
from provenance.log.graph.segments import segments_of
from provenance.progress import silent
from provenance.settings import Settings
from provenance_trainer.model.base import BaseModel
from provenance_trainer.replay.process import Material
from provenance_trainer.replay.run import replay_run
from provenance_trainer.run import lifecycle
from provenance_trainer.run import train as training
from tests.support import training as support
from tests.trainer.replay.dishonest import At
from tests.trainer.replay.test_replay_again import Trained


@pytest.mark.parametrize("number", [0, 1])
def test_a_training_that_was_ended_early_is_refused_in_every_segment(
    tiny: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Each step is honest: the state after step 4 of 6 was the one to show."""
    original = training.prepare_run

    def prepared(*args: Any, **kwargs: Any) -> training.PreparedRun:
        run = original(*args, **kwargs)

        def stop(kwargs: Any) -> None:
            run.trainer.control.should_training_stop = True

        run.trainer.add_callback(At("end", stop, step=4))
        return run

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "prepare_run", prepared)
        run = Trained(tmp_path, tiny)
    assert [segment.last for segment in segments_of(run.history)] == [2, 4]
    settings = Settings.load(
        {"PROVENANCE_HOME": str(tmp_path / "home"), "PROVENANCE_CACHE": str(tmp_path)}
    )
    material = Material(tmp_path / "data", str(tiny.dir), settings)
    records = support.records_of(support.make_config(tmp_path / "data", tmp_path / "run"))
    with pytest.raises(VerificationError, match="ends the training before the registered") as seen:
        replay_run(records, [tmp_path / "run"], [number], material, silent)
    assert (seen.value.expected, seen.value.actual) == ("step 6", "step 4")

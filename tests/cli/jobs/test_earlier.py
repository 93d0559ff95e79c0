"""A run goes on only with its own configuration; the message names what differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.errors import Conflict
from provenance.layout import RunFolder
from provenance.log.record import Record
from provenance_cli.jobs import earlier
from provenance_trainer.config import TrainConfig, config_digest, config_record
from provenance_trainer.draft import parse_config

MINIMAL = {"dataset_name": "d", "output_dir": "o"}


def refusal(monkeypatch: pytest.MonkeyPatch, now: dict[str, object]) -> Conflict:
    opened: TrainConfig = parse_config(MINIMAL)
    fields = {"config": config_record(opened), "config_digest": str(config_digest(opened))}
    monkeypatch.setattr(earlier, "records_of", lambda run: [Record("run.open", "", fields)])
    run = RunFolder(Path("o"))
    earlier.require_same_run(run, opened, must_resume=False)
    with pytest.raises(Conflict, match="configuration differs") as caught:
        earlier.require_same_run(run, parse_config(MINIMAL | now), must_resume=False)
    return caught.value


def test_the_keys_that_differ_are_named_with_both_values(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal(monkeypatch, {"seed": 7, "provenance": {"on_failure": "abort"}})
    assert error.expected == "provenance.on_failure=continue, seed=42"
    assert error.actual == "provenance.on_failure=abort, seed=7"


def test_only_the_first_of_many_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal(monkeypatch, {"seed": 7, "lora_r": 4, "max_steps": 3, "bf16": True})
    assert error.expected == "bf16=None, lora_r=8, max_steps=-1"
    assert error.actual == "bf16=True, lora_r=4, max_steps=3 and 1 more"

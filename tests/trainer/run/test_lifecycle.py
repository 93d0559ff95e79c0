"""An opened run stays for good: nothing that needs no seed is made after the opening."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provenance.dataset.saltstore import load_key
from provenance.errors import ConfigError, VerificationError
from provenance.log.fed import FedFacts
from provenance.progress import silent
from provenance.settings import Settings
from provenance_trainer.model.base import BaseModel
from provenance_trainer.run import lifecycle, train
from tests.support import training as support
from tests.support.core.altered import alter_record


def request(folder: Path, base: BaseModel, **changes: Any) -> lifecycle.Request:
    data = support.make_dataset(folder / "data", 8)
    settings = Settings.load({"PROVENANCE_HOME": str(folder / "home")})
    (folder / "home").mkdir()
    (folder / "home" / "salts.key").write_bytes(support.KEY)
    (folder / "home" / "salts.key").chmod(0o600)
    load_key(folder / "home" / "salts.key")
    config = support.make_config(data, folder / "run", **changes)
    return lifecycle.Request(config, settings, None, resume=False, base=base)


@pytest.mark.parametrize("name", ["load_adapted_model", "training_arguments", "CommittedTrainer"])
def test_a_run_that_cannot_be_set_up_is_never_opened(
    tmp_path: Path, tiny: BaseModel, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(train, name, refuse)
    with pytest.raises(ConfigError, match="cannot be set up") as caught:
        lifecycle.train_recorded(request(tmp_path, tiny), silent)
    assert caught.value.actual == "RuntimeError: out of memory"
    assert not (tmp_path / "run" / "provenance").exists()


def test_a_base_that_was_digested_is_not_digested_again(
    tmp_path: Path, tiny: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("the base is known")

    monkeypatch.setattr(lifecycle, "load_base", refuse)
    made = lifecycle.train_recorded(request(tmp_path, tiny, max_steps=1), silent)
    assert made["summary"]["steps"] == 1


@pytest.mark.parametrize("digest", [True, False])
def test_a_dataset_that_was_altered_since_its_commit_opens_no_run(
    tmp_path: Path, tiny: BaseModel, digest: bool
) -> None:
    asked = request(tmp_path, tiny, max_steps=1)
    alter_record(tmp_path / "data", 3, b"what was never committed", digest=digest)
    with pytest.raises(VerificationError, match=r"record [34]: .*commit the source again"):
        lifecycle.train_recorded(asked, silent)
    assert not (tmp_path / "run" / "provenance").exists()


def test_the_opening_says_what_is_fed_of_evaluation_records(
    tmp_path: Path, tiny: BaseModel
) -> None:
    held = tmp_path / "held.jsonl"
    held.write_text('{"text": "The gate was shut."}\n' * 2)
    lifecycle.train_recorded(
        request(tmp_path, tiny, max_steps=1, eval_dataset_name=str(held)), silent
    )
    (opening,) = support.records_of(support.make_config(tmp_path, tmp_path / "run"), "run.open")
    said = opening.fields["evaluation"]
    assert (said["sample"], said["repeated"], said["fed"]["records"]) == ("held out", 1, 2)
    assert FedFacts.read(said["fed"]).shape == "text"

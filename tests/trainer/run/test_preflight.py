"""Everything that can be known is checked before anything is spent, and all faults come at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import ConfigError, InputError
from provenance.faults import Faults
from provenance.progress import silent
from provenance_trainer.config import parse_config
from provenance_trainer.data.kinds import Kinds
from provenance_trainer.run.preflight import Checked, Rows, check_schedule, preflight

RECORDS = [{"text": f"The pump of line {i} was stopped and cleaned."} for i in range(6)]


def rows(records: list[dict[str, Any]]) -> Rows:
    places = [(f"line {i}", record) for i, record in enumerate(records, 1)]
    return Rows(tuple(records[0]), Kinds.of(places), places, len(records))


def check(cache: Path, records: list[dict[str, Any]] = RECORDS, **changes: Any) -> Checked:
    named = {"dataset_name": "d", "output_dir": "o", "model_name_or_path": "tiny"}
    return preflight(parse_config(named | changes), cache, lambda: rows(records), silent)


def test_a_run_without_faults_says_what_is_fed(cache_dir: Path, tmp_path: Path) -> None:
    found = check(cache_dir)
    assert found.fed.records == len(RECORDS)
    assert found.lines()[0].startswith("fed: text (text), loss on every token")
    assert found.lines()[-1] == "evaluated on 6 of 6 training records"
    held_out = tmp_path / "held.jsonl"
    held_out.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    found = check(cache_dir, eval_dataset_name=str(held_out), eval_samples=4)
    assert found.lines()[-1].startswith("evaluated on 4 of 6 held-out records")


def test_all_faults_come_in_one_list(cache_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(Faults) as caught:
        check(
            cache_dir,
            [{"title": "a", "body": "b"}],
            lr_scheduler_type="cosin",
            lora_target_modules=["q_proj", "v_porj"],
            eval_dataset_name=str(tmp_path / "nowhere.jsonl"),
        )
    places = {str(fault.where).split()[0] for fault in caught.value.faults}
    assert places == {
        "lr_scheduler_type",
        "dataset_name",
        "lora_target_modules",
        "eval_dataset_name",
    }


def test_one_fault_is_told_as_itself(cache_dir: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check(cache_dir, lora_target_modules=["v_porj"])
    assert "did you mean" in (caught.value.hint or "")
    with pytest.raises(InputError, match="no such base model"):
        check(cache_dir, model_name_or_path="/nowhere")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("cosin", "no such schedule"),
        ("reduce_lr_on_plateau", "evaluations during training"),
        ("warmup_stable_decay", "needs settings"),
    ],
)
def test_a_schedule_that_cannot_run_is_refused(name: str, what: str) -> None:
    config = parse_config({"dataset_name": "d", "output_dir": "o", "lr_scheduler_type": name})
    with pytest.raises(ConfigError, match=what):
        check_schedule(config)


@pytest.mark.parametrize("name", ["cosine", "linear", "constant", "constant_with_warmup"])
def test_a_common_schedule_is_taken(name: str) -> None:
    check_schedule(
        parse_config({"dataset_name": "d", "output_dir": "o", "lr_scheduler_type": name})
    )

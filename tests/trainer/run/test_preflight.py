"""Everything that can be known is checked before anything is spent, and all faults come at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import ConfigError, InputError, ProvenanceError
from provenance.faults import Faults
from provenance.progress import silent
from provenance_trainer.data.kinds import Kinds
from provenance_trainer.draft import parse_config, parse_draft
from provenance_trainer.run.preflight import Checked, Rows, preflight
from provenance_trainer.run.settings import settings_faults

RECORDS = [{"text": f"The pump of line {i} was stopped and cleaned."} for i in range(6)]


def rows(records: list[dict[str, Any]]) -> Rows:
    places = [(f"line {i}", record) for i, record in enumerate(records, 1)]
    return Rows(tuple(records[0]), Kinds.of(places), places, len(records))


def check(cache: Path, records: list[dict[str, Any]] = RECORDS, **changes: Any) -> Checked:
    named = {"dataset_name": "d", "output_dir": "o", "model_name_or_path": "tiny"}
    return preflight(parse_draft(named | changes), cache, lambda: rows(records), silent)


def settings(**changes: Any) -> list[ProvenanceError]:
    return list(settings_faults(parse_config({"dataset_name": "d", "output_dir": "o", **changes})))


def test_a_run_without_faults_says_what_is_fed(cache_dir: Path, tmp_path: Path) -> None:
    found = check(cache_dir)
    assert found.fed.records == len(RECORDS)
    assert found.lines()[0].startswith("fed: text (text), loss on every token")
    assert found.lines()[-1] == "evaluated on 6 of 6 training records"
    held_out = tmp_path / "held.jsonl"
    held_out.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    found = check(cache_dir, eval_dataset_name=str(held_out), eval_samples=4)
    assert any(line.startswith("evaluated on 4 of 6 held-out") for line in found.lines())


def test_records_beyond_the_positions_of_the_base_are_warned_of(
    cache_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    base = check(cache_dir).base
    positions = json.loads((base.dir / "config.json").read_text())["max_position_embeddings"]
    long = [{"text": "pump " * 2 * positions}]
    said = "\n".join(check(cache_dir, long, max_length=4 * positions).lines())
    assert f"max_length is {4 * positions}, and the base model is made for {positions}" in said
    assert f"set max_length={positions}" in said
    said = "\n".join(check(cache_dir, max_length=positions + 1).lines())
    assert f"made for {positions} positions" in said
    assert "set max_length" not in said
    assert "positions" not in "\n".join(check(cache_dir, max_length=positions).lines())
    assert "[transformers]" not in "".join(capfd.readouterr())


def evaluate(cache: Path, file: Path, held: list[dict[str, Any]], **changes: Any) -> str:
    file.write_text("".join(json.dumps(record) + "\n" for record in held))
    return "\n".join(check(cache, eval_dataset_name=str(file), **changes).lines())


def test_what_is_fed_of_evaluation_records_is_said(cache_dir: Path, tmp_path: Path) -> None:
    more = [{"text": f"The gate of line {i} was shut.", "id": i} for i in range(3)]
    said = evaluate(cache_dir, tmp_path / "e.jsonl", more, max_length=8)
    assert "evaluation fed: text (text), loss on every token" in said
    assert "evaluation 3 records, 24 tokens" in said
    assert "3 cut to 8 tokens" in said.split("evaluation fed")[1]
    assert "evaluation columns that are not fed: id" in said
    assert "warning: evaluation" not in said


def test_evaluation_records_that_mislead_are_warned_of(cache_dir: Path, tmp_path: Path) -> None:
    new = {"text": "The gate of line one was shut."}
    said = evaluate(cache_dir, tmp_path / "e.jsonl", [RECORDS[1], new, RECORDS[1], new, new])
    assert "warning: evaluation: 2 of 5 records are training records, too" in said
    assert "warning: evaluation: 3 of 5 records repeat an earlier one" in said
    pairs = [{"prompt": "Was the gate shut?", "completion": "It was."}]
    said = evaluate(cache_dir, tmp_path / "e.jsonl", pairs)
    assert (
        "warning: evaluation: its records are fed as prompt_completion with loss on completion, "
        "those of training as text with loss on all"
    ) in said


@pytest.mark.parametrize(
    ("held", "changes"),
    [
        ([{"title": "a", "body": "b"}], {}),
        ([{"body": "b"}], {"dataset_text_field": "text"}),
        ([{"input_ids": [1]}], {}),
        ([{"n": 1}], {}),
    ],
    ids=["ambiguous", "no column", "tokenized", "no words"],
)
def test_faults_of_evaluation_records_stand_under_their_key(
    cache_dir: Path, tmp_path: Path, held: list[dict[str, Any]], changes: dict[str, Any]
) -> None:
    with pytest.raises(InputError) as caught:
        evaluate(cache_dir, tmp_path / "e.jsonl", held, **changes)
    assert str(caught.value.where).startswith(f"eval_dataset_name {tmp_path / 'e.jsonl'}")
    assert "the same columns" in str(caught.value.hint)


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


def test_faults_of_the_configuration_hide_no_others(cache_dir: Path, tmp_path: Path) -> None:
    """Unknown key, type, range, schedule, file, records, held-out records, module: all at once."""
    with pytest.raises(Faults) as caught:
        check(
            cache_dir,
            [{"title": "a", "body": "b"}],
            learning_rat=1e-3,
            bf16="maybe",
            lora_r=0,
            provenance={"anchor_interval_s": -1},
            lr_scheduler_type="cosin",
            deepspeed=str(tmp_path / "nowhere.json"),
            lora_target_modules=["v_porj"],
            eval_dataset_name=str(tmp_path / "nowhere.jsonl"),
        )
    places = {place for fault in caught.value.faults for place in str(fault.where).split()}
    assert places >= {
        *("learning_rat", "bf16", "lora_r", "provenance.anchor_interval_s", "lr_scheduler_type"),
        *("deepspeed", "dataset_name", "eval_dataset_name", "lora_target_modules"),
    }


def test_nothing_is_told_that_rests_on_a_wrong_value(cache_dir: Path) -> None:
    """The defaults that stand for wrong values would be refused by this model or these records."""
    with pytest.raises(ConfigError) as caught:
        check(cache_dir, lora_r=0, lora_alpha=7)
    assert caught.value.where == "lora_r"
    with pytest.raises(ConfigError) as caught:
        check(cache_dir, [{"title": "a", "body": "b"}], dataset_text_field=7)
    assert "dataset_text_field" in (caught.value.where or "")


def test_deepspeed_must_be_installed_and_its_file_be_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    file = tmp_path / "deepspeed.json"
    found = [fault.what for fault in settings(deepspeed=str(file))]
    assert found == ["package deepspeed is not installed", "cannot read file"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    for content, what in (("{", "not JSON"), ("[]", "not a JSON object")):
        file.write_text(content)
        assert [fault.what for fault in settings(deepspeed=str(file))] == [what]


def test_whatever_the_libraries_raise_is_a_fault(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is built here is what training builds: by the same function."""

    def refuse(config: object) -> None:
        raise ImportError("needs a package")

    monkeypatch.setattr("provenance_trainer.run.settings.training_arguments", refuse)
    with pytest.raises(ConfigError, match="cannot be set up") as caught:
        check(cache_dir)
    assert caught.value.actual == "ImportError: needs a package"


@pytest.mark.parametrize("rate", [1e30, 65536.0, 1e-30])
def test_a_learning_rate_with_which_nothing_can_come_out_is_refused(
    cache_dir: Path, rate: float
) -> None:
    with pytest.raises(ConfigError) as caught:
        check(cache_dir, learning_rate=rate)
    assert caught.value.where == "learning_rate"
    assert str(rate) in (caught.value.actual or "")


def test_a_warmup_that_outlasts_a_run_of_one_step_is_refused(cache_dir: Path) -> None:
    """Its only step has a learning rate of 0."""
    with pytest.raises(ConfigError, match="all zeros") as caught:
        check(cache_dir, max_steps=1, warmup_steps=1)
    assert caught.value.actual == "0.0002, 1 steps, 1 warmup steps: at most 0"
    check(cache_dir, max_steps=1, warmup_steps=1, lr_scheduler_type="constant")


def test_a_tiny_learning_rate_may_be_allowed(cache_dir: Path) -> None:
    allowed = check(cache_dir, learning_rate=1e-30, provenance={"allow_empty": True})
    assert "learning_rate is 1e-30" in "".join(allowed.notes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": 5.0}, "learning_rate is 5.0"),
        ({"warmup_steps": 10_000}, "warmup_steps is 10000, and the run has 3 steps"),
        (
            {"gradient_accumulation_steps": 1000},
            "gradient_accumulation_steps is 1000, and an epoch has 3 batches",
        ),
        (
            {"per_device_train_batch_size": 1000},
            "per_device_train_batch_size is 1000, and the dataset has 6 records",
        ),
    ],
)
def test_settings_that_are_hardly_meant_are_told_with_the_numbers(
    cache_dir: Path, changes: dict[str, Any], words: str
) -> None:
    found = check(cache_dir, **({"per_device_train_batch_size": 2} | changes))
    assert [note for note in found.notes if note.startswith(words)]
    assert found.lines()[-1].startswith("warning: ")
    assert not [n for n in check(cache_dir, per_device_train_batch_size=2).notes if "is " in n]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("cosin", "no such schedule"),
        ("reduce_lr_on_plateau", "evaluations during training"),
        ("warmup_stable_decay", "needs settings"),
    ],
)
def test_a_schedule_that_cannot_run_is_refused(name: str, what: str) -> None:
    (fault,) = settings(lr_scheduler_type=name)
    assert what in fault.what
    assert fault.where == "lr_scheduler_type"


@pytest.mark.parametrize("name", ["cosine", "linear", "constant", "constant_with_warmup"])
def test_a_common_schedule_is_taken(name: str) -> None:
    assert settings(lr_scheduler_type=name) == []

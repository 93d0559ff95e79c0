"""Configuration: every key is known, typed, and recorded without floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provenance.encoding import canonical_json
from provenance.errors import ConfigError
from provenance.faults import Faults
from provenance_trainer.config import config_digest, config_record, load_config, parse_config
from tests.support.places import EXAMPLES

MINIMAL: dict[str, Any] = {"dataset_name": "data", "output_dir": "out"}


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "c.yaml").write_text(text)
    return tmp_path / "c.yaml"


def test_overrides_come_after_the_yaml_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "dataset_name: d\noutput_dir: o\nlearning_rate: 2e-4\nprovenance:\n  on_failure: pause\n",
    )
    config = load_config(
        path,
        ["max_steps=3", "lora_target_modules=q_proj, k_proj", "provenance.anchor_interval_s=5"],
    )
    assert (config.learning_rate, config.max_steps, config.lora_target_modules) == (
        2e-4,
        3,
        ("q_proj", "k_proj"),
    )
    assert (config.provenance.on_failure, config.provenance.anchor_interval_s) == ("pause", 5.0)


def test_record_has_no_floats_and_binds_every_value() -> None:
    config = parse_config({**MINIMAL, "learning_rate": 1e-5})
    record = config_record(config)
    assert record["learning_rate"] == "1e-05"
    assert record["provenance"]["on_failure"] == "continue"
    assert canonical_json(record)
    assert config_digest(config) != config_digest(
        parse_config({**MINIMAL, "learning_rate": 1.0000001e-5})
    )


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("learning_rat", "did you mean learning_rate?"),
        ("per_device_batch_size", "did you mean per_device_train_batch_size?"),
        ("anchor_interval_s", "did you mean provenance.anchor_interval_s?"),
    ],
)
def test_unknown_keys_are_refused_with_the_nearest(key: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({**MINIMAL, key: 1})
    assert caught.value.hint == hint
    assert key in (caught.value.where or "")


def test_all_faults_come_in_one_list() -> None:
    wrong = {"output_dir": "o", "lora_r": 0, "seed": -1, "max_lenght": 5, "bf16": "yes"}
    with pytest.raises(Faults) as caught:
        parse_config(wrong)
    places = [str(fault.where).split()[-1] for fault in caught.value.faults]
    assert places == ["max_lenght", "dataset_name", "bf16", "lora_r", "seed"]
    assert str(caught.value).startswith("5 faults found, nothing was spent:\n  1. ")
    assert len(caught.value.to_json()["faults"]) == 5


def test_an_unknown_key_inside_the_block_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean on_failure"):
        parse_config({**MINIMAL, "provenance": {"on_failur": "pause"}})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("max_steps", "three", "int"),
        ("max_steps", True, "int"),
        ("max_steps", 1.5, "int"),
        ("bf16", "yes", "bool"),
        ("learning_rate", "fast", "float"),
        ("learning_rate", True, "float"),
        ("learning_rate", float("nan"), "float"),
        ("lora_target_modules", 3, "a list of names"),
        ("num_train_epochs", 0.5, "int"),
        ("packing", True, "false"),
        ("lora_r", 0, ">= 1"),
        ("lora_dropout", 1.0, "0 <= p < 1"),
        ("max_steps", 0, ">= 1"),
        ("output_dir", None, "str"),
    ],
)
def test_wrong_values_name_expected_and_actual(key: str, value: object, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({**MINIMAL, key: value})
    assert caught.value.expected == expected
    assert caught.value.actual


def test_an_unknown_choice_and_a_block_that_is_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="continue, pause, abort"):
        parse_config({**MINIMAL, "provenance": {"on_failure": "ignore"}})
    with pytest.raises(ConfigError, match="not a block"):
        parse_config({**MINIMAL, "provenance": 3})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "not a mapping"),
        ("a: [", "not YAML"),
        ("output_dir: o\n", "dataset_name"),
        ("!!python/object:os.system {}", "not YAML"),
    ],
)
def test_files_that_are_no_configuration_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, text))
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        load_config(write(tmp_path, "dataset_name: d\noutput_dir: o\n"), ["max_steps"])


def test_a_fault_of_yaml_is_short(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not YAML") as caught:
        load_config(write(tmp_path, "a: [1\nb: {"))
    assert caught.value.actual == "expected ',' or ']', but got ':', line 2, column 2"
    with pytest.raises(ConfigError, match="not YAML") as caught:
        load_config(write(tmp_path, "dataset_name: d\noutput_dir: o\n"), ["seed=[1: {"])
    assert "\n" not in str(caught.value.actual)


@pytest.mark.parametrize("name", ["tiny.yaml", "smollm2.yaml"])
def test_the_examples_load(name: str) -> None:
    assert load_config(EXAMPLES / name).output_dir

"""Configuration: every key is known, typed, and recorded without floats."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any

import pytest

from provenance.encoding import canonical_json
from provenance.errors import ConfigError
from provenance.faults import Faults
from provenance_trainer.config import TrainConfig, config_digest, config_record
from provenance_trainer.draft import load_config, load_draft, parse_config
from provenance_trainer.ranges import RANGES
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


def numbers(kind: type[Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Every number of a configuration, with its type; those of blocks as `block.key`."""
    found: list[tuple[str, Any]] = []
    for name, hint in typing.get_type_hints(kind).items():
        types = {hint, *typing.get_args(hint)}
        found += [(prefix + name, number) for number in (int, float) if number in types]
        if dataclasses.is_dataclass(hint):
            assert isinstance(hint, type)
            found += numbers(hint, f"{name}.")
    return found


def test_every_number_has_a_range() -> None:
    names = [name for name, _ in numbers(TrainConfig)]
    assert "provenance.anchor_interval_s" in names
    assert sorted(names) == sorted(RANGES)


@pytest.mark.parametrize(("name", "kind"), numbers(TrainConfig))
def test_every_number_is_refused_outside_its_range(name: str, kind: type) -> None:
    block, _, key = name.rpartition(".")
    beyond = [10**20] if kind is int else []  # no float that is finite is beyond all reason
    for value in (-2, -1e30 if kind is float else -(10**20), *beyond):
        inner = {key: value}
        with pytest.raises(ConfigError) as caught:
            parse_config({**MINIMAL, **({block: inner} if block else inner)})
        assert (caught.value.what, caught.value.where) == ("value is out of range", name)


@pytest.mark.parametrize(("segment", "save"), [(500, 500), (4, 3), (1, 1), (2**31 - 1, 2)])
def test_segments_that_are_no_shorter_than_the_checkpoints_are_refused(
    segment: int, save: int
) -> None:
    block = {"segment_steps": segment}
    with pytest.raises(ConfigError, match=f"less than save_steps, which is {save}") as caught:
        parse_config({**MINIMAL, "save_steps": save, "provenance": block})
    assert caught.value.where == "provenance.segment_steps"
    with pytest.raises(ConfigError, match="value has the wrong type"):
        parse_config({**MINIMAL, "provenance": {"segment_steps": 2.5}})
    shorter = {**MINIMAL, "save_steps": segment + 1 if segment < 2**30 else save}
    if shorter["save_steps"] > segment:
        assert parse_config({**shorter, "provenance": block}).provenance.segment_steps == segment


@pytest.mark.parametrize("value", [0, -1, 1e300])
def test_heads_are_committed_at_an_interval_that_can_be_waited(value: float) -> None:
    with pytest.raises(ConfigError, match="above 0, at most 86400"):
        parse_config({**MINIMAL, "provenance": {"anchor_interval_s": value}})


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("use_dora", "only plain LoRA merges exactly"),
        ("use_rslora", "only plain LoRA merges exactly"),
        ("modules_to_save", "only plain LoRA merges exactly"),
        ("rank_pattern", "only plain LoRA merges exactly"),
        ("alpha_pattern", "only plain LoRA merges exactly"),
        ("lora_bias", "only plain LoRA merges exactly"),
        ("optim", "the optimizer is AdamW"),
        ("report_to", "nothing is sent elsewhere"),
        ("warmup_ratio", "give warmup_steps"),
        ("max_seq_length", "did you mean max_length?"),
    ],
)
def test_an_option_that_is_not_supported_says_why(key: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({**MINIMAL, key: True})
    assert words in str(caught.value)
    assert ("did you mean" in str(caught.value)) == ("did you mean" in words)


def test_a_name_that_resembles_none_gets_no_offer() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({**MINIMAL, "neftune_noise_alpha": 5})
    assert "did you mean" not in str(caught.value)


def test_a_part_of_an_epoch_is_given_in_steps() -> None:
    with pytest.raises(ConfigError, match="give max_steps"):
        parse_config({**MINIMAL, "num_train_epochs": 0.5})
    with pytest.raises(ConfigError, match="write 8"):
        parse_config({**MINIMAL, "lora_r": 8.0})


def test_a_draft_keeps_what_is_right_and_names_what_says_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "output_dir: o\nlora_r: 0\nmax_lenght: 5\nseed: 7\nsurprise: 1\n")
    draft = load_draft(path, ["bf16=maybe", "provenance.anchor_interval_s=0", "nothing"])
    assert len(draft.faults) == 7
    assert draft.unsound == {
        *("dataset_name", "lora_r", "max_length", "bf16", "provenance.anchor_interval_s"),
    }
    assert (draft.config.output_dir, draft.config.seed, draft.config.lora_r) == ("o", 7, 8)
    with pytest.raises(Faults):
        draft.require()


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
        ("learning_rate", float("nan"), "a finite number"),
        ("learning_rate", "inf", "a finite number"),
        ("learning_rate", 10**400, "a finite number"),
        ("lora_target_modules", 3, "a list of names"),
        ("num_train_epochs", 0.5, "int"),
        ("packing", True, "false"),
        ("lora_r", 0, "1 to 2147483647"),
        ("lora_dropout", 1.0, "0 <= p < 1"),
        ("max_steps", 0, "1 to 2147483647, or -1"),
        ("output_dir", None, "str"),
        ("output_dir", "", "str"),
        ("lora_target_modules", ".*_proj", "names of modules, or all-linear"),
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
        ("", "the file is empty"),
        ("# nothing\n", "only comments"),
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


def test_an_override_that_stands_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("dataset_name: d\noutput_dir: o\nlora_r: 2\n")
    with pytest.raises(ConfigError, match="override stands twice") as caught:
        load_config(file, ["lora_r=4", "max_steps=1", "lora_r=8"])
    assert caught.value.actual == "lora_r=4 lora_r=8"
    assert load_config(file, ["lora_r=4"]).lora_r == 4


@pytest.mark.parametrize(
    ("text", "read"),
    [("1:30", 90), ("010", 8), ("1_000", 1000), ("1_0.5", 10.5), ("1:30.5", 90.5), ("-1:30", -90)],
)
def test_numbers_that_yaml_reads_otherwise_than_people_are_refused(
    tmp_path: Path, text: str, read: float
) -> None:
    file = tmp_path / "c.yaml"
    plain = "dataset_name: d\noutput_dir: o\n"
    file.write_text(f"{plain}max_steps: {text}\n")
    with pytest.raises(ConfigError, match=r"in YAML 1\.1") as caught:
        load_config(file)
    assert f"{text} means {read}" in str(caught.value)
    file.write_text(plain)
    with pytest.raises(ConfigError, match=f"write {read}"):
        load_config(file, [f"max_steps={text}"])
    file.write_text(f"{plain}lora_r: 8\nseed: 0\nlearning_rate: 1.0e-3\neval_samples: 0x10\n")
    assert load_config(file).eval_samples == 16


def test_a_configuration_in_latin_1_is_told_how_to_convert(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes("dataset_name: donn\u00e9es\noutput_dir: o\n".encode("latin-1"))
    with pytest.raises(ConfigError, match="not YAML") as caught:
        load_config(file)
    assert str(caught.value.hint).startswith("iconv -f WINDOWS-1252 -t UTF-8 ")

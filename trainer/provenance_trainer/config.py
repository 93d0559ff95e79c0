"""Training configuration: the names of Hugging Face and TRL, plus one `provenance:` block.

An unknown key is refused, and the nearest known key is named. If it were silently ignored, the
pre-registered configuration would differ from what ran.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import yaml

from provenance.causes import near, yaml_cause
from provenance.digest import Digest, sha256
from provenance.encoding import canonical_json
from provenance.errors import ConfigError
from provenance.faults import Findings
from provenance.text.strict_yaml import load_yaml
from provenance_trainer.ranges import RANGES, out_of_range

OnFailure = Literal["continue", "pause", "abort"]
ShapeName = Literal["text", "messages", "conversations", "prompt_completion", "instruction"]
_MAX_CONFIG_BYTES = 1 << 20


@dataclass(frozen=True)
class ProvenanceConfig:
    """The `provenance:` block.

    anchor_interval_s: Seconds between heads committed to the chain.
    on_failure: What training does while records cannot be made durable: go on and log errors, wait,
        or stop.
    key: Name of the signing key in the keystore, None for `default`.
    allow_empty: Let a run go on that learns nothing: batches without a token to predict, an adapter
        of zeros, a merged model equal to its base. Its verdict says so.
    """

    anchor_interval_s: float = 60.0
    on_failure: OnFailure = "continue"
    key: str | None = None
    allow_empty: bool = False


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Lengths are in tokens, `*_steps` in optimizer steps; -1 means no limit.

    model_name_or_path: `smollm2`, `tiny`, a folder or a hub id.
    dataset_name: Folder of a committed dataset.
    dataset_text_field: Column that is fed, text or messages; None to find the dataset's shape.
    dataset_shape: The shape, where a dataset fits several (docs/data.md); None to find it.
    completion_only_loss: Loss on the completion only; None does so where there is one.
    assistant_only_loss: Loss on the assistant's words only.
    eval_dataset_name: What `dataset_name` may be, held out from training; None to evaluate on a
        sample of the training records.
    eval_max_perplexity: The bar registered before training; None for no bar.
    """

    dataset_name: str
    output_dir: str
    model_name_or_path: str = "smollm2"
    dataset_text_field: str | None = None
    dataset_shape: ShapeName | None = None
    completion_only_loss: bool | None = None
    assistant_only_loss: bool = False
    lora_r: int = 8
    lora_alpha: int = 16
    lora_dropout: float = 0.0
    lora_target_modules: tuple[str, ...] = ("q_proj", "v_proj")
    max_length: int = 512
    packing: bool = False
    per_device_train_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    learning_rate: float = 2e-4
    lr_scheduler_type: str = "cosine"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    num_train_epochs: int = 1
    max_steps: int = -1
    save_steps: int = 500
    save_total_limit: int | None = None
    logging_steps: int = 10
    seed: int = 42
    bf16: bool | None = None
    gradient_checkpointing: bool = False
    dataloader_num_workers: int = 0
    deepspeed: str | None = None
    eval_dataset_name: str | None = None
    eval_samples: int = 64
    eval_batch_size: int = 8
    eval_max_perplexity: float | None = None
    provenance: ProvenanceConfig = field(default_factory=ProvenanceConfig)

    def __post_init__(self) -> None:
        found = Findings()
        found.add(_faults(self))
        found.require_none()


def _faults(config: TrainConfig) -> Iterator[ConfigError]:
    """What is wrong with values whose types are right."""
    if config.packing:
        yield ConfigError(
            "packing is not supported, because batches list one record per sample",
            where="packing",
            expected="false",
            actual="true",
        )
    if not config.lora_target_modules:
        yield ConfigError(
            "no modules to adapt", where="lora_target_modules", expected="at least one name"
        )
    if config.dataset_text_field is not None and config.dataset_shape not in (None, "text"):
        yield ConfigError(
            "dataset_text_field and dataset_shape exclude each other",
            where="dataset_shape",
            actual=config.dataset_shape,
        )
    yield from out_of_range({name: getattr(config, name) for name in RANGES})
    if config.max_steps != -1 and config.max_steps < 1:
        yield ConfigError(
            "value is out of range", where="max_steps", expected=">= 1", actual=config.max_steps
        )


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML configuration and apply `key=value` overrides.

    `provenance.key=value` sets a key inside the block.

    Raises:
        ConfigError: the file cannot be read, has unknown keys (the nearest known one is named) or
            lacks keys, or a value or its type is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "cannot read configuration", where=str(path), actual=error.strerror
        ) from error
    if len(data) > _MAX_CONFIG_BYTES:
        raise ConfigError(
            "configuration is too large", where=str(path), expected=f"<= {_MAX_CONFIG_BYTES} bytes"
        )
    try:
        value = load_yaml(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            "configuration is not YAML", where=str(path), actual=yaml_cause(error)
        ) from error
    if not isinstance(value, dict):
        raise ConfigError(
            "configuration is not a mapping",
            where=str(path),
            expected="keys and values, as in examples/smollm2.yaml",
            actual=type(value).__name__,
        )
    for override in overrides:
        _apply(value, override)
    return parse_config(value, str(path))


def _apply(value: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(
            "override is not KEY=VALUE", where=override, expected="such as max_steps=100"
        )
    try:
        parsed = load_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            "override is not YAML", where=override, actual=yaml_cause(error)
        ) from error
    block, dot, inner = key.partition(".")
    if not dot:
        value[key] = parsed
        return
    target = value.setdefault(block, {})
    if not isinstance(target, dict):
        raise ConfigError(
            "not a block", where=block, expected="keys and values", actual=type(target).__name__
        )
    target[inner] = parsed


def parse_config(value: Mapping[str, Any], where: str = "configuration") -> TrainConfig:
    """Check a configuration that is already a mapping. Raises ConfigError as `load_config` does."""
    found = Findings()
    fields = _checked(TrainConfig, value, where, found)
    block = value.get("provenance")
    if isinstance(block, dict):
        inner = _checked(ProvenanceConfig, block, f"{where} provenance", found)
        fields["provenance"] = ProvenanceConfig(**inner)
    elif block is not None:
        error = ConfigError("not a block", where=f"{where} provenance", actual=_described(block))
        found.add([error])
    # Where a key is missing or wrong, the others are judged with a value that says nothing.
    blanks = dict.fromkeys(("dataset_name", "output_dir"), "")
    config = found.run(lambda: TrainConfig(**(blanks | fields)))
    found.require_none()
    assert config is not None, "a configuration without faults"
    return config


def _checked(
    kind: type[Any], value: Mapping[str, Any], where: str, found: Findings
) -> dict[str, Any]:
    """The fields of `kind` that are right; what is wrong goes to `found`."""
    hints = typing.get_type_hints(kind)
    found.add(_unknown(str(key), list(hints), where) for key in value if key not in hints)
    for item in dataclasses.fields(kind):
        has_default = (item.default, item.default_factory) != (dataclasses.MISSING,) * 2
        if not has_default and item.name not in value:
            error = ConfigError(
                "configuration lacks a key",
                where=f"{where} {item.name}",
                hint=f"add it to the file, or give {item.name}=VALUE",
            )
            found.add([error])
    fields: dict[str, Any] = {}
    for key in value:
        if key in hints and key != "provenance":
            faults = len(found.faults)
            made = found.run(partial(_convert, value[key], hints[key], f"{where} {key}"))
            if len(found.faults) == faults:
                fields[key] = made
    return fields


def _unknown(key: str, known: list[str], where: str) -> ConfigError:
    if meant := near(key, known, 0.5):
        hint = f"did you mean {meant}?"
    elif meant := near(key, typing.get_type_hints(ProvenanceConfig), 0.8):
        hint = f"did you mean provenance.{meant}?"
    else:
        hint = "see the example configurations for all keys"
    return ConfigError("unknown key", where=f"{where} {key[:80]}", hint=hint)


def _convert(value: Any, hint: Any, where: str) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        (hint,) = (h for h in typing.get_args(hint) if h is not types.NoneType)
    if typing.get_origin(hint) is Literal:
        return _choice(value, typing.get_args(hint), where)
    if typing.get_origin(hint) is tuple:
        return _names(value, where)
    if hint is float:
        return _number(value, where)
    if type(value) is not hint:
        raise ConfigError(
            "value has the wrong type",
            where=where,
            expected=hint.__name__,
            actual=_described(value),
        )
    return value


def _choice(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    if value not in choices:
        raise ConfigError(
            "not one of the choices",
            where=where,
            expected=", ".join(choices),
            actual=_described(value),
        )
    return value


def _names(value: Any, where: str) -> tuple[str, ...]:
    items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) and item for item in items):
        raise ConfigError(
            "value has the wrong type",
            where=where,
            expected="a list of names",
            actual=_described(value),
        )
    return tuple(items)


def _number(value: Any, where: str) -> float:
    """A finite number. Text counts if it is one, because YAML 1.1 reads `2e-4` as text."""
    is_number = isinstance(value, int | float | str) and not isinstance(value, bool)
    try:
        number = float(value) if is_number else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(
            "value has the wrong type", where=where, expected="float", actual=_described(value)
        )
    return number


def _described(value: Any) -> str:
    return f"{value!r:.60} ({type(value).__name__})"


def _without_floats(value: Any) -> Any:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {k: _without_floats(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_floats(v) for v in value]
    return value


def config_record(config: TrainConfig) -> dict[str, Any]:
    """The whole configuration as a record holds it: floats become shortest decimal strings."""
    result: dict[str, Any] = _without_floats(dataclasses.asdict(config))
    return result


def config_digest(config: TrainConfig) -> Digest:
    """SHA-256 of the canonical JSON of `config_record`."""
    return sha256(canonical_json(config_record(config)))

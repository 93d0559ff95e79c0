"""Training configuration: the names of Hugging Face and TRL, plus one `provenance:` block.

`draft.py` reads files of them, and `ranges.py` says what numbers may be.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from provenance.digest import Digest, sha256
from provenance.encoding import canonical_json
from provenance.errors import ConfigError
from provenance.faults import Findings
from provenance_trainer.ranges import MAX_COUNT, out_of_range

OnFailure = Literal["continue", "pause", "abort"]
ShapeName = Literal["text", "messages", "conversations", "prompt_completion", "instruction"]
_SEGMENT_STEPS = "provenance.segment_steps"
_MODULE = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class ProvenanceConfig:
    """The `provenance:` block.

    anchor_interval_s: Seconds between heads committed to the chain.
    on_failure: What training does while records cannot be made durable: go on and log errors, wait,
        or stop.
    key: Name of the signing key in the keystore, None for `default`.
    allow_empty: Let a run go on that learns nothing: batches without a token to predict, an adapter
        of zeros, a merged model equal to its base. Its verdict says so.
    nondeterministic: Let torch choose faster algorithms that add in another order each time.
        Nobody can then train again to the same bits.
    segment_steps: Steps of a segment that can be trained again by itself: so often a checkpoint is
        written beside those of `save_steps`, which `save_total_limit` does not delete. None for no
        others than those.
    """

    anchor_interval_s: float = 60.0
    on_failure: OnFailure = "continue"
    key: str | None = None
    allow_empty: bool = False
    nondeterministic: bool = False
    segment_steps: int | None = None


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
        found.add(config_faults(flat(dataclasses.asdict(self))))
        found.require_none()


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The keys of a configuration, those of its blocks as `block.key`."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        inner = flat(value, f"{name}.") if isinstance(value, Mapping) else {prefix + name: value}
        found |= inner
    return found


def config_faults(values: Mapping[str, Any]) -> Iterator[ConfigError]:
    """What is wrong with values whose types are right; `where` is the key.

    Args:
        values: every key, those of blocks as `block.key`.
    """
    if values["packing"]:
        yield ConfigError(
            "packing is not supported, because batches list one record per sample",
            where="packing",
            expected="false",
            actual="true",
        )
    yield from _target_faults(values["lora_target_modules"])
    if values["dataset_text_field"] is not None and values["dataset_shape"] not in (None, "text"):
        yield ConfigError(
            "dataset_text_field and dataset_shape exclude each other",
            where="dataset_shape",
            actual=values["dataset_shape"],
        )
    segment, save = values[_SEGMENT_STEPS], values["save_steps"]
    if segment is not None and 1 <= save <= segment <= MAX_COUNT:
        yield ConfigError(
            "segments would be no shorter than those between the checkpoints of save_steps",
            where=_SEGMENT_STEPS,
            expected=f"less than save_steps, which is {save}",
            actual=segment,
            hint="lower it, raise save_steps, or leave it out",
        )
    yield from out_of_range(values)


def _target_faults(names: Sequence[str]) -> Iterator[ConfigError]:
    where = "lora_target_modules"
    if not names:
        yield ConfigError("no modules to adapt", where=where, expected="at least one name")
    patterns = [name for name in names if not _MODULE.fullmatch(name)]
    if patterns:
        yield ConfigError(
            "patterns are not taken",
            where=where,
            expected="names of modules, or all-linear",
            actual=", ".join(patterns)[:80],
            hint="list the names, such as q_proj, v_proj",
        )


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

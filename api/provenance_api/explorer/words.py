"""Plain words for what records say. Their values (attacker-controlled) are cut and quoted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from provenance.text.shown import shortened, told
from provenance_api.explorer.models import Setting
from provenance_api.web.texts import Texts

MOST_SETTINGS, MOST_CHARS, MOST_POSITIONS = 120, 200, 16
MEANINGS = (
    "model_name_or_path",
    "dataset_name",
    "lora_r",
    "lora_alpha",
    "lora_dropout",
    "lora_target_modules",
    "max_length",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "learning_rate",
    "lr_scheduler_type",
    "warmup_steps",
    "weight_decay",
    "num_train_epochs",
    "max_steps",
    "save_steps",
    "seed",
    "completion_only_loss",
    "assistant_only_loss",
    "packing",
)
"""Settings that have a text of their own, in the order in which people ask for them."""
_SAID = {
    "run.open": (),
    "seed": ("source",),
    "checkpoint": ("step", "epoch"),
    "epoch": ("epoch", "consumed"),
    "eval": ("step", "subject"),
    "resume": ("from", "step"),
    "merge": ("adapter",),
    "quantize": ("quantization", "file"),
    "sample": ("stage", "number"),
    "release": ("name", "model"),
    "run.close": ("status", "step"),
    "step": ("kind",),
    "tombstone": ("leaf",),
}


def shown(value: Any, most: int = MOST_CHARS) -> str:
    """A value of JSON as one bounded line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shortened(text, most)


def table(values: Any, most: int = MOST_SETTINGS) -> dict[str, str]:
    """The first values of an object, as lines; empty if it is none."""
    if not isinstance(values, Mapping):
        return {}
    return {shown(name): shown(value) for name, value in list(values.items())[:most]}


def settings(config: Any, texts: Texts) -> list[Setting]:
    """A configuration, what people ask for first; at most `MOST_SETTINGS` values."""
    values = table(config)
    ordered = [name for name in MEANINGS if name in values]
    ordered += [name for name in values if name not in MEANINGS]
    return [
        Setting(
            name=name,
            value=values[name],
            meaning=texts.plain(f"config.{name}") if name in MEANINGS else None,
        )
        for name in ordered
    ]


def says(type_: str, fields: Mapping[str, Any], texts: Texts) -> str | None:
    """What a record says, in a few words; None if we have none for its type."""
    if type_ == "batch":
        return texts.plain(
            "says.batch",
            positions=_positions(fields["positions"]),
            epoch=fields["epoch"],
            step=fields["step"],
        )
    if type_ not in _SAID:
        return None
    return texts.plain(f"says.{type_}", **{name: told(fields[name]) for name in _SAID[type_]})


def _positions(positions: Sequence[int]) -> str:
    if len(positions) > 1 and all(after - before == 1 for before, after in pairwise(positions)):
        return f"{positions[0]}-{positions[-1]}"
    more = ", .." if len(positions) > MOST_POSITIONS else ""
    return ", ".join(map(str, positions[:MOST_POSITIONS])) + more

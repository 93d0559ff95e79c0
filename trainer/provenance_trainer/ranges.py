"""What the numbers of a training configuration may be: every number of it has a range here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from provenance.errors import ConfigError

_Range = tuple[str, Callable[[float], bool]]
MAX_COUNT = 2**31 - 1
MAX_WORKERS = 256  # of one data loader; each is a process
DAY_S = 86_400.0

_COUNT: _Range = (f"1 to {MAX_COUNT}", lambda x: 1 <= x <= MAX_COUNT)
_COUNT_OR_0: _Range = (f"0 to {MAX_COUNT}", lambda x: 0 <= x <= MAX_COUNT)
_COUNT_OR_NONE: _Range = (f"1 to {MAX_COUNT}, or -1", lambda x: x == -1 or 1 <= x <= MAX_COUNT)
_AT_LEAST_1: _Range = (">= 1", lambda x: x >= 1)
_NOT_NEGATIVE: _Range = (">= 0", lambda x: x >= 0)
_POSITIVE: _Range = ("> 0", lambda x: x > 0)
_BELOW_1: _Range = ("0 <= p < 1", lambda x: 0 <= x < 1)
# What NumPy's generators take as a seed.
_SEED: _Range = ("0 to 4294967295", lambda x: 0 <= x < 2**32)

RANGES: dict[str, _Range] = {
    "lora_r": _COUNT,
    "lora_alpha": _COUNT,
    "lora_dropout": _BELOW_1,
    "max_length": _COUNT,
    "per_device_train_batch_size": _COUNT,
    "gradient_accumulation_steps": _COUNT,
    "learning_rate": _POSITIVE,
    "warmup_steps": _COUNT_OR_0,
    # AdamW takes learning_rate * weight_decay of each weight away at each step.
    "weight_decay": ("0 to 100", lambda x: 0 <= x <= 100),
    "adam_beta1": _BELOW_1,
    "adam_beta2": _BELOW_1,
    "adam_epsilon": ("above 0, at most 1", lambda x: 0 < x <= 1),
    "max_grad_norm": _NOT_NEGATIVE,
    "num_train_epochs": _COUNT,
    "max_steps": _COUNT_OR_NONE,
    "save_steps": _COUNT,
    "save_total_limit": _COUNT,
    "logging_steps": _COUNT,
    "seed": _SEED,
    "dataloader_num_workers": (f"0 to {MAX_WORKERS}", lambda x: 0 <= x <= MAX_WORKERS),
    "eval_samples": _COUNT,
    "eval_batch_size": _COUNT,
    "eval_max_perplexity": _AT_LEAST_1,
    "provenance.segment_steps": _COUNT,
    "provenance.anchor_interval_s": (f"above 0, at most {DAY_S:.0f}", lambda x: 0 < x <= DAY_S),
}


def out_of_range(values: Mapping[str, Any]) -> Iterator[ConfigError]:
    """An error for each value outside its range.

    Args:
        values: by key, those of blocks as `block.key`. None is a value that was not given.
    """
    for name, (text, holds) in RANGES.items():
        value = values[name]
        if value is not None and not holds(value):
            yield ConfigError("value is out of range", where=name, expected=text, actual=value)

"""What the numbers of a training configuration may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from provenance.errors import ConfigError

_Test = Callable[[float], bool]
_AT_LEAST_1: tuple[str, _Test] = (">= 1", lambda x: x >= 1)
_NOT_NEGATIVE: tuple[str, _Test] = (">= 0", lambda x: x >= 0)
_POSITIVE: tuple[str, _Test] = ("> 0", lambda x: x > 0)
_BELOW_1: tuple[str, _Test] = ("0 <= p < 1", lambda x: 0 <= x < 1)
# What NumPy's generators take as a seed.
_SEED: tuple[str, _Test] = ("0 to 4294967295", lambda x: 0 <= x < 2**32)

RANGES: dict[str, tuple[str, _Test]] = {
    "lora_r": _AT_LEAST_1,
    "lora_alpha": _AT_LEAST_1,
    "lora_dropout": _BELOW_1,
    "max_length": _AT_LEAST_1,
    "per_device_train_batch_size": _AT_LEAST_1,
    "gradient_accumulation_steps": _AT_LEAST_1,
    "learning_rate": _POSITIVE,
    "warmup_steps": _NOT_NEGATIVE,
    "weight_decay": _NOT_NEGATIVE,
    "adam_beta1": _BELOW_1,
    "adam_beta2": _BELOW_1,
    "adam_epsilon": _POSITIVE,
    "max_grad_norm": _NOT_NEGATIVE,
    "num_train_epochs": _AT_LEAST_1,
    "save_steps": _AT_LEAST_1,
    "save_total_limit": _AT_LEAST_1,
    "logging_steps": _AT_LEAST_1,
    "seed": _SEED,
    "dataloader_num_workers": _NOT_NEGATIVE,
    "eval_samples": _AT_LEAST_1,
    "eval_batch_size": _AT_LEAST_1,
    "eval_max_perplexity": _AT_LEAST_1,
}


def out_of_range(values: Mapping[str, float | None]) -> Iterator[ConfigError]:
    """An error for each value outside its range; None is a value that was not given."""
    for name, value in values.items():
        text, holds = RANGES[name]
        if value is not None and not holds(value):
            yield ConfigError("value is out of range", where=name, expected=text, actual=value)

"""Whether training can be set up from a configuration, and whether its numbers make sense.

What training will build is built here once, by the very functions that training uses. What these
libraries refuse would else be found out after the run was opened on chain, for good.
"""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import SchedulerType, Trainer, TrainingArguments, get_scheduler

from provenance.causes import cause_of
from provenance.errors import ConfigError, ProvenanceError
from provenance.faults import did_you_mean
from provenance_trainer.config import TrainConfig
from provenance_trainer.record.callback import require_recordable
from provenance_trainer.run.plan import Plan
from provenance_trainer.run.trainer import training_arguments

_MAX_JSON_BYTES = 1 << 20
_SCHEDULE = "lr_scheduler_type"
# Adapters are shipped and merged as numbers from 2^-40 up to, but without, 2^16.
_SMALLEST, _LARGEST = 2.0**-40, 2.0**16
_USUAL = (1e-7, 1.0)
_ADVICE = "usual are 1e-5 to 1e-2"
_MANY = 10  # times the dataset, for a batch


def settings_faults(config: TrainConfig) -> Iterator[ProvenanceError]:
    """What keeps training from being set up: schedule, deepspeed, arguments, optimizer."""
    faults = [*_schedule_faults(config), *_deepspeed_faults(config)]
    yield from faults
    if faults:
        return
    try:
        with setting_up():
            args = training_arguments(config)
            require_recordable(args)
            _require_schedule(args)
    except ProvenanceError as error:
        yield error


@contextmanager
def setting_up() -> Iterator[None]:
    """Tell of whatever a configuration makes the libraries raise while training is set up.

    Raises:
        ConfigError: in the place of an error that is none of ours.
    """
    try:
        yield
    except ProvenanceError:
        raise
    except Exception as error:
        raise ConfigError(
            "training cannot be set up with this configuration",
            actual=" ".join(f"{type(error).__name__}: {error}".split())[:300],
        ) from error


def _schedule_faults(config: TrainConfig) -> Iterator[ConfigError]:
    name, known = config.lr_scheduler_type, sorted(kind.value for kind in SchedulerType)
    if name not in known:
        yield ConfigError(
            "no such schedule",
            where=_SCHEDULE,
            expected=", ".join(known),
            actual=name,
            hint=did_you_mean(name, known),
        )
    elif name in (SchedulerType.REDUCE_ON_PLATEAU, SchedulerType.GREEDY):
        yield ConfigError(
            "schedule needs evaluations during training, and there are none",
            where=_SCHEDULE,
            actual=name,
            hint="cosine and linear need none",
        )


def _deepspeed_faults(config: TrainConfig) -> Iterator[ConfigError]:
    if config.deepspeed is None:
        return
    if importlib.util.find_spec("deepspeed") is None:
        yield ConfigError(
            "package deepspeed is not installed", where="deepspeed", hint="pip install deepspeed"
        )
    where = f"deepspeed {config.deepspeed}"
    try:
        with Path(config.deepspeed).open("rb") as stream:
            value = json.loads(stream.read(_MAX_JSON_BYTES))
    except OSError as error:
        yield ConfigError("cannot read file", where=where, actual=cause_of(error))
    except (ValueError, RecursionError) as error:
        yield ConfigError("not JSON", where=where, actual=str(error)[:120])
    else:
        if not isinstance(value, dict):
            yield ConfigError("not a JSON object", where=where, actual=type(value).__name__)


def _require_schedule(args: TrainingArguments) -> None:
    """Make optimizer and schedule as Trainer makes them, for a model of one weight."""
    kind, options = Trainer.get_optimizer_cls_and_kwargs(args)
    optimizer = kind([torch.nn.Parameter(torch.zeros(1))], **options)
    try:
        get_scheduler(
            args.lr_scheduler_type,
            optimizer,
            num_warmup_steps=args.get_warmup_steps(1),
            num_training_steps=1,
        )
    except (ValueError, TypeError) as error:
        raise ConfigError(
            "schedule needs settings that a run has not",
            where=_SCHEDULE,
            actual=f"{args.lr_scheduler_type}: {str(error)[:120]}",
            hint="cosine and linear need none",
        ) from error


def pace_faults(config: TrainConfig, made: Plan) -> Iterator[ConfigError]:
    """Learning rates with which no run can end in an adapter that changes anything."""
    share, rate = _share(config, made.steps), config.learning_rate
    if rate >= _LARGEST:
        yield ConfigError(
            "one step would leave the numbers that a merge can hold",
            where="learning_rate",
            expected=f"below {_LARGEST:.0f}; {_ADVICE}",
            actual=rate,
        )
    # How far the weights of B, which begin as zeros, can come.
    reach = _stride(config) * made.steps * share
    if rate * reach < _SMALLEST and not config.provenance.allow_empty:
        warmup = f", {config.warmup_steps} warmup steps" if config.warmup_steps else ""
        yield ConfigError(
            "the adapter would be all zeros: no weight of it can reach 2^-40, the least that is "
            "not zero",
            where="learning_rate",
            expected=f"above {_SMALLEST / reach:.1g}; {_ADVICE}" if reach else "less warmup",
            actual=f"{rate}, {made.steps} steps{warmup}: at most {rate * share:.2g}",
        )


def pace_notes(config: TrainConfig, made: Plan) -> Iterator[str]:
    """Settings that are allowed, but hardly meant; with the numbers, for people."""
    batches = -(-made.records // config.per_device_train_batch_size)
    least, most = _USUAL
    if not least <= config.learning_rate < most:
        yield (
            f"learning_rate is {config.learning_rate}: each step changes a weight of the adapter "
            f"by about as much; {_ADVICE}"
        )
    share = _share(config, made.steps)
    if share < 1:
        yield (
            f"warmup_steps is {config.warmup_steps}, and the run has {made.steps} steps: the "
            f"learning rate never gets beyond {share * config.learning_rate:.2g} of "
            f"{config.learning_rate}"
        )
    if config.gradient_accumulation_steps > batches:
        yield (
            f"gradient_accumulation_steps is {config.gradient_accumulation_steps}, and an epoch "
            f"has {batches} batches: each epoch is one step"
        )
    if config.per_device_train_batch_size > _MANY * made.records:
        yield (
            f"per_device_train_batch_size is {config.per_device_train_batch_size}, and the dataset "
            f"has {made.records} records: each epoch is one batch"
        )


def kept_notes(config: TrainConfig, made: Plan) -> Iterator[str]:
    """What deleting checkpoints takes from whoever trains again; for people."""
    limit, segment = config.save_total_limit, config.provenance.segment_steps
    if limit is not None and segment is None and made.checkpoints > limit:
        yield (
            f"save_total_limit is {limit}, and the run has {made.checkpoints} checkpoints: "
            "training a segment again begins with the seed where those before it are deleted; "
            "provenance.segment_steps=N keeps one every N steps"
        )


def _share(config: TrainConfig, steps: int) -> float:
    """The part of `learning_rate` that a run of so many steps reaches, 0 to 1.

    The first step has 0, and each further one a `warmup_steps`-th more.
    """
    if config.warmup_steps == 0 or config.lr_scheduler_type == SchedulerType.CONSTANT:
        return 1.0
    return min(1.0, (steps - 1) / config.warmup_steps)


def _stride(config: TrainConfig) -> float:
    """At most how far AdamW moves a weight in one step, in learning rates.

    Source: Kingma and Ba, Adam (arXiv 1412.6980), section 2.1.
    """
    return max(1.0, (1 - config.adam_beta1) / math.sqrt(1 - config.adam_beta2))

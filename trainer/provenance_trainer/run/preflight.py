"""Everything about data and base model that can be known before anything is spent.

`provenance plan` and `provenance train` run the same checks. All faults are gathered, so that a
user mends them at once and not one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, SchedulerType, get_scheduler

from provenance.errors import ConfigError
from provenance.faults import Findings, did_you_mean
from provenance.progress import Progress
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.fed import (
    Fed,
    Records,
    count_fed,
    require_learnable,
    rows_of,
)
from provenance_trainer.data.kinds import Kinds
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.data.tokenizer import load_tokenizer
from provenance_trainer.formats.checks import format_faults
from provenance_trainer.model.base import BaseModel, load_base, locate_base
from provenance_trainer.model.checks import adapter_faults, base_faults
from provenance_trainer.model.value_checks import value_faults
from provenance_trainer.run.derived import DEFAULT_FORMAT
from provenance_trainer.run.evaluation import counted_of_training, held_out


@dataclass(frozen=True)
class Rows:
    """Records of a dataset, committed or not.

    kinds: What the columns hold, over all records.
    rows: (where the record stands, the record), to be read once.
    """

    columns: tuple[str, ...]
    kinds: Kinds
    rows: Iterable[tuple[str, Mapping[str, Any]]]
    count: int

    @classmethod
    def of(cls, dataset: Records) -> Rows:
        """Those of a committed dataset.

        Raises:
            InputError: every record was erased.
        """
        kinds = Kinds.of(rows_of(dataset))
        return cls(tuple(dataset.columns), kinds, rows_of(dataset), len(dataset))


@dataclass(frozen=True)
class Checked:
    """What a preflight found out: the base model, and what is fed of the dataset.

    evaluated: How many records of how many the run is evaluated on.
    notes: Why a deployed format cannot hold the model, if the default one cannot.
    """

    base: BaseModel
    fed: Fed
    evaluated: str
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """For people: what is fed, and what the model cannot become."""
        warnings = [f"warning: {note}" for note in self.notes]
        return [*self.fed.lines(), f"evaluated on {self.evaluated}", *warnings]


def preflight(
    config: TrainConfig, cache: Path, open_rows: Callable[[], Rows], progress: Progress
) -> Checked:
    """Check configuration, data and base model. Nothing is written but the model cache.

    Args:
        cache: Where decoded and downloaded base models are kept.
        open_rows: Opens the dataset, committed or not.

    Raises:
        InputError: the one fault. Faults: all of them.
        UnavailableError: the hub or the disk is out of reach.
    """
    found = Findings()
    found.run(lambda: check_schedule(config))
    rows = found.run(open_rows)
    folder = found.run(lambda: locate_base(config.model_name_or_path, cache))
    base, fed, evaluation = None, None, None
    if folder is not None and found.add(base_faults(folder)) == 0:
        tokenizer = found.run(lambda: load_tokenizer(folder))
        if tokenizer is not None:
            if (name := config.eval_dataset_name) is not None:
                evaluation = found.run(lambda: held_out(config, name, tokenizer))
            if rows is not None:
                fed = found.run(lambda: count(config, tokenizer, rows, progress))
        if found.add(adapter_faults(folder, config)) == 0:
            base = found.run(lambda: load_base(config.model_name_or_path, cache, progress))
            if base is not None:
                found.add(value_faults(base.dir, config))
    found.require_none()
    assert base is not None, "a base without faults"
    assert fed is not None, "records without faults"
    notes = [
        f"this base cannot become {DEFAULT_FORMAT}: {fault}"
        for fault in format_faults(DEFAULT_FORMAT, base.dir)
    ]
    counted = evaluation.counted if evaluation else counted_of_training(config, fed.records)
    return Checked(base, fed, counted, tuple(notes))


def check_schedule(config: TrainConfig) -> None:
    """Check that the learning rate can follow the schedule that the configuration names.

    Raises:
        ConfigError: no such schedule, or one that needs what a run does not give it.
    """
    name = config.lr_scheduler_type
    known = sorted(kind.value for kind in SchedulerType)
    if name not in known:
        raise ConfigError(
            "no such schedule",
            where="lr_scheduler_type",
            expected=", ".join(known),
            actual=name,
            hint=did_you_mean(name, known),
        )
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    try:
        made = get_scheduler(name, optimizer, num_warmup_steps=0, num_training_steps=1)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            "schedule needs settings that a run has not",
            where="lr_scheduler_type",
            actual=f"{name}: {str(error)[:120]}",
            hint="cosine and linear need none",
        ) from error
    if isinstance(made, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise ConfigError(
            "schedule needs evaluations during training, and there are none",
            where="lr_scheduler_type",
            actual=name,
            hint="cosine and linear need none",
        )


def fed_of(config: TrainConfig, base: BaseModel, dataset: Records, progress: Progress) -> Fed:
    """Count what is fed of a committed dataset.

    Raises:
        InputError: records that cannot be fed, or of which no batch may learn.
    """
    return count(config, load_tokenizer(base.dir), Rows.of(dataset), progress)


def count(
    config: TrainConfig, tokenizer: PreTrainedTokenizerBase, rows: Rows, progress: Progress
) -> Fed:
    """Count what is fed of records; raises as `fed_of`."""
    recipe = Recipe.of(config, tokenizer, rows.columns, rows.kinds)
    fed = count_fed(recipe, rows.rows, rows.count, progress)
    require_learnable(fed, config)
    return fed

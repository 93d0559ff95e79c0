"""Choosing the texts that a run is evaluated on, and measuring a model's perplexity on them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from provenance.errors import InputError
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.fed import Records
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.data.tokens import IGNORED_LABEL
from provenance_trainer.record.features import collate
from provenance_trainer.run.held_out import read_held_out

Sample = dict[str, list[int]]


@dataclass(frozen=True)
class Evaluation:
    """What a run is evaluated on.

    counted: How many records of how many, for people.
    held_out: They were kept from training.
    """

    samples: tuple[Sample, ...]
    counted: str
    held_out: bool

    @property
    def name(self) -> str:
        """For people and records."""
        return "held-out text" if self.held_out else "sample of the training records"


def evaluation_of(config: TrainConfig, dataset: Records, recipe: Recipe) -> Evaluation:
    """The held-out file's records, else the first training records.

    Args:
        recipe: How training records are fed. A file of another shape gets a recipe of its own.

    Raises:
        ConfigError: the file cannot be read, or is ambiguous.
        InputError: it holds what is no record, or no sample has a token to predict.
    """
    if config.eval_dataset_name is not None:
        return held_out(config, config.eval_dataset_name, recipe.tokenizer, recipe.day)
    # Records lie in the order of their digests, so the first ones are a fair sample.
    samples = tuple(recipe.sample(dataset.row(i)) for i in range(_first(config, len(dataset))))
    counted = counted_of_training(config, len(dataset))
    return Evaluation(_learnable(config, samples, "dataset_name"), counted, False)


def _first(config: TrainConfig, records: int) -> int:
    return min(config.eval_samples, records)


def counted_of_training(config: TrainConfig, records: int) -> str:
    """How many training records of how many a run without a held-out file is evaluated on."""
    return f"{_first(config, records)} of {records} training records"


def held_out(
    config: TrainConfig, name: str, tokenizer: PreTrainedTokenizerBase, day: str | None = None
) -> Evaluation:
    """Records that are kept from training; raises as `evaluation_of`.

    Args:
        day: What the chat template's clock says, as `Recipe.of` has it.
    """
    held = read_held_out(name, config.eval_samples)
    columns = tuple(held.rows[0][1])
    recipe = Recipe.of(config, tokenizer, columns, held.kinds, day)
    samples = tuple(_whole(recipe, f"{name} {where}", row) for where, row in held.rows)
    return Evaluation(_learnable(config, samples, name), str(held), True)


def _whole(recipe: Recipe, place: str, row: Mapping[str, Any]) -> Sample:
    """The sample of a record of which the chat template leaves nothing out."""
    try:
        recipe.require_written(row)
        return recipe.sample(row)
    except InputError as error:
        error.where = f"{place} {error.where}" if error.where else place
        raise


def _learnable(config: TrainConfig, samples: tuple[Sample, ...], where: str) -> tuple[Sample, ...]:
    if not any(_predicted(sample) for sample in samples) and not config.provenance.allow_empty:
        raise InputError(
            "evaluation has no token to predict",
            where=where,
            hint="raise max_length, or evaluate on other records",
        )
    return samples


def _predicted(sample: Sample) -> int:
    """Tokens of a sample that are predicted; the first never is."""
    return sum(label != IGNORED_LABEL for label in sample["labels"][1:])


def perplexity(
    model: torch.nn.Module, samples: Sequence[Sample], pad_id: int, batch_size: int
) -> float:
    """exp of the mean negative log-likelihood per predicted token of all samples; NaN if none."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(samples), batch_size):
            batch = collate(samples[start : start + batch_size], pad_id)
            count = sum(map(_predicted, samples[start : start + batch_size]))
            if count:
                loss = model(**{k: v.to(device) for k, v in batch.items()}).loss
                total, tokens = total + float(loss) * count, tokens + count
    model.train(was_training)
    return math.exp(min(total / tokens, 700.0)) if tokens else math.nan

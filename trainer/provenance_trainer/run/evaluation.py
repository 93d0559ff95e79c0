"""Choosing the texts that a run is evaluated on, and measuring a model's perplexity on them."""

from __future__ import annotations

import math
from collections.abc import Sequence

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


def evaluation_sample(config: TrainConfig, dataset: Records, recipe: Recipe) -> tuple[Sample, ...]:
    """Samples to evaluate on: the held-out file's, else those of the first training records.

    Args:
        recipe: How training records are fed. A file of another shape gets a recipe of its own.

    Raises:
        ConfigError: the file cannot be read, or is ambiguous.
        InputError: it holds what is no record, or no sample has a token to predict.
    """
    if config.eval_dataset_name is not None:
        return held_out(config, config.eval_dataset_name, recipe.tokenizer)
    # Records lie in the order of their digests, so the first ones are a fair sample.
    count = min(config.eval_samples, len(dataset))
    samples = tuple(recipe.sample(dataset.row(i)) for i in range(count))
    return _learnable(config, samples, "dataset_name")


def held_out(
    config: TrainConfig, name: str, tokenizer: PreTrainedTokenizerBase
) -> tuple[Sample, ...]:
    """Samples of records that are kept from training; raises as `evaluation_sample`."""
    rows = read_held_out(name, config.eval_samples).rows
    recipe = Recipe.of(config, tokenizer, tuple(rows[0]), rows[0])
    return _learnable(config, tuple(recipe.sample(row) for row in rows), name)


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

"""Choosing the texts that a run is evaluated on, and measuring a model's perplexity on them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from provenance.errors import ConfigError, InputError
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.fed import Records
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.data.tokens import IGNORED_LABEL
from provenance_trainer.record.features import collate

_MAX_EVAL_BYTES = 256 << 20


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
    rows = _read_rows(Path(name), config.eval_samples)
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


def _read_rows(path: Path, limit: int) -> list[dict[str, Any]]:
    if not path.is_file() or path.stat().st_size > _MAX_EVAL_BYTES:
        raise ConfigError(
            "cannot read evaluation file",
            where="eval_dataset_name",
            expected="a text or JSON-lines file",
            actual=str(path),
        )
    rows: list[dict[str, Any]] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip() or len(rows) >= limit:
                continue
            if path.suffix == ".jsonl":
                rows.append(_parse_row(line, f"{path} line {number}"))
            else:
                rows.append({"text": line.strip()})
    if not rows:
        raise InputError(
            "evaluation file holds no text", where=str(path), expected="at least one line of text"
        )
    return rows


def _parse_row(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise InputError("not JSON", where=where, actual=error) from error
    if not isinstance(value, dict):
        raise InputError("not a JSON object", where=where)
    return value


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

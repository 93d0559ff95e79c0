"""Choosing the texts that a run is evaluated on, and measuring a model's perplexity on them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from provenance.errors import ConfigError, InputError
from provenance_trainer.config import TrainConfig
from provenance_trainer.record.features import IGNORED_LABEL, Encoder, RecordSource, collate

_MAX_EVAL_BYTES = 256 << 20


def evaluation_sample(
    config: TrainConfig, dataset: RecordSource, encoder: Encoder
) -> tuple[tuple[int, ...], ...]:
    """Token ids of each sample, from the held-out file, else from the first training records.

    Raises:
        ConfigError: the file cannot be read.
        InputError: the file has no text, or a line is no record.
    """
    if config.eval_dataset_name is None:
        # Records are ordered by their digests, so the first ones are a fair sample.
        count = min(config.eval_samples, len(dataset))
        return tuple(tuple(encoder.ids(dataset.row(i))) for i in range(count))
    rows = _read_rows(Path(config.eval_dataset_name), config.eval_samples)
    plain = dataclasses.replace(encoder, field=config.dataset_text_field)
    return tuple(tuple(plain.ids(row)) for row in rows)


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
    model: torch.nn.Module, samples: Sequence[Sequence[int]], pad_id: int, batch_size: int
) -> float:
    """exp of the mean negative log-likelihood per predicted token of all samples; NaN if none."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(samples), batch_size):
            batch = collate([{"input_ids": s} for s in samples[start : start + batch_size]], pad_id)
            count = int((batch["labels"][:, 1:] != IGNORED_LABEL).sum())
            if count:
                loss = model(**{k: v.to(device) for k, v in batch.items()}).loss
                total, tokens = total + float(loss) * count, tokens + count
    model.train(was_training)
    return math.exp(min(total / tokens, 700.0)) if tokens else math.nan

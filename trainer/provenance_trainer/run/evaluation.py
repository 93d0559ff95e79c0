"""Choosing the texts that a run is evaluated on, and measuring a model's perplexity on them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from provenance.errors import InputError, ProvenanceError
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.fed import Fed, Records, count_fed
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.data.tokens import IGNORED_LABEL
from provenance_trainer.record.features import collate
from provenance_trainer.run.held_out import EVAL_KEY, read_held_out

_BASE = "model_name_or_path"
Sample = dict[str, list[int]]


@dataclass(frozen=True)
class Evaluation:
    """What a run is evaluated on.

    counted: How many records of how many, for people.
    held_out: They were kept from training.
    fed: What is fed of held-out records; None for a sample of the training records.
    words: What each of these says in the columns that are fed.
    """

    samples: tuple[Sample, ...]
    counted: str
    held_out: bool
    fed: Fed | None = None
    words: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For people and records."""
        return "held-out text" if self.held_out else "sample of the training records"

    @property
    def repeated(self) -> int:
        """How many of its records say what an earlier one says."""
        return len(self.words) - len(set(self.words))

    def to_json(self) -> dict[str, Any]:
        """What `run.open` says of held-out records; empty for a sample of the training records."""
        return {} if self.fed is None else {"fed": self.fed.to_json(), "repeated": self.repeated}

    def lines(self, trained: Fed, seen: Seen) -> list[str]:
        """For people: what is fed of held-out records, and why perplexity on them may mislead.

        Args:
            trained: What is fed of the training records. seen: Which of these are evaluated on.
        """
        if self.fed is None:
            return []
        size, said = len(self.words), self.fed.lines()
        notes = [line.removeprefix("warning: ") for line in said if line.startswith("warning: ")]
        expected, actual = trained.recipe, self.fed.recipe
        if (actual.shape.name, actual.loss) != (expected.shape.name, expected.loss):
            notes.append(
                f"its records are fed as {actual.shape.name} with loss on {actual.loss}, those of "
                f"training as {expected.shape.name} with loss on {expected.loss}"
            )
        if shared := sum(words in seen.found for words in self.words):
            notes.append(f"{shared} of {size} records are training records, too")
        if self.repeated:
            notes.append(f"{self.repeated} of {size} records repeat an earlier one")
        plain = [line for line in said if not line.startswith("warning: ")]
        return [
            *(f"evaluation {line}" for line in plain),
            *(f"warning: evaluation: {note}" for note in notes),
        ]


class Seen:
    """Which of the records that a run is evaluated on are among those that it is trained on."""

    def __init__(self, evaluation: Evaluation | None) -> None:
        self._wanted = frozenset(evaluation.words if evaluation else ())
        self.found: set[str] = set()

    def watch(
        self, recipe: Recipe, rows: Iterable[tuple[str, Mapping[str, Any]]]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Pass training records through (attacker-controlled), and look at each."""
        for where, row in rows:
            if self._wanted and (words := _words(recipe, row)) in self._wanted:
                self.found.add(words)
            yield where, row


def _words(recipe: Recipe, row: Mapping[str, Any]) -> str:
    """What a record says in the columns that are fed."""
    return json.dumps([row.get(column) for column in recipe.shape.columns], sort_keys=True)


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
    where = f"{EVAL_KEY} {name}"
    try:
        recipe = Recipe.of(config, tokenizer, tuple(held.rows[0][1]), held.kinds, day)
    except ProvenanceError as error:
        raise _of_evaluation(error, where) from error
    fed = count_fed(recipe, [(f"{where} {at}", row) for at, row in held.rows], len(held.rows))
    samples = tuple(recipe.sample(row) for _, row in held.rows)
    words = tuple(_words(recipe, row) for _, row in held.rows)
    return Evaluation(_learnable(config, samples, where), str(held), True, fed, words)


def _of_evaluation(error: ProvenanceError, where: str) -> ProvenanceError:
    """A fault of held-out records, under their key: it was found by rules for training records."""
    if error.where == _BASE:
        return error
    place = "" if error.where in (None, "dataset_name") else f" {error.where}"
    error.where = where + place
    error.hint = "evaluation records are fed by the settings of the training records: give them "
    error.hint += "the same columns"
    return error


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

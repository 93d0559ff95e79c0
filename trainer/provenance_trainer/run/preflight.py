"""Everything about data and base model that can be known before anything is spent.

`provenance plan` and `provenance train` run the same checks. Whatever training builds from the
configuration is built here first, since an opened run stays listed on chain for good. All faults
are gathered, so that a user mends them at once and not one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from provenance.faults import Findings
from provenance.progress import Progress
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.clock import today
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
from provenance_trainer.draft import Draft
from provenance_trainer.formats.checks import format_faults
from provenance_trainer.model.adapter import load_json
from provenance_trainer.model.architectures import MAX_CONFIG_BYTES
from provenance_trainer.model.base import BaseModel, load_base, locate_base
from provenance_trainer.model.checks import adapter_faults, base_faults
from provenance_trainer.model.value_checks import value_faults
from provenance_trainer.run.derived import DEFAULT_FORMAT
from provenance_trainer.run.evaluation import Evaluation, Seen, counted_of_training, held_out
from provenance_trainer.run.held_out import read_held_out
from provenance_trainer.run.plan import plan
from provenance_trainer.run.settings import kept_notes, pace_faults, pace_notes, settings_faults

_POSITIONS = "max_position_embeddings"
# Keys that checks rest on: what of a record is fed, whether that can be learned, and how fast.
_SHAPE = (*("dataset_text_field", "dataset_shape", "completion_only_loss", "assistant_only_loss"),)
_LEARNABLE = ("max_length", "per_device_train_batch_size", "provenance.allow_empty")
_PACE = (
    *("learning_rate", "warmup_steps", "max_steps", "num_train_epochs"),
    *("gradient_accumulation_steps", *_LEARNABLE),
)


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

    evaluated: What the run is evaluated on, for people.
    notes: Why a deployed format cannot hold the model, if the default one cannot.
    """

    base: BaseModel
    fed: Fed
    evaluated: tuple[str, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """For people: what is fed, and what the model cannot become."""
        warnings = [f"warning: {note}" for note in self.notes]
        return [*self.fed.lines(), *self.evaluated, *warnings]


def preflight(
    draft: Draft, cache: Path, open_rows: Callable[[], Rows], progress: Progress
) -> Checked:
    """Check configuration, data and base model. Nothing is written but the model cache.

    A configuration with faults is checked as far as its other keys go, and its faults are told
    with the rest.

    Args:
        cache: Where decoded and downloaded base models are kept.
        open_rows: Opens the dataset, committed or not.

    Raises:
        InputError: the one fault. Faults: all of them.
        UnavailableError: the hub or the disk is out of reach.
    """
    found = Findings()
    found.add(draft.faults)
    checks = _Checks(draft, cache, found, progress)
    # A default in the place of what is unsound is right by itself.
    found.add(settings_faults(draft.config))
    checks.model(checks.data(open_rows))
    found.require_none()
    return checks.made()


class _Checks:
    """The checks of one configuration. One is left out if a key that it rests on is unsound."""

    def __init__(self, draft: Draft, cache: Path, found: Findings, progress: Progress) -> None:
        self._draft, self._config = draft, draft.config
        self._cache, self._found, self._progress = cache, found, progress
        self._base: BaseModel | None = None
        self._fed: Fed | None = None
        self._evaluation: Evaluation | None = None
        self._seen = Seen(None)
        self._day = today()

    def data(self, open_rows: Callable[[], Rows]) -> Rows | None:
        """Whether there are records."""
        return self._found.run(open_rows) if self._draft.is_sound("dataset_name") else None

    def model(self, rows: Rows | None) -> None:
        """The base model, and with it what its tokenizer makes of the records."""
        found, draft, name = self._found, self._draft, self._config.model_name_or_path
        is_named = draft.is_sound("model_name_or_path")
        folder = found.run(lambda: locate_base(name, self._cache)) if is_named else None
        if folder is None or found.add(base_faults(folder)):
            self._held_out(None)
            return
        tokenizer = found.run(lambda: load_tokenizer(folder))
        self._held_out(tokenizer)
        if tokenizer is not None and rows is not None and draft.is_sound(*_SHAPE):
            self._feed(tokenizer, rows)
        if found.add(adapter_faults(folder, self._config, draft.unsound)) == 0:
            self._base = found.run(lambda: load_base(name, self._cache, self._progress))
            if self._base is not None and draft.is_sound("lora_target_modules"):
                found.add(value_faults(self._base.dir, self._config))

    def _held_out(self, tokenizer: PreTrainedTokenizerBase | None) -> None:
        config, found = self._config, self._found
        if (name := config.eval_dataset_name) is None:
            return
        if tokenizer is None or not self._draft.is_sound(*_SHAPE, *_LEARNABLE):
            found.run(lambda: read_held_out(name, config.eval_samples))
            return
        self._evaluation = found.run(lambda: held_out(config, name, tokenizer, self._day))

    def _feed(self, tokenizer: PreTrainedTokenizerBase, rows: Rows) -> None:
        config, found, draft = self._config, self._found, self._draft
        fed = found.run(lambda: self._count(tokenizer, rows))
        if fed is None:
            return
        if draft.is_sound(*_LEARNABLE):
            found.run(lambda: require_learnable(fed, config))
        if draft.is_sound(*_PACE):
            found.add(pace_faults(config, plan(config, fed.records)))
        self._fed = fed

    def _count(self, tokenizer: PreTrainedTokenizerBase, rows: Rows) -> Fed:
        recipe = Recipe.of(self._config, tokenizer, rows.columns, rows.kinds, self._day)
        self._seen = Seen(self._evaluation)
        watched = self._seen.watch(recipe, rows.rows)
        return count_fed(recipe, watched, rows.count, self._progress)

    def made(self) -> Checked:
        """What was found out, where nothing is wrong."""
        config, base, fed, held = self._config, self._base, self._fed, self._evaluation
        assert base is not None, "a base without faults"
        assert fed is not None, "records without faults"
        notes = [
            f"this base cannot become {DEFAULT_FORMAT}: {fault}"
            for fault in format_faults(DEFAULT_FORMAT, base.dir)
        ]
        notes += _position_notes(base, fed)
        made = plan(config, fed.records)
        notes += [*pace_notes(config, made), *kept_notes(config, made)]
        counted = held.counted if held else counted_of_training(config, fed.records)
        evaluated = [f"evaluated on {counted}"]
        if held is not None:
            evaluated += held.lines(fed, self._seen)
        return Checked(base, fed, tuple(evaluated), tuple(notes))


def _position_notes(base: BaseModel, fed: Fed) -> list[str]:
    """Whether records are longer than the base model was made for."""
    positions = load_json(base.dir / "config.json", MAX_CONFIG_BYTES).get(_POSITIONS)
    length = fed.recipe.max_length
    if type(positions) is not int or length <= positions:
        return []
    most = min(fed.longest, length)
    said = (
        f"max_length is {length}, and the base model is made for {positions} positions "
        f"({_POSITIONS}); the longest record has {fed.longest} tokens"
    )
    return [f"{said}: set max_length={positions}"] if most > positions else [said]


def fed_of(config: TrainConfig, recipe: Recipe, dataset: Records, progress: Progress) -> Fed:
    """Count what is fed of a committed dataset by a recipe.

    Raises:
        InputError: records that cannot be fed, or of which no batch may learn.
    """
    fed = count_fed(recipe, rows_of(dataset), len(dataset), progress)
    require_learnable(fed, config)
    return fed

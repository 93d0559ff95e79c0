"""Everything about data and base model that can be known before anything is spent.

`provenance plan` and `provenance train` run the same checks. All faults are gathered, so that a
user mends them at once and not one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provenance.progress import Progress
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.fed import (
    Fed,
    Records,
    count_fed,
    first_row,
    require_learnable,
    rows_of,
)
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.data.tokenizer import load_tokenizer
from provenance_trainer.model.base import BaseModel


@dataclass(frozen=True)
class Rows:
    """Records of a dataset, committed or not.

    rows: (where the record stands, the record), to be read once.
    """

    columns: tuple[str, ...]
    first: Mapping[str, Any]
    rows: Iterable[tuple[str, Mapping[str, Any]]]
    count: int

    @classmethod
    def of(cls, dataset: Records) -> Rows:
        """Those of a committed dataset.

        Raises:
            InputError: every record was erased.
        """
        return cls(tuple(dataset.columns), first_row(dataset), rows_of(dataset), len(dataset))


def fed_of(config: TrainConfig, base: BaseModel, dataset: Records, progress: Progress) -> Fed:
    """Count what is fed of a committed dataset.

    Raises:
        InputError: records that cannot be fed, or of which no batch may learn.
    """
    return count(config, load_tokenizer(base.dir), Rows.of(dataset), progress)


def count(config: TrainConfig, tokenizer: Any, rows: Rows, progress: Progress) -> Fed:
    """Count what is fed of records; raises as `fed_of`."""
    recipe = Recipe.of(config, tokenizer, rows.columns, rows.first)
    fed = count_fed(recipe, rows.rows, rows.count, progress)
    require_learnable(fed, config)
    return fed

"""Everything about data and base model that can be known before anything is spent.

`provenance plan` and `provenance train` run the same checks. All faults are gathered, so that a
user mends them at once and not one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provenance.errors import ConfigError, InputError, ProvenanceError
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


class Faults(ConfigError):
    """Several faults that were found before anything was spent, each on a line of its own."""

    def __init__(self, faults: Sequence[ProvenanceError]) -> None:
        super().__init__(f"{len(faults)} faults found, and nothing was spent")
        self.faults = tuple(faults)

    def __str__(self) -> str:
        lines = [f"  {number}. {fault}" for number, fault in enumerate(self.faults, 1)]
        return "\n".join([f"{self.what}:", *lines])

    def to_json(self) -> dict[str, Any]:
        """The errors' facts, as programs get them."""
        return {**super().to_json(), "faults": [fault.to_json() for fault in self.faults]}


@dataclass
class Findings:
    """What checks found, gathered."""

    faults: list[ProvenanceError] = field(default_factory=list)

    def run(self, check: Callable[[], Any]) -> Any:
        """What a check returns; None if it finds a fault, which is kept."""
        try:
            return check()
        except InputError as error:
            self.faults.append(error)
            return None

    def add(self, faults: Iterable[ProvenanceError]) -> None:
        """Keep faults that were found already."""
        self.faults.extend(faults)

    def require_none(self) -> None:
        """End the command if anything was found.

        Raises:
            Faults: several faults. ProvenanceError: the only one.
        """
        if len(self.faults) == 1:
            raise self.faults[0]
        if self.faults:
            raise Faults(self.faults)


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

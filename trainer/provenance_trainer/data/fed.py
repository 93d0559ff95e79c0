"""What a dataset comes to when it is fed: counted before anything is spent, and said in the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from provenance.errors import InputError, NotFound, ProvenanceError
from provenance.log.fed import FedFacts
from provenance.progress import Progress, silent
from provenance.text.shown import visible
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.recipe import Recipe

_STEP = 256
_COUNTS = (
    *("records", "tokens", "predicted", "longest", "cut", "lost", "unlearned"),
    *("special", "unended"),
)


class Records(Protocol):
    """The part of a committed dataset that feeding needs."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of all columns."""
        ...

    def row(self, index: int) -> dict[str, Any]:
        """Record `index`, column by column.

        Raises:
            NotFound: it was erased.
        """
        ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Fed:
    """What is fed of a dataset, in records and tokens.

    tokens: After the cut. predicted: those of them that are learned.
    longest: Tokens of the longest record, before the cut.
    cut: Records longer than `max_length`. lost: their tokens that are not fed.
    unlearned: Records without any token to predict.
    special: Records whose own words hold a special token. unended: those without an end token.
    example: One of these special tokens; None without.
    """

    recipe: Recipe
    records: int
    tokens: int
    predicted: int
    longest: int
    cut: int
    lost: int
    unlearned: int
    special: int
    unended: int
    example: str | None

    def to_json(self) -> dict[str, Any]:
        """The field `fed` of the record `run.open`."""
        return {**self.recipe.to_json(), **self.counts}

    @property
    def counts(self) -> dict[str, int]:
        """All numbers, by name."""
        return {name: getattr(self, name) for name in _COUNTS}

    def lines(self) -> list[str]:
        """For people: what is fed, how much of it, and what is not."""
        facts = FedFacts.read(self.to_json())
        lines = [
            str(facts),
            f"{facts.amounts}; the longest record has {self.longest} tokens",
        ]
        if self.recipe.shape.unused:
            lines.append(f"columns that are not fed: {', '.join(self.recipe.shape.unused)}")
        return [*lines, *(f"warning: {text}" for text in self.warnings())]

    def warnings(self) -> list[str]:
        """What is fed in a way that its owner may not expect."""
        said = []
        if self.special:
            said.append(
                f"{self.special} of {self.records} records hold special tokens in their own words, "
                f"such as {visible(str(self.example))}; they are fed as these tokens, not as text"
            )
        if self.unended:
            said.append(
                f"{self.unended} of {self.records} records end without an end token, so the model "
                "does not learn where to stop; name eos_token in the base's tokenizer_config.json"
            )
        return said


def count_fed(
    recipe: Recipe,
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    total: int,
    progress: Progress = silent,
) -> Fed:
    """Count what records come to.

    Args:
        rows: (where the record stands, the record). Attacker-controlled.
        total: How many there are.

    Raises:
        InputError: a record that is not of the dataset's shape, or of which the chat template
            leaves something out.
    """
    counts = dict.fromkeys(_COUNTS, 0)
    example = None
    for where, row in rows:
        if counts["records"] % _STEP == 0:
            progress("reading what is fed", counts["records"], total)
        try:
            word = _add(counts, recipe, row)
        except ProvenanceError as error:
            error.where = f"{where} {error.where}" if error.where else where
            raise
        example = example or word
    return Fed(recipe, **counts, example=example)


def _add(counts: dict[str, int], recipe: Recipe, row: Mapping[str, Any]) -> str | None:
    """Count a record; returns a special token that its words hold, None without."""
    recipe.require_written(row)
    whole = recipe.tokens(row)
    fed, size = whole.cut(recipe.max_length), len(whole.ids)
    if not size:
        raise InputError("record has no tokens", hint="remove it: there is nothing to feed")
    counts["records"] += 1
    counts["tokens"] += len(fed.ids)
    counts["predicted"] += fed.predicted
    counts["longest"] = max(counts["longest"], size)
    counts["cut"] += size > recipe.max_length
    counts["lost"] += size - len(fed.ids)
    counts["unlearned"] += not fed.predicted
    counts["unended"] += not whole.ended
    word = recipe.special_word(row)
    counts["special"] += word is not None
    return word


def rows_of(dataset: Records) -> Iterator[tuple[str, dict[str, Any]]]:
    """Records of a committed dataset that were not erased, each with its place."""
    for index in range(len(dataset)):
        try:
            yield f"record {index}", dataset.row(index)
        except NotFound:
            continue


def require_learnable(fed: Fed, config: TrainConfig) -> None:
    """Check that no batch can come to be without a token to predict.

    Raises:
        InputError: one can; `provenance.allow_empty` allows it.
    """
    if config.provenance.allow_empty or fed.unlearned < min(
        config.per_device_train_batch_size, fed.records
    ):
        return
    raise InputError(
        "a batch may have no token to predict",
        where="dataset_name",
        expected=f"fewer than {config.per_device_train_batch_size} such records",
        actual=f"{fed.unlearned} of {fed.records}",
        hint="raise max_length, remove these records, or give --allow-empty",
    )

"""From samples to the tensors that are fed.

The tensors depend only on the records and the encoder, so anybody who has both can compute them
again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.utils.data import Dataset

from provenance_trainer.data.fed import Records
from provenance_trainer.data.tokens import IGNORED_LABEL

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MODEL_COLUMNS = ("input_ids", "attention_mask", "labels", "position_ids", "token_type_ids")


class Row:
    """One sample, with the index of its record.

    This is no dict, because Trainer removes from a dict every key that is no argument of the
    model's forward.
    """

    __slots__ = ("features", "index")

    def __init__(self, index: int, features: Mapping[str, Any]) -> None:
        self.index, self.features = index, features


class Feeder(Protocol):
    """Makes the sample of a record; `provenance_trainer.data.recipe.Recipe` is one."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Whose tokens they are."""
        ...

    def sample(self, row: Mapping[str, Any]) -> dict[str, list[int]]:
        """`input_ids` and `labels`, equally long.

        Raises:
            InputError: a record that cannot be fed.
        """
        ...


def collate(samples: Sequence[Mapping[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Right-pad to the longest sample: input_ids, attention_mask, labels.

    All are int64 of shape `(batch, longest)`.
    """
    ids = [list(sample["input_ids"]) for sample in samples]
    labels = [list(sample["labels"]) for sample in samples]
    width = max(len(i) for i in ids)
    return {
        "input_ids": torch.tensor([i + [pad_id] * (width - len(i)) for i in ids]),
        "attention_mask": torch.tensor([[1] * len(i) + [0] * (width - len(i)) for i in ids]),
        "labels": torch.tensor([i + [IGNORED_LABEL] * (width - len(i)) for i in labels]),
    }


@dataclass(frozen=True)
class PaddingCollator:
    """`collate` as a callable that can be pickled, for the workers of a data loader."""

    pad_id: int

    def __call__(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """`collate` with this padding."""
        return collate(samples, self.pad_id)


def pad_id_of(tokenizer: PreTrainedTokenizerBase) -> int:
    """Id of the padding token, else of end-of-text, else 0; any will do, as padding is masked."""
    for value in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(value, int):
            return value
    return 0


def batch_tensors(rows: Sequence[Mapping[str, Any]], feeder: Feeder) -> dict[str, torch.Tensor]:
    """The tensors that a batch of these rows is fed as; its digest is made from them."""
    return collate([feeder.sample(row) for row in rows], pad_id_of(feeder.tokenizer))


class FedRows(Dataset[Row]):
    """A committed dataset as samples, made when they are asked for."""

    def __init__(
        self, source: Records, feeder: Feeder, indices: Sequence[int] | None = None
    ) -> None:
        """`indices`: the records to offer, in order; None for all."""
        self._source, self._feeder = source, feeder
        self._indices = range(len(source)) if indices is None else indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, item: int) -> Row:
        index = self._indices[item]
        return Row(index, self._feeder.sample(self._source.row(index)))


class CommittedRows(Dataset[Row]):
    """Wraps a map-style dataset whose item i is record i of the committed one, and adds i."""

    def __init__(self, dataset: Any, columns: Sequence[str] = MODEL_COLUMNS) -> None:
        """`columns`: columns that the inner collator gets. Trainer would drop the others too."""
        self._dataset, self._columns = dataset, tuple(columns)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, item: int) -> Row:
        sample = self._dataset[item]
        return Row(item, {k: v for k, v in sample.items() if k in self._columns})

"""From a dataset record to the tensors that are fed.

The tensors depend only on the records and the encoder, so anybody who has both can compute them
again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.utils.data import Dataset

from provenance.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED_LABEL = -100
MODEL_COLUMNS = ("input_ids", "attention_mask", "labels", "position_ids", "token_type_ids")


class Row:
    """One sample, with the index of its record.

    This is no dict, because Trainer removes from a dict every key that is no argument of the
    model's forward.
    """

    __slots__ = ("features", "index")

    def __init__(self, index: int, features: Mapping[str, Any]) -> None:
        self.index, self.features = index, features


class RecordSource(Protocol):
    """The part of a committed dataset that feeding needs."""

    @property
    def text_column(self) -> str | None:
        """Column that holds the text; None if the records have several columns."""
        ...

    def row(self, index: int) -> dict[str, Any]:
        """Record `index`, column by column."""
        ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Encoder:
    """Text -> token ids: those of the tokenizer and the end-of-text token, cut to a length.

    max_length: How many tokens are kept.
    field: Column that holds the text; None to take `messages`, `text`, or the first column.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    field: str | None = None

    def text(self, row: Mapping[str, Any]) -> str:
        """The text of a row: its `messages` through the chat template, or a text column.

        Raises:
            InputError: the column is missing or does not hold text.
        """
        if self.field is None and isinstance(row.get("messages"), list):
            return str(self.tokenizer.apply_chat_template(row["messages"], tokenize=False))
        first = "text" if "text" in row else next(iter(row), "")
        name = first if self.field is None else self.field
        value = row.get(name)
        if not isinstance(value, str):
            raise InputError(
                "record has no such text column",
                where="dataset_text_field",
                expected=", ".join(row)[:80],
                actual=name,
            )
        return value

    def ids(self, row: Mapping[str, Any]) -> list[int]:
        """At least one and at most `max_length` token ids."""
        # The text is cut first, so that not megabytes of it are tokenized for a few hundred tokens.
        # This cut is part of the definition: whoever recomputes a batch must make it too.
        ids = [int(i) for i in self.tokenizer(self.text(row)[: 64 * self.max_length])["input_ids"]]
        if self.tokenizer.eos_token_id is not None:
            ids.append(int(self.tokenizer.eos_token_id))
        return ids[: self.max_length]


def collate(samples: Sequence[Mapping[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Right-pad to the longest sample: input_ids, attention_mask, labels.

    All are int64 of shape `(batch, longest)`.
    """
    ids = [list(sample["input_ids"]) for sample in samples]
    width = max(len(i) for i in ids)
    return {
        "input_ids": torch.tensor([i + [pad_id] * (width - len(i)) for i in ids]),
        "attention_mask": torch.tensor([[1] * len(i) + [0] * (width - len(i)) for i in ids]),
        "labels": torch.tensor([i + [IGNORED_LABEL] * (width - len(i)) for i in ids]),
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


def batch_tensors(rows: Sequence[Mapping[str, Any]], encoder: Encoder) -> dict[str, torch.Tensor]:
    """The tensors that are fed for a batch of these rows. Its digest is made from them."""
    return collate([{"input_ids": encoder.ids(row)} for row in rows], pad_id_of(encoder.tokenizer))


class TextRows(Dataset[Row]):
    """A committed dataset as samples. Each is tokenized when it is asked for."""

    def __init__(
        self, source: RecordSource, encoder: Encoder, indices: Sequence[int] | None = None
    ) -> None:
        """`indices`: the records that become samples, in order; None for all."""
        self._source, self._encoder = source, encoder
        self._indices = range(len(source)) if indices is None else indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, item: int) -> Row:
        index = self._indices[item]
        return Row(index, {"input_ids": self._encoder.ids(self._source.row(index))})


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

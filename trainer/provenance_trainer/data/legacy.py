"""How records became tokens in runs whose `run.open` has version 1; recomputing them needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provenance.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CHARACTERS_PER_TOKEN = 64


@dataclass(frozen=True)
class FirstVersion:
    """Text -> ids as the tokenizer makes them, then the end-of-text token, then a cut.

    column: Column that holds the text; None to take `messages`, `text`, or the first column.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    column: str | None

    def sample(self, row: Mapping[str, Any]) -> dict[str, list[int]]:
        """`input_ids` and `labels`, which are the same."""
        text = self._text(row)[: _CHARACTERS_PER_TOKEN * self.max_length]
        ids = [int(i) for i in self.tokenizer(text)["input_ids"]]
        if self.tokenizer.eos_token_id is not None:
            ids.append(int(self.tokenizer.eos_token_id))
        ids = ids[: self.max_length]
        return {"input_ids": ids, "labels": ids}

    def _text(self, row: Mapping[str, Any]) -> str:
        if self.column is None and isinstance(row.get("messages"), list):
            return str(self.tokenizer.apply_chat_template(row["messages"], tokenize=False))
        first = "text" if "text" in row else next(iter(row), "")
        value = row.get(first if self.column is None else self.column)
        if not isinstance(value, str):
            raise InputError("record has no text", where=self.column, actual=type(value).__name__)
        return value

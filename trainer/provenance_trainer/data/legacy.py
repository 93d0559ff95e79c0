"""How records became tokens in earlier runs; recomputing their batches needs it.

`FirstVersion`: runs whose `run.open` has version 1. `FirstRules`: those whose field `fed` names no
rules. What both do is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from provenance.errors import InputError, VerificationError
from provenance.log.fed import FedFacts
from provenance_trainer.data.messages import Message, without_nulls
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.data.shapes import Shape, shape_said
from provenance_trainer.data.tokens import Framing

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


_FIRST_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "system": "system",
    "tool": "tool",
    "observation": "tool",
    "function": "tool",
}
# Fields of `fed` that the first rules do not have.
_LATER = frozenset({"rules", "special", "unended"})


class FirstRules(Recipe):
    """Any special token ends a record, and messages are written as they stand.

    The shape is the one that `run.open` says, since it was found from one record only.
    """

    @classmethod
    def shape_of(cls, fed: Mapping[str, Any], columns: Sequence[str]) -> Shape:
        """The shape that `run.open` says.

        Args:
            fed: The field. Attacker-controlled. columns: Those of the dataset.

        Raises:
            VerificationError: not in the right form, or the dataset has no such columns.
        """
        try:
            facts = FedFacts.read(fed)
            return shape_said(facts.shape, facts.columns, columns)
        except InputError as error:
            raise VerificationError(
                error.what, where="run.open fed", actual=error.actual
            ) from error

    @cached_property
    def framing(self) -> Framing:
        """The tokenizer's begin and end."""
        return _FirstFraming(self.tokenizer)

    @property
    def uses_template(self) -> bool:
        """Whether any record of this shape might have gone through the chat template."""
        return self.shape.name != "text" and bool(self.tokenizer.chat_template)

    def require_written(self, row: Mapping[str, Any]) -> None:
        """Nothing: it was checked when the run was opened, by the rules of then."""

    def _messages(self, row: Mapping[str, Any], column: str) -> list[Message]:
        value = row.get(column)
        if not isinstance(value, list) or not value:
            raise InputError("not a list of messages", where=column, actual=type(value).__name__)
        return [_first_message(item, f"{column}[{i}]") for i, item in enumerate(value)]

    def to_json(self) -> dict[str, Any]:
        """What the log says of it."""
        return first_form(super().to_json())


def first_form(fed: Mapping[str, Any]) -> dict[str, Any]:
    """The field `fed` as the first rules have it."""
    return {name: value for name, value in fed.items() if name not in _LATER}


class _FirstFraming(Framing):
    def is_ended(self, ids: Sequence[int], *, closed: bool) -> bool:
        del closed
        for token in reversed(ids):
            if token in self.specials:
                return True
            if str(self.tokenizer.decode([token])).strip():
                return False
        return False


def _first_message(item: Any, where: str) -> Message:
    """A message with `role` and `content`, and whatever else it has.

    Raises:
        InputError: it has no role and no speaker that was known then.
    """
    if not isinstance(item, dict):
        raise InputError("not a message", where=where)
    kept: Message = {k: v for k, v in item.items() if v is not None}
    if "from" in kept and "role" not in kept:
        kept["role"] = _FIRST_ROLES.get(str(kept.pop("from")))
    if "value" in kept and "content" not in kept:
        kept["content"] = kept.pop("value")
    if not isinstance(kept.get("role"), str):
        raise InputError("message does not say who speaks", where=where)
    if "tool_calls" in kept:
        kept["tool_calls"] = [without_nulls(call) for call in kept["tool_calls"]]
    kept.setdefault("content", "")
    return kept

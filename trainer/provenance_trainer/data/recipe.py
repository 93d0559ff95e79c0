"""From a dataset record to the tokens that are fed, and what of it is said in the run's log.

Pure functions of record, configuration and tokenizer: whoever holds these makes the same tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from provenance.errors import ConfigError, InputError, ProvenanceError
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.messages import (
    ChatTemplate,
    Message,
    left_out,
    read_messages,
    read_tools,
)
from provenance_trainer.data.shapes import TOOLS, Shape, shape_of
from provenance_trainer.data.tokens import Framing, Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ANSWER = "### Response:\n"


@dataclass(frozen=True)
class Recipe:
    """How records become tokens.

    max_length: Tokens that are left of a record.
    completion_only: Loss on the completion only. assistant_only: on the assistant's words only.
    """

    tokenizer: PreTrainedTokenizerBase
    shape: Shape
    max_length: int
    completion_only: bool
    assistant_only: bool

    @classmethod
    def of(
        cls,
        config: TrainConfig,
        tokenizer: PreTrainedTokenizerBase,
        columns: Sequence[str],
        row: Mapping[str, Any],
    ) -> Recipe:
        """The recipe for a dataset.

        Args:
            columns: All columns. row: One record. Both are attacker-controlled.

        Raises:
            ConfigError: ambiguous, or the configuration asks for what records or template lack.
            InputError: records of no known shape.
        """
        shape = shape_of(config, columns, row)
        wanted = config.completion_only_loss
        completion = shape.has_completion and (wanted is None or wanted)
        recipe = cls(tokenizer, shape, config.max_length, completion, config.assistant_only_loss)
        if recipe.speaks(row):
            recipe.template.require()
        if recipe.assistant_only and not recipe.template.marks_assistant:
            raise ConfigError(
                "chat template does not say which words are the assistant's",
                where="assistant_only_loss",
                expected="{% generation %} in the template",
                hint="use prompt and completion columns, or a base whose template marks them",
            )
        return recipe

    @cached_property
    def template(self) -> ChatTemplate:
        """The tokenizer's chat template."""
        return ChatTemplate(self.tokenizer)

    @cached_property
    def framing(self) -> Framing:
        """The tokenizer's begin and end."""
        return Framing(self.tokenizer)

    def speaks(self, row: Mapping[str, Any]) -> bool:
        """Whether a record goes through the chat template."""
        if self.shape.name == "prompt_completion":
            return isinstance(row.get(self.shape.columns[0]), list)
        if self.shape.name == "instruction":
            return bool(self.tokenizer.chat_template)
        return self.shape.may_have_roles

    def tokens(self, row: Mapping[str, Any]) -> Tokens:
        """The tokens of a record, before they are cut.

        Args:
            row: Attacker-controlled.

        Raises:
            InputError: a record that is not of the dataset's shape.
        """
        if self.shape.has_completion:
            return self._pair(row)
        if self.shape.may_have_roles:
            return self._conversation(row)
        ids = self.framing.ids_of(_text(row, self.shape.columns[0]))
        return self.framing.frame(ids, [True] * len(ids))

    def sample(self, row: Mapping[str, Any]) -> dict[str, list[int]]:
        """`input_ids` and `labels` as they are fed, at most `max_length` each.

        Raises:
            InputError: as `tokens`.
        """
        fed = self.tokens(row).cut(self.max_length)
        return {"input_ids": list(fed.ids), "labels": fed.labels}

    def left_out(self, row: Mapping[str, Any]) -> str | None:
        """What the chat template leaves out of a record, by place; None if nothing."""
        if not self.speaks(row):
            return None
        if self.shape.may_have_roles:
            messages = self._messages(row)
        else:
            prompt, completion = self._turns(row)
            messages = [*prompt, *completion]
        tools = self._tools(row)
        return left_out(self.template.render(messages, tools), messages, tools)

    def _messages(self, row: Mapping[str, Any]) -> list[Message]:
        column = self.shape.columns[0]
        return read_messages(row.get(column), column)

    def _tools(self, row: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        return read_tools(row.get(TOOLS), TOOLS) if TOOLS in self.shape.columns else None

    def _conversation(self, row: Mapping[str, Any]) -> Tokens:
        messages, tools = self._messages(row), self._tools(row)
        if self.assistant_only:
            ids, marks = self.template.tokens(messages, tools)
            return self.framing.frame(ids, [mark == 1 for mark in marks])
        ids = self.framing.ids_of(self.template.render(messages, tools))
        return self.framing.frame(ids, [True] * len(ids))

    def _pair(self, row: Mapping[str, Any]) -> Tokens:
        if self.speaks(row):
            (prompt, completion), tools = self._turns(row), self._tools(row)
            asked = self.template.render(prompt, tools, prompt=True)
            whole = self.template.render([*prompt, *completion], tools)
        else:
            asked, answer = self._texts(row)
            whole = asked + answer
        ids, before = self.framing.ids_of(whole), self.framing.ids_of(asked)
        # Tokens that hold the completion's first letters and the prompt's last are learned.
        common = 0
        while common < min(len(ids), len(before)) and ids[common] == before[common]:
            common += 1
        asked_tokens = common if self.completion_only else 0
        return self.framing.frame(ids, [False] * asked_tokens + [True] * (len(ids) - asked_tokens))

    def _turns(self, row: Mapping[str, Any]) -> tuple[list[Message], list[Message]]:
        """Prompt and completion as messages."""
        if self.shape.name == "instruction":
            question, answer = self._texts(row)
            return (
                [{"role": "user", "content": question}],
                [{"role": "assistant", "content": answer}],
            )
        first, second = self.shape.columns[:2]
        return read_messages(row.get(first), first), read_messages(row.get(second), second)

    def _texts(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """Prompt and completion as texts."""
        first, second = self.shape.columns[:2]
        asked, answer = _text(row, first), _text(row, second)
        if self.shape.name != "instruction":
            return asked, answer
        about = row.get("input") if "input" in self.shape.columns else None
        if about is not None and not isinstance(about, str):
            raise _no_text("input", about)
        if self.speaks(row):
            return (f"{asked}\n\n{about}" if about else asked), answer
        parts = [f"### Instruction:\n{asked}\n\n"]
        if about:
            parts.append(f"### Input:\n{about}\n\n")
        return "".join([*parts, _ANSWER]), answer

    def to_json(self) -> dict[str, Any]:
        """What the log says of it. Template and tokens are those of the base model's tokenizer."""
        template = self.template.digest if self.uses_template else None
        return {
            "shape": self.shape.name,
            "columns": list(self.shape.columns),
            "unused": list(self.shape.unused),
            "loss": self.loss,
            "max_length": self.max_length,
            "begin": _known(self.framing.begin),
            "end": _known(self.framing.end),
            "chat_template": "none" if template is None else str(template),
        }

    @property
    def uses_template(self) -> bool:
        """Whether any record of this shape may go through the chat template."""
        return self.shape.name != "text" and bool(self.tokenizer.chat_template)

    @property
    def loss(self) -> str:
        """The tokens that are learned: `all`, `completion` or `assistant`."""
        if self.assistant_only:
            return "assistant"
        return "completion" if self.completion_only else "all"


def _known(token: int | None) -> str:
    return "none" if token is None else str(token)


def _text(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str):
        raise _no_text(column, value)
    return value


def _no_text(column: str, value: Any) -> ProvenanceError:
    return InputError(
        "column holds no text", where=column, expected="a string", actual=type(value).__name__
    )

"""From a dataset record to the tokens that are fed, and what of it is said in the run's log.

Pure functions of record, configuration and tokenizer: whoever holds these makes the same tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from provenance.errors import ConfigError, InputError, ProvenanceError
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.kinds import Kinds
from provenance_trainer.data.left_out import left_out
from provenance_trainer.data.messages import Message, Tools, read_messages, read_tools
from provenance_trainer.data.shapes import INPUT, TOOLS, Shape, shape_of
from provenance_trainer.data.template import ChatTemplate
from provenance_trainer.data.tokens import Framing, SpecialWords, Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

RULES = 2
"""The rules by which records become tokens here; `provenance_trainer.data.legacy` has the first."""
_ANSWER = "### Response:\n"


@dataclass(frozen=True)
class Recipe:
    """How records become tokens.

    max_length: Tokens that are left of a record.
    completion_only: Loss on the completion only. assistant_only: on the assistant's words only.
    day: What the chat template's clock says; None for the real one.
    """

    tokenizer: PreTrainedTokenizerBase
    shape: Shape
    max_length: int
    completion_only: bool
    assistant_only: bool
    day: str | None = None

    @classmethod
    def of(
        cls,
        config: TrainConfig,
        tokenizer: PreTrainedTokenizerBase,
        columns: Sequence[str],
        kinds: Kinds,
        day: str | None = None,
    ) -> Self:
        """The recipe for a dataset.

        Args:
            columns: All columns. kinds: What they hold. Both are attacker-controlled.
            day: Of the run's opening, as `today` has it; None for runs whose opening says none.

        Raises:
            ConfigError: ambiguous, or the configuration asks for what records or template lack.
            InputError: records of no known shape.
        """
        recipe = cls.for_shape(config, tokenizer, shape_of(config, columns, kinds))
        recipe = replace(recipe, day=day)
        if recipe.uses_template or recipe.shape.holds_messages:
            recipe.template.require()
        if recipe.assistant_only and not recipe.template.marks_assistant:
            raise ConfigError(
                "chat template does not say which words are the assistant's",
                where="assistant_only_loss",
                expected="{% generation %} in the template",
                hint="use prompt and completion columns, or a base whose template marks them",
            )
        return recipe

    @classmethod
    def for_shape(
        cls, config: TrainConfig, tokenizer: PreTrainedTokenizerBase, shape: Shape
    ) -> Self:
        """The recipe for records of a shape that is known."""
        wanted = config.completion_only_loss
        completion = shape.has_completion and (wanted is None or wanted)
        return cls(tokenizer, shape, config.max_length, completion, config.assistant_only_loss)

    @cached_property
    def template(self) -> ChatTemplate:
        """The tokenizer's chat template."""
        return ChatTemplate(self.tokenizer, self.day)

    @cached_property
    def framing(self) -> Framing:
        """The tokenizer's begin and end."""
        return Framing(self.tokenizer)

    @cached_property
    def special_words(self) -> SpecialWords:
        """The tokenizer's special tokens, as records may write them."""
        return SpecialWords(self.tokenizer)

    def speaks(self, row: Mapping[str, Any]) -> bool:
        """Whether a record goes through the chat template."""
        if self.shape.name == "prompt_completion":
            return isinstance(row.get(self.shape.columns[0]), list)
        return self.uses_template

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
        return self.framing.frame(ids, [True] * len(ids), closed=False)

    def sample(self, row: Mapping[str, Any]) -> dict[str, list[int]]:
        """`input_ids` and `labels` as they are fed, at most `max_length` each.

        Raises:
            InputError: as `tokens`.
        """
        fed = self.tokens(row).cut(self.max_length)
        return {"input_ids": list(fed.ids), "labels": fed.labels}

    def require_written(self, row: Mapping[str, Any]) -> None:
        """Check that the chat template leaves nothing of a record out.

        Raises:
            InputError: it does, by place; or it is not of the dataset's shape.
        """
        if not self.speaks(row):
            return
        if missing := left_out(self.template, self._all_messages(row), self._tools(row)):
            hint = "take a base model whose template writes it, or take it out of the record"
            if missing.startswith("function_call"):
                hint = "write the call as tool_calls"
            raise InputError(f"chat template leaves out {missing}", hint=hint)

    def special_word(self, row: Mapping[str, Any]) -> str | None:
        """The first special token that the record's own words hold; None without any."""
        return self.special_words.first([row.get(column) for column in self.shape.columns])

    def _all_messages(self, row: Mapping[str, Any]) -> list[Message]:
        if self.shape.may_have_roles:
            return self._messages(row, self.shape.columns[0])
        prompt, completion = self._turns(row)
        return [*prompt, *completion]

    def _messages(self, row: Mapping[str, Any], column: str) -> list[Message]:
        return read_messages(row.get(column), column)

    def _tools(self, row: Mapping[str, Any]) -> Tools:
        return read_tools(row.get(TOOLS), TOOLS) if TOOLS in self.shape.columns else None

    def _conversation(self, row: Mapping[str, Any]) -> Tokens:
        messages, tools = self._all_messages(row), self._tools(row)
        text = self.template.render(messages, tools)
        if self.assistant_only:
            ids, marks = self.template.tokens(messages, tools)
        else:
            ids = self.framing.ids_of(text)
            marks = [1] * len(ids)
        closed = self.template.closes(text, messages)
        return self.framing.frame(ids, [mark == 1 for mark in marks], closed=closed)

    def _pair(self, row: Mapping[str, Any]) -> Tokens:
        closed = False
        if self.speaks(row):
            (prompt, completion), tools = self._turns(row), self._tools(row)
            asked = self.template.render(prompt, tools, prompt=True)
            whole = self.template.render([*prompt, *completion], tools)
            closed = self.template.closes(whole, completion)
        else:
            asked, answer = self._texts(row)
            whole = asked + answer
        ids, before = self.framing.ids_of(whole), self.framing.ids_of(asked)
        # Tokens that hold the completion's first letters and the prompt's last are learned.
        common = 0
        while common < min(len(ids), len(before)) and ids[common] == before[common]:
            common += 1
        asked_tokens = common if self.completion_only else 0
        learned = [False] * asked_tokens + [True] * (len(ids) - asked_tokens)
        return self.framing.frame(ids, learned, closed=closed)

    def _turns(self, row: Mapping[str, Any]) -> tuple[list[Message], list[Message]]:
        """Prompt and completion as messages."""
        if self.shape.name == "instruction":
            question, answer = self._texts(row)
            return (
                [{"role": "user", "content": question}],
                [{"role": "assistant", "content": answer}],
            )
        first, second = self.shape.columns[:2]
        return self._messages(row, first), self._messages(row, second)

    def _texts(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """Prompt and completion as texts."""
        if self.shape.name != "instruction":
            first, second = self.shape.columns[:2]
            return _text(row, first), _text(row, second)
        asked, answer = _text(row, "instruction"), _text(row, "output")
        about = row.get(INPUT) if INPUT in self.shape.columns else None
        if about is not None and not isinstance(about, str):
            raise _no_text(INPUT, about)
        if self.speaks(row):
            return (f"{asked}\n\n{about}" if about else asked), answer
        parts = [f"### Instruction:\n{asked}\n\n"]
        if about:
            parts.append(f"### Input:\n{about}\n\n")
        return "".join([*parts, _ANSWER]), answer

    def to_json(self) -> dict[str, Any]:
        """What the log says of it. Template and tokens are those of the base model's tokenizer."""
        template = self.template.digest if self.uses_template else None
        clocked = self.uses_template and self.template.reads_clock
        day = {"day": self.day} if clocked and self.day is not None else {}
        return {
            "rules": RULES,
            "shape": self.shape.name,
            "columns": list(self.shape.columns),
            "unused": list(self.shape.unused),
            "loss": self.loss,
            "max_length": self.max_length,
            "begin": _known(self.framing.begin),
            "end": _known(self.framing.end),
            "chat_template": "none" if template is None else str(template),
            **day,
        }

    @property
    def uses_template(self) -> bool:
        """Whether the records of this shape go through the chat template."""
        if self.shape.name == "instruction":
            return bool(self.tokenizer.chat_template)
        return self.shape.holds_messages

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

"""The chat template of a base model: the text that it writes of messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from provenance.digest import Digest, sha256
from provenance.encoding import canonical_json
from provenance.errors import ConfigError, InputError
from provenance_trainer.data.bounds import MAX_LETTERS, bounded
from provenance_trainer.data.clock import CLOCK, clock_at
from provenance_trainer.data.messages import Message, Tools

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_RANDOM = re.compile(r"\|\s*random\b|\blipsum\s*\(")


@dataclass(frozen=True)
class ChatTemplate:
    """The chat template of a tokenizer (attacker-controlled).

    day: What its clock says, as `2026-01-31`; None for the real one, as runs had it whose opening
        says no day.
    """

    tokenizer: PreTrainedTokenizerBase
    day: str | None = None

    def require(self) -> None:
        """Check that there is one, and that it always writes the same.

        Raises:
            ConfigError: there is none, or it draws at random.
        """
        if not self.tokenizer.chat_template:
            raise ConfigError(
                "records are messages, and the base model has no chat template",
                where="model_name_or_path",
                expected="chat_template in its tokenizer",
                hint="take the instruction-tuned model, or records of text",
            )
        if drawn := _RANDOM.search(self._source):
            raise ConfigError(
                "chat template draws at random, so nobody can make its text again",
                where="model_name_or_path",
                actual=drawn[0],
                hint="take that out of the template, or take another base model",
            )

    @property
    def reads_clock(self) -> bool:
        """Whether it may write the day, which is then that of the run's opening."""
        return CLOCK in self._source

    @property
    def marks_assistant(self) -> bool:
        """Whether it says which words are the assistant's (`{% generation %}`)."""
        return "endgeneration" in self._source

    @property
    def digest(self) -> Digest | None:
        """SHA-256 of the template's text (of several: of their canonical JSON); None without."""
        return sha256(self._source.encode()) if self._source else None

    @property
    def _source(self) -> str:
        template = self.tokenizer.chat_template or ""
        return template if isinstance(template, str) else canonical_json(template).decode()

    def render(
        self,
        messages: Sequence[Message],
        tools: Tools,
        *,
        prompt: bool = False,
    ) -> str:
        """The text of messages; with `prompt`, it ends where the assistant is to speak.

        Raises:
            InputError: the template refuses these messages, with its reason.
        """
        text = str(self._apply(messages, tools, tokenize=False, add_generation_prompt=prompt))
        if len(text) > MAX_LETTERS:
            raise InputError(
                "chat template cannot write these messages",
                expected=f"at most {MAX_LETTERS} letters",
                actual=len(text),
            )
        return text

    def tokens(self, messages: Sequence[Message], tools: Tools) -> tuple[list[int], list[int]]:
        """Token ids of messages, and for each token 1 if it is the assistant's, else 0.

        Raises:
            InputError: the template refuses these messages, with its reason.
        """
        done = self._apply(
            messages, tools, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        return list(map(int, done["input_ids"])), list(map(int, done["assistant_masks"]))

    def closes(self, text: str, messages: Sequence[Message]) -> bool:
        """Whether the last words of its `text` are the template's own, not those of a message.

        White space at the end does not count.
        """
        last = messages[-1]["content"]
        said = last.rstrip() if isinstance(last, str) else ""
        return not (said and text.rstrip().endswith(said))

    def _apply(
        self,
        messages: Sequence[Message],
        tools: Tools,
        **options: Any,
    ) -> Any:
        given: Any = None if tools is None else list(tools)

        def apply() -> Any:
            _require_short(self.tokenizer.get_chat_template(tools=given))
            with clock_at(self.day):
                return self.tokenizer.apply_chat_template(list(messages), tools=given, **options)

        try:
            return bounded(apply)
        except Exception as error:  # whatever a foreign program may raise
            raise InputError(
                "chat template cannot write these messages",
                actual=(str(error) or type(error).__name__)[:200],
            ) from error


@lru_cache(maxsize=16)
def _require_short(source: str) -> None:
    """Refuse powers: one of them computes for hours, and no other thread runs meanwhile.

    Products are no such danger: they grow step by step, and time is looked at between steps.
    """
    # Here and not above: whoever lacks the trainer's packages is told which extra brings them.
    import jinja2.nodes
    from transformers.utils import chat_template_utils

    # An environment without this template: compiling it would compute what is constant in it.
    compiled: Any = chat_template_utils._compile_jinja_template("")
    tree = compiled.environment.parse(source)
    filters = {found.name for found in tree.find_all(jinja2.nodes.Filter)}
    if tree.find(jinja2.nodes.Pow) or "round" in filters:
        raise ValueError("powers (`**`) and the filter `round` are not computed in templates")

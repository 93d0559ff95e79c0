"""The chat template of a base model: the text that it writes of messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provenance.digest import Digest, sha256
from provenance.encoding import canonical_json
from provenance.errors import ConfigError, InputError
from provenance_trainer.data.messages import Message, Tools

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class ChatTemplate:
    """The chat template of a tokenizer."""

    tokenizer: PreTrainedTokenizerBase

    def require(self) -> None:
        """Check that there is one.

        Raises:
            ConfigError: there is none.
        """
        if not self.tokenizer.chat_template:
            raise ConfigError(
                "records are messages, and the base model has no chat template",
                where="model_name_or_path",
                expected="chat_template in its tokenizer",
                hint="take the instruction-tuned model, or records of text",
            )

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
        return str(self._apply(messages, tools, tokenize=False, add_generation_prompt=prompt))

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
        # Here and not above: whoever lacks the trainer's packages is told which extra brings them.
        import jinja2

        given: Any = None if tools is None else list(tools)
        try:
            return self.tokenizer.apply_chat_template(list(messages), tools=given, **options)
        except (jinja2.TemplateError, TypeError, KeyError, ValueError, AttributeError) as error:
            raise InputError(
                "chat template cannot write these messages", actual=str(error)[:200]
            ) from error

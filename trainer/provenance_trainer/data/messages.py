"""Messages: reading the forms in which people write them, and the chat template's text of them.

Nothing that a record says is left out in silence: a template that does not write a message's words,
a tool call or the tools is found by comparing its text with the record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provenance.digest import Digest, sha256
from provenance.encoding import canonical_json
from provenance.errors import ConfigError, InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = dict[str, Any]

# Who speaks, by the names of ShareGPT and of what came after it.
_ROLES = {
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
_THOUGHT_END = "</think>"


def read_messages(value: Any, where: str) -> list[Message]:
    """A list of messages in the form that chat templates take: `role`, `content`, and the rest.

    ShareGPT's `from` and `value` become `role` and `content`. Keys without a value are left out. A
    tool call may have no content, which becomes the empty text.

    Args:
        value: Attacker-controlled. where: The column, for messages.

    Raises:
        InputError: no list of messages, an unknown speaker, or a message that says nothing.
    """
    if not isinstance(value, list) or not value:
        raise InputError(
            "not a list of messages", where=where, expected="a list", actual=_type_of(value)
        )
    return [_message(item, f"{where}[{i}]") for i, item in enumerate(value)]


def _type_of(value: Any) -> str:
    return "an empty list" if value == [] else type(value).__name__


def _message(item: Any, where: str) -> Message:
    if not isinstance(item, dict):
        raise InputError(
            "not a message", where=where, expected="role and content", actual=_type_of(item)
        )
    kept: Message = {k: v for k, v in item.items() if v is not None}
    if "from" in kept and "role" not in kept:
        kept["role"] = _role(kept.pop("from"), where)
    if "value" in kept and "content" not in kept:
        kept["content"] = kept.pop("value")
    if not isinstance(kept.get("role"), str):
        raise InputError(
            "message does not say who speaks",
            where=where,
            expected="role",
            actual=", ".join(map(str, item))[:80],
        )
    if "tool_calls" in kept:
        kept["tool_calls"] = [_without_nulls(call) for call in _calls(kept["tool_calls"], where)]
    if "content" not in kept:
        if not kept.get("tool_calls"):
            raise InputError("message says nothing", where=where, expected="content or tool_calls")
        kept["content"] = ""
    if not isinstance(kept["content"], str | list):
        raise InputError(
            "content of a message is not text",
            where=where,
            expected="a string",
            actual=_type_of(kept["content"]),
        )
    return kept


def _role(name: Any, where: str) -> str:
    role = _ROLES.get(name) if isinstance(name, str) else None
    if role is None:
        raise InputError(
            "unknown speaker", where=where, expected=", ".join(_ROLES), actual=str(name)[:40]
        )
    return role


def _calls(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(call, dict) for call in value):
        raise InputError("tool_calls is not a list of calls", where=where, actual=_type_of(value))
    return value


def _without_nulls(value: Any) -> Any:
    """Parquet gives every object of a column all keys; those it had not are null."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(v) for v in value]
    return value


def read_tools(value: Any, where: str) -> list[dict[str, Any]] | None:
    """The tools that a record offers: a list of schemas, or JSON text of one; None without any.

    Raises:
        InputError: something else.
    """
    if value is None or value == "" or value == []:
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InputError("tools are not JSON", where=where, actual=error) from error
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise InputError(
            "tools are not a list of schemas",
            where=where,
            expected="a list",
            actual=_type_of(value),
        )
    schemas: list[dict[str, Any]] = _without_nulls(value)
    return schemas


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
        tools: Sequence[Mapping[str, Any]] | None,
        *,
        prompt: bool = False,
    ) -> str:
        """The text of messages; with `prompt`, it ends where the assistant is to speak.

        Raises:
            InputError: the template refuses these messages, with its reason.
        """
        return str(self._apply(messages, tools, tokenize=False, add_generation_prompt=prompt))

    def tokens(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None
    ) -> tuple[list[int], list[int]]:
        """Token ids of messages, and for each token 1 if it is the assistant's, else 0.

        Raises:
            InputError: the template refuses these messages, with its reason.
        """
        done = self._apply(
            messages, tools, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        return list(map(int, done["input_ids"])), list(map(int, done["assistant_masks"]))

    def _apply(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None,
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


def left_out(
    text: str, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None
) -> str | None:
    """The first thing that messages say and `text` does not, by place; None if nothing is missing.

    Reasoning before `</think>` does not count: templates drop it from earlier turns on purpose.
    """
    for i, message in enumerate(messages):
        if any(not _is_said(words, text) for words in _words(message["content"])):
            return f"the words of message {i} ({message['role']})"
        if any(name not in text for name in _names(message.get("tool_calls") or ())):
            return f"the tool calls of message {i} ({message['role']})"
    if any(name not in text for name in _names(tools or ())):
        return "the tools"
    return None


def _words(content: str | list[Any]) -> Iterator[str]:
    parts = content if isinstance(content, list) else [content]
    for part in parts:
        said = part.get("text", "") if isinstance(part, dict) else str(part)
        yield said.rpartition(_THOUGHT_END)[2].strip()


def _is_said(words: str, text: str) -> bool:
    """Whether the text has these words, as they are or as JSON (templates write results so)."""
    forms = (words, json.dumps(words)[1:-1], json.dumps(words, ensure_ascii=False)[1:-1])
    return any(form in text for form in forms)


def _names(calls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for call in calls:
        function = call.get("function", call)
        name = function.get("name") if isinstance(function, Mapping) else None
        if isinstance(name, str):
            yield name

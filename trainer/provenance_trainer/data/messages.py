"""Messages: reading the forms in which people write them.

What a message says is kept or refused, never dropped: whether the chat template then writes it is
found out by `provenance_trainer.data.left_out`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from provenance.errors import InputError
from provenance.faults import did_you_mean

Message = dict[str, Any]
Tools = Sequence[Mapping[str, Any]] | None

# Who speaks, by the names of ShareGPT and of what came after it. Capitals do not matter.
_OTHER_NAMES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "observation": "tool",
}
# The names that chat templates know. `function` is a tool by its older name.
_ROLES = ("system", "developer", "user", "assistant", "tool", "function", "ipython")
_NAMES = (*_ROLES, *_OTHER_NAMES)
_CALL = "write the call as tool_calls of the assistant"


def read_messages(value: Any, where: str) -> list[Message]:
    """A list of messages in the form that chat templates take: `role`, `content`, and the rest.

    ShareGPT's `from` and `value` become `role` and `content`. Keys without a value are left out. A
    tool call may have no content, which becomes the empty text. Several parts of text become one,
    with a line feed between them.

    Args:
        value: Attacker-controlled. where: The column, for messages.

    Raises:
        InputError: no list of messages, an unknown speaker, a message that says nothing or one
            thing twice, content that is not text, or a turn that is marked not to be learned.
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
    kept: Message = {k: without_nulls(v) for k, v in item.items() if v is not None}
    kept |= {key: _role(kept[key], where) for key in ("role", "from") if key in kept}
    if kept.get("from") == "function":
        kept["from"] = "tool"  # its name in ShareGPT
    _rename(kept, "from", "role", where)
    _rename(kept, "value", "content", where)
    if "role" not in kept:
        raise InputError(
            "message does not say who speaks",
            where=where,
            expected="role",
            actual=", ".join(map(str, item))[:80],
        )
    _require_weight(kept.pop("weight", 1), where)
    if "tool_calls" in kept:
        _require_calls(kept["tool_calls"], where)
    if "content" not in kept:
        if not kept.get("tool_calls") and not kept.get("function_call"):
            raise InputError("message says nothing", where=where, expected="content or tool_calls")
        kept["content"] = ""
    kept["content"] = _content(kept["content"], where)
    return kept


def _rename(message: Message, theirs: str, ours: str, where: str) -> None:
    """Move a value to the name that chat templates know; the same said twice is said once."""
    if theirs not in message:
        return
    value = message.pop(theirs)
    if message.setdefault(ours, value) != value:
        raise InputError(
            f"message has both {ours} and {theirs}",
            where=where,
            actual=f"{message[ours]!r:.60} and {value!r:.60}",
            hint="leave one of them out: only one can be fed",
        )


def _role(name: Any, where: str) -> str:
    plain = name.strip().lower() if isinstance(name, str) else ""
    role = _OTHER_NAMES.get(plain, plain)
    if role not in _ROLES:
        raise InputError(
            "unknown speaker",
            where=where,
            expected=", ".join(_NAMES),
            actual=str(name)[:40],
            hint=_CALL if plain == "function_call" else did_you_mean(plain, _NAMES),
        )
    return role


def _require_weight(weight: Any, where: str) -> None:
    """Refuse OpenAI's mark for turns that are not to be learned."""
    if weight != 1 or isinstance(weight, bool):
        raise InputError(
            "message is marked not to be learned, and its turn would be",
            where=f"{where} weight",
            expected="1, or no weight",
            actual=f"{weight!r:.40}",
            hint="take columns prompt and completion, whose prompt is not learned, or remove it",
        )


def _content(value: Any, where: str) -> str:
    if isinstance(value, list):
        return "\n".join(_part(part, f"{where} content[{i}]") for i, part in enumerate(value))
    if not isinstance(value, str):
        raise InputError(
            "content of a message is not text",
            where=where,
            expected="a string, or a list of parts of text",
            actual=_type_of(value),
        )
    return value


def _part(part: Any, where: str) -> str:
    if isinstance(part, str):
        return part
    said = part if isinstance(part, dict) else {}
    if set(said) == {"type", "text"} and said["type"] == "text" and isinstance(said["text"], str):
        return said["text"]
    kind = said.get("type", _type_of(part))
    raise InputError(
        "part of a message is not text",
        where=where,
        expected="type text, and text",
        actual=f"{kind!s:.40}" if set(said) <= {"type"} else f"{', '.join(map(str, said))!s:.80}",
        hint="only text can be fed: remove the part, or the record",
    )


def _require_calls(value: Any, where: str) -> None:
    if not isinstance(value, list) or not all(isinstance(call, dict) for call in value):
        raise InputError("tool_calls is not a list of calls", where=where, actual=_type_of(value))


def without_nulls(value: Any) -> Any:
    """Parquet gives every object of a column all keys; those it had not are null."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(v) for v in value]
    return value


def read_tools(value: Any, where: str) -> Tools:
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
    schemas: list[dict[str, Any]] = without_nulls(value)
    return schemas

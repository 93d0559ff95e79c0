"""What a chat template leaves out of a record.

Three ways of looking, since none alone sees everything:

- Words of messages are searched in the template's text, each after those of the message before.
- Calls and tools are written once more with their names and values exchanged for words that occur
  nowhere else: what the template writes of them is then plain to see.
- Of any other key of a message the text must change when it is taken away.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provenance.encoding import parse_json
from provenance.errors import InputError
from provenance_trainer.data.messages import Message, Tools
from provenance_trainer.data.template import ChatTemplate

_THOUGHT_END = "</think>"
# Keys that are looked at by themselves, or that only say which call a result belongs to.
_KNOWN = frozenset({"role", "content", "tool_calls", "tool_call_id"})
_THOUGHTS = frozenset({"reasoning_content", "reasoning", "thinking"})
# Templates write these before all messages, or into a later one.
_PLACED_FREELY = frozenset({"system", "developer"})
_RESULTS = frozenset({"tool", "function", "ipython"})
_MARK = 739_000_000  # no number of a call has this many digits by chance


def left_out(template: ChatTemplate, messages: Sequence[Message], tools: Tools) -> str | None:
    """The first thing that a record says and its text does not, by place; None if nothing is.

    Reasoning of earlier turns does not count, nor does what stands before `</think>`: templates
    drop it on purpose.

    Args:
        messages, tools: Attacker-controlled.

    Raises:
        InputError: the template refuses these messages.
    """
    record = _Record(template, messages, tools, template.render(messages, tools))
    return _missing_words(record) or _missing_of_calls(record) or _missing_key(record)


@dataclass(frozen=True)
class _Record:
    """What a record says, and the template's text of it."""

    template: ChatTemplate
    messages: Sequence[Message]
    tools: Tools
    text: str

    def place(self, i: int) -> str:
        return f"message {i} ({self.messages[i]['role']})"

    def until(self, i: int) -> _Record:
        """The record as it was when message `i` was the last."""
        shown = self.messages[: i + 1]
        return _Record(self.template, shown, self.tools, self.template.render(shown, self.tools))

    def writes(self, i: int, key: str) -> bool:
        """Whether the text is another one without this key of a message."""
        changed = [*self.messages]
        changed[i] = {name: value for name, value in changed[i].items() if name != key}
        try:
            return self.template.render(changed, self.tools) != self.text
        except InputError:  # it needs the key, so it looks at it
            return True


def _missing_words(record: _Record) -> str | None:
    text, at = record.text, 0
    said = [m["content"].rpartition(_THOUGHT_END)[2].strip() for m in record.messages]
    for i, words in enumerate(said):
        if record.messages[i]["role"] in _PLACED_FREELY:
            others = sum(other.count(words) for j, other in enumerate(said) if j != i)
            is_said = not words or max(map(text.count, _forms(words))) > others
        else:
            end = _end_of(words, text, at)
            is_said, at = end is not None, end or at
        if not is_said:
            return f"the words of {record.place(i)}"
    return None


def _forms(words: str) -> tuple[str, ...]:
    """The words as they are and as JSON, since templates write results so."""
    return words, json.dumps(words)[1:-1], json.dumps(words, ensure_ascii=False)[1:-1]


def _end_of(words: str, text: str, start: int) -> int | None:
    """Where the words end that come first after `start`; None without them."""
    found = [(at, at + len(form)) for form in _forms(words) if (at := text.find(form, start)) >= 0]
    return min(found)[1] if found else None


class _Marks:
    """Exchanges names and values of calls for words that occur nowhere else.

    made: for each mark what it stands for in words, and the value in whose place it stands.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(_MARK)
        self.made: dict[str, tuple[str, str]] = {}

    def of(self, value: Any, what: str) -> Any:
        """A value like this one, with a mark for each key, text and number within.

        true and false are kept: their key has a mark.
        """
        if isinstance(value, Mapping):
            return {self.of(key, what): self.of(item, what) for key, item in value.items()}
        if isinstance(value, list):
            return [self.of(item, what) for item in value]
        if isinstance(value, bool) or value is None or value == "":
            return value
        number = next(self._numbers)
        self.made[str(number)] = (what, str(value))
        if isinstance(value, str):
            return f"m{number}m"
        return number + 0.5 if isinstance(value, float) else number

    def arguments(self, value: Any, what: str) -> Any:
        """Arguments of a call: an object, or JSON text of one."""
        if not isinstance(value, str):
            return self.of(value, what)
        try:
            parsed = parse_json(value.encode("utf-8"))
        except ValueError:
            return self.of(value, what)
        return json.dumps(self.of(parsed, what))


def _missing_of_calls(record: _Record) -> str | None:
    """The first call or tool of which something is missing."""
    marks = _Marks()
    changed = [
        {**message, "tool_calls": [_call(call, marks, record.place(i)) for call in calls]}
        if (calls := message.get("tool_calls"))
        else message
        for i, message in enumerate(record.messages)
    ]
    tools = None if record.tools is None else [_tool(tool, marks) for tool in record.tools]
    if not marks.made:
        return None
    try:
        text = record.template.render(changed, tools)
    except InputError:  # it takes certain names or values only: look for those that there are
        for what, value in marks.made.values():
            if not any(form in record.text for form in _forms(value)):
                return what
        return None
    return next((what for mark, (what, _) in marks.made.items() if mark not in text), None)


def _call(call: Mapping[str, Any], marks: _Marks, place: str) -> dict[str, Any]:
    function = call.get("function", call)
    if not isinstance(function, Mapping):
        return dict(call)
    changed = dict(function)
    if isinstance(changed.get("name"), str):
        changed["name"] = marks.of(changed["name"], f"the tool calls of {place}")
    if "arguments" in changed:
        what = f"arguments of the tool calls of {place}"
        changed["arguments"] = marks.arguments(changed["arguments"], what)
    return {**call, "function": changed} if "function" in call else changed


def _tool(tool: Mapping[str, Any], marks: _Marks) -> dict[str, Any]:
    function = tool.get("function", tool)
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        return dict(tool)
    changed = {**function, "name": marks.of(function["name"], "the tools")}
    return {**tool, "function": changed} if "function" in tool else changed


def _missing_key(record: _Record) -> str | None:
    """The first other key of a message that the template does not write."""
    calls = [call for message in record.messages for call in message.get("tool_calls") or ()]
    called = [_name(call) for call in calls]
    for i, message in enumerate(record.messages):
        for key in sorted(message.keys() - _KNOWN):
            value = message[key]
            is_empty = value in ("", [], {})
            if is_empty or (key == "name" and message["role"] in _RESULTS and value in called):
                continue
            shown = record.until(i) if key in _THOUGHTS else record
            if not shown.writes(i, key):
                return f"{key} of {record.place(i)}"
    return None


def _name(call: Mapping[str, Any]) -> Any:
    function = call.get("function", call)
    return function.get("name") if isinstance(function, Mapping) else None

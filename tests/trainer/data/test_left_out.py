"""Nothing that a message says is dropped in silence: it is fed, or the record is refused."""

from __future__ import annotations

from typing import Any

import pytest

from provenance.errors import InputError
from tests.trainer.data.test_recipe import ASK, CALL, TELL, TOOLS, fed, recipe_of
from tests.trainer.made_tokenizers import CHAT, FULL_CHAT, make_tokenizer


def left_out(row: dict[str, Any], template: str = CHAT) -> str | None:
    """What the error says is left out; None if the record is accepted."""
    try:
        recipe_of(row, make_tokenizer(template=template)).require_written(row)
    except InputError as error:
        return error.what.removeprefix("chat template leaves out ")
    return None


def test_what_a_template_leaves_out_is_named() -> None:
    assert left_out({"messages": [ASK, CALL]}) == "the tool calls of message 1 (assistant)"
    assert left_out({"messages": [ASK, TELL], "tools": TOOLS}) == "the tools"
    silent = "{% for m in messages if m.role != 'system' %}<turn>{{ m.content }}{% endfor %}"
    system = {"role": "system", "content": "be brief"}
    assert left_out({"messages": [system, ASK]}, silent) == "the words of message 0 (system)"
    assert left_out({"messages": [system, ASK]}) is None
    thought = {"role": "assistant", "content": "<think>hm</think>\n\nyes"}
    brief = "{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}"
    assert left_out({"messages": [ASK, thought]}, brief) is None


def test_a_turn_whose_words_occur_elsewhere_is_missed() -> None:
    first = "<turn>{{ messages[0]['content'] }}"
    asked = {"role": "user", "content": "abc abc"}
    row = {"messages": [asked, {"role": "assistant", "content": "abc"}]}
    assert left_out(row, first) == "the words of message 1 (assistant)"
    assert left_out(row) is None
    again = {"messages": [asked, {"role": "assistant", "content": "abc"}, asked]}
    users = "{% for m in messages if m.role == 'user' %}<turn>{{ m.content }}{% endfor %}"
    assert left_out(again, users) is not None
    system = {"role": "system", "content": "stopped"}
    silent = "{% for m in messages if m.role != 'system' %}<turn>{{ m.content }}{% endfor %}"
    assert left_out({"messages": [system, ASK]}, silent) == "the words of message 0 (system)"


def test_a_template_may_put_the_system_message_into_the_last_turn() -> None:
    late = (
        "{% for m in messages if m.role != 'system' %}<turn>"
        "{% if loop.last %}{{ messages[0].content }} {% endif %}{{ m.content }}{% endfor %}"
    )
    system = {"role": "system", "content": "be brief"}
    assert left_out({"messages": [system, ASK, TELL, ASK]}, late) is None


def calls(**arguments: Any) -> list[dict[str, Any]]:
    function = {"name": "stop_pump", "arguments": arguments}
    return [ASK, {"role": "assistant", "tool_calls": [{"type": "function", "function": function}]}]


NAME_ONLY = (
    "{% for m in messages %}<turn>{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ c.function.name }}{% endfor %}{% endfor %}"
)
FLAT = NAME_ONLY.replace("name }}", "name }}{{ c.function.arguments.values() | list | first }}")


def test_arguments_of_calls_are_written_whole() -> None:
    missing = "arguments of the tool calls of message 1 (assistant)"
    assert left_out({"messages": calls(town="stopped")}, NAME_ONLY) == missing
    assert left_out({"messages": calls(n=4)}, NAME_ONLY) == missing
    assert left_out({"messages": calls(a={"n": 1.5, "of": ["x", 2]}, ok=True)}, FULL_CHAT) is None
    assert left_out({"messages": calls(town="a", other="b")}, FLAT) == missing
    text = [ASK, {"role": "assistant", "tool_calls": [{"name": "stop", "arguments": '{"n": 4}'}]}]
    flat = NAME_ONLY.replace("c.function.name", "c | tojson")
    assert left_out({"messages": text}, flat) is None
    assert left_out({"messages": text}, flat.replace("c | tojson", "c.name")) == missing
    assert left_out({"messages": calls()}, NAME_ONLY) is None


def test_tools_are_not_taken_for_written_since_a_call_names_them() -> None:
    row = {"messages": [ASK, CALL], "tools": TOOLS}
    silent = FULL_CHAT.replace("{% if tools %}", "{% if false %}")
    assert left_out(row, FULL_CHAT) is None
    assert left_out(row, silent) == "the tools"


def test_a_template_that_takes_certain_names_only_is_searched_for_them() -> None:
    picky = NAME_ONLY.replace(
        "{{ c.function.name }}",
        "{{ c.function.name if c.function.name == 'stop_pump' else raise_exception('who?') }}",
    )
    missing = "arguments of the tool calls of message 1 (assistant)"
    assert left_out({"messages": calls(town="here")}, picky) == missing
    assert left_out({"messages": calls()}, picky) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("function_call", {"name": "stop_pump", "arguments": "{}"}),
        ("reasoning_content", "a long thought"),
        ("name", "Alice"),
        ("train", False),
        ("refusal", "no"),
        ("audio", {"id": "7"}),
    ],
)
def test_a_key_that_the_template_does_not_write_is_named(key: str, value: Any) -> None:
    message = {"role": "assistant", "content": "yes", key: value}
    row = {"messages": [ASK, message]}
    assert left_out(row) == f"{key} of message 1 (assistant)"
    writes = "{% for m in messages %}{{ m.content }}{{ m." + key + " }}{% endfor %}"
    assert left_out(row, writes) is None
    for nothing in (None, "", [], {}):
        assert left_out({"messages": [ASK, {**message, key: nothing}]}) is None


def test_reasoning_of_earlier_turns_may_be_dropped_on_purpose() -> None:
    last = (
        "{% for m in messages %}<turn>{% if loop.last %}{{ m.reasoning_content }}{% endif %}"
        "{{ m.content }}{% endfor %}"
    )
    thought = {**TELL, "reasoning_content": "hm"}
    assert left_out({"messages": [ASK, thought, ASK, TELL]}, last) is None
    never = last.replace("m.reasoning_content", "''")
    assert left_out({"messages": [ASK, thought, ASK, TELL]}, never) is not None


def test_the_name_of_a_result_is_that_of_its_call() -> None:
    result = {"role": "tool", "tool_call_id": "1", "content": "done"}
    row = {"messages": [ASK, CALL, {**result, "name": "stop_pump"}]}
    assert left_out(row, FULL_CHAT) is None
    row = {"messages": [ASK, CALL, {**result, "name": "another"}]}
    assert left_out(row, FULL_CHAT) == "name of message 2 (tool)"


def test_parts_of_text_are_joined_and_others_refused() -> None:
    parts = [{"type": "text", "text": "was it"}, {"type": "text", "text": "stopped?", "url": None}]
    tokenizer = make_tokenizer(template=FULL_CHAT)
    joined = {"role": "user", "content": "was it\nstopped?"}
    row = {"messages": [{"role": "user", "content": parts}, TELL]}
    assert fed(row, tokenizer) == fed({"messages": [joined, TELL]}, tokenizer)
    for part in (
        {"type": "image", "url": "x.png"},
        {"type": "image"},
        {"type": "text"},
        {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
        {"text": "x"},
        5,
    ):
        with pytest.raises(InputError, match="part of a message is not text") as caught:
            fed({"messages": [{"role": "user", "content": [*parts, part]}, TELL]}, tokenizer)
        assert caught.value.where == "messages[0] content[2]"


@pytest.mark.parametrize("weight", [0, 0.5, True, "1"])
def test_a_turn_that_is_not_to_be_learned_is_refused(weight: Any) -> None:
    tokenizer = make_tokenizer(template=FULL_CHAT)
    with pytest.raises(InputError, match="marked not to be learned"):
        fed({"messages": [ASK, {**TELL, "weight": weight}]}, tokenizer)
    for same in ({"weight": 1}, {"weight": None}):
        whole = fed({"messages": [ASK, {**TELL, **same}]}, tokenizer)
        assert whole == fed({"messages": [ASK, TELL]}, tokenizer)


def test_a_message_says_one_thing() -> None:
    tokenizer = make_tokenizer(template=FULL_CHAT)
    with pytest.raises(InputError, match="both content and value"):
        fed({"messages": [{**ASK, "value": "other words"}, TELL]}, tokenizer)
    with pytest.raises(InputError, match="both role and from"):
        fed({"messages": [{**ASK, "from": "gpt"}, TELL]}, tokenizer)
    twice = {**ASK, "value": ASK["content"], "from": "human"}
    assert fed({"messages": [twice, TELL]}, tokenizer) == fed({"messages": [ASK, TELL]}, tokenizer)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("usr", "did you mean user?"),
        ("asistant", "did you mean assistant?"),
        ("Humman", "did you mean human?"),
        ("function_call", "write the call as tool_calls of the assistant"),
        ("zzzz", None),
        (5, None),
    ],
)
@pytest.mark.parametrize("keys", [("role", "content"), ("from", "value")])
def test_an_unknown_speaker_is_refused(name: Any, hint: str | None, keys: tuple[str, str]) -> None:
    row = {"messages": [{keys[0]: name, keys[1]: "x"}, TELL]}
    with pytest.raises(InputError, match="unknown speaker") as caught:
        fed(row, make_tokenizer(template=FULL_CHAT))
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("names", "role"),
    [
        (("Human", "USER", "user"), "user"),
        (("GPT", "ChatGPT", "Assistant", "model"), "assistant"),
        (("observation", "Tool", "function"), "tool"),
        (("System",), "system"),
        (("developer",), "developer"),
    ],
)
def test_speakers_have_names_in_any_capitals(names: tuple[str, ...], role: str) -> None:
    tokenizer = make_tokenizer(template=CHAT)
    for name in names:
        row = {"conversations": [{"from": name, "value": "x"}]}
        assert fed(row, tokenizer)[0] == f"<turn>{role}:x</s>"


def test_a_call_in_its_older_form_may_have_no_content() -> None:
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    row = {"messages": [ASK, call]}
    recipe = recipe_of(row, make_tokenizer(template=CHAT))
    with pytest.raises(InputError) as caught:
        recipe.require_written(row)
    assert caught.value.hint == "write the call as tool_calls"

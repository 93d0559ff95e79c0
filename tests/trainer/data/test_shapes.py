"""Which shape a dataset has, judged over all of its records; what is ambiguous is refused."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from provenance.errors import ConfigError, InputError
from provenance_trainer.data.kinds import Kinds
from provenance_trainer.data.shapes import Shape, shape_of, shape_said
from tests.trainer.data.test_recipe import ASK, TELL, config, fed
from tests.trainer.made_tokenizers import CHAT, make_tokenizer


def shape(*rows: dict[str, Any], **changes: Any) -> Shape:
    """The shape of a dataset of these records."""
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    places = [(f"line {i}", row) for i, row in enumerate(rows, 1)]
    return shape_of(config(**changes), columns, Kinds.of(places))


@pytest.mark.parametrize(
    ("row", "choices"),
    [
        (
            {"prompt": "p", "chosen": [ASK], "rejected": [ASK]},
            "dataset_text_field=prompt or dataset_text_field=chosen or dataset_text_field=rejected",
        ),
        ({"title": "a", "body": "b"}, "dataset_text_field=title or dataset_text_field=body"),
        ({"text": "a", "messages": [ASK]}, "dataset_shape=messages or dataset_text_field=text"),
        (
            {"instruction": "a", "output": "b", "text": "c"},
            "dataset_shape=instruction or dataset_text_field=text",
        ),
    ],
)
def test_an_ambiguous_dataset_is_refused_with_the_choices(
    row: dict[str, Any], choices: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        fed(row, make_tokenizer(template=CHAT))
    assert caught.value.hint == f"choose: {choices}"
    for choice in choices.split(" or "):
        name, _, value = choice.partition("=")
        fed(row, make_tokenizer(template=CHAT), **{name: value})


def test_one_record_does_not_speak_for_the_others() -> None:
    rows = [
        {"title": None, "body": "only body here"},
        {"title": "A title", "body": "b two"},
        {"title": None, "body": "c"},
    ]
    for order in permutations(rows):
        with pytest.raises(ConfigError, match="several columns of text") as caught:
            shape(*order)
        assert "dataset_text_field=body" in str(caught.value.hint)
        assert "dataset_text_field=title" in str(caught.value.hint)
    assert shape(rows[0], rows[2]).columns == ("body",)  # null says nothing
    assert shape(*rows, dataset_text_field="body").unused == ("title",)


@pytest.mark.parametrize(
    "beside",
    [["a", "b"], [["a"]], {"text": ["a"], "start": [1]}, [{"type": "x"}]],
)
def test_text_beside_what_holds_words_is_refused_with_the_choice(beside: Any) -> None:
    rows = [{"question": "q", "answers": None}, {"question": "q", "answers": beside}]
    for order in (rows, rows[::-1]):
        with pytest.raises(ConfigError, match="text beside lists or objects") as caught:
            shape(*order)
        assert caught.value.hint == "choose: dataset_text_field=question"
    assert shape(*rows, dataset_text_field="question").unused == ("answers",)


@pytest.mark.parametrize("beside", [1, 2.5, True, None, [], {}, [0.5, 1], {"n": [1, 2]}])
def test_numbers_beside_text_are_no_words(beside: Any) -> None:
    assert shape({"question": "q", "more": beside}).columns == ("question",)


def test_prompts_are_text_in_all_records_or_messages_in_all() -> None:
    text = {"prompt": "p", "completion": "c"}
    turns = {"prompt": [ASK], "completion": [TELL]}
    for order in ([text, turns], [turns, text]):
        with pytest.raises(InputError, match="same kind of value") as caught:
            shape(*order)
        assert caught.value.where == "prompt"
        assert "text in line" in str(caught.value.actual)
        assert "a list in line" in str(caught.value.actual)
    assert shape(turns, turns).holds_messages
    assert not shape(text, text).holds_messages


def test_tools_beside_prompts_of_text_are_not_said_to_be_fed() -> None:
    tools = {"tools": [{"name": "stop_pump"}]}
    assert shape({"prompt": "p", "completion": "c"} | tools).unused == ("tools",)
    talk = {"prompt": [ASK], "completion": [TELL]} | tools
    assert shape(talk).columns == ("prompt", "completion", "tools")


def test_columns_are_told_in_the_order_in_which_they_are_fed() -> None:
    rows = {"output": "o", "input": "i", "instruction": "a", "id": 1}
    assert shape(rows).columns == ("instruction", "input", "output")
    assert shape({"completion": "c", "prompt": "p"}).columns == ("prompt", "completion")


def test_a_chosen_column_of_lists_is_messages_whatever_the_first_record_has() -> None:
    rows = [{"chat": None}, {"chat": [ASK]}]
    assert shape(*rows, dataset_text_field="chat").name == "messages"
    rows = [{"chat": []}, {"chat": [{"from": "human", "value": "x"}]}]
    assert shape(*rows, dataset_text_field="chat").name == "conversations"


def test_a_shape_that_was_said_must_be_one_of_the_dataset() -> None:
    columns = ("text", "instruction", "input", "output", "chat", "tools")
    assert shape_said("text", ["chat"], columns).columns == ("chat",)
    assert shape_said("messages", ["chat", "tools"], columns).holds_messages
    # As the first rules told them.
    told = ["instruction", "output", "input"]
    assert shape_said("instruction", told, columns).columns == tuple(told)
    for name, fed_columns in (
        ("text", ["body"]),
        ("text", ["text", "chat"]),
        ("messages", ["chat", "input"]),
        ("instruction", ["instruction", "output"]),
        ("prompt_completion", ["prompt", "completion"]),
        ("poem", ["text"]),
    ):
        with pytest.raises(InputError, match="no such columns"):
            shape_said(name, fed_columns, columns)


@pytest.mark.parametrize(
    ("row", "renamed"),
    [
        ({"prompt ": "a", "completion": "b"}, "'prompt ' to prompt"),
        ({"Prompt": "a", "Completion": "b"}, "'Prompt' to prompt, 'Completion' to completion"),
        ({"Instruction": "a", "Output": "b", "id": 1}, "'Instruction' to instruction, 'Output'"),
        ({"Prompt": [ASK], "Completion": [TELL]}, "'Prompt' to prompt"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_names_that_differ_in_capitals_or_blanks_are_told(
    row: dict[str, Any], renamed: str
) -> None:
    with pytest.raises(ConfigError, match="almost the names of the shape") as caught:
        shape(row)
    assert renamed in str(caught.value.hint)
    text = next(name for name in row)
    assert shape(row, dataset_text_field=text).columns == (text,)

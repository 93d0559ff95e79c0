"""What is fed of each shape of record, and what of it is learned."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provenance.errors import ConfigError, InputError
from provenance_trainer.config import TrainConfig
from provenance_trainer.data.kinds import Kinds
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.data.tokens import IGNORED_LABEL
from provenance_trainer.draft import parse_config
from tests.trainer.made_tokenizers import CHAT, FULL_CHAT, make_tokenizer

ASK = {"role": "user", "content": "was it stopped?"}
TELL = {"role": "assistant", "content": "yes, at four"}


def config(**changes: Any) -> TrainConfig:
    return parse_config({"dataset_name": "d", "output_dir": "o", "max_length": 512, **changes})


def recipe_of(row: dict[str, Any], tokenizer: Any, **changes: Any) -> Recipe:
    """The recipe for a dataset of one record."""
    return Recipe.of(config(**changes), tokenizer, tuple(row), Kinds.of([("record 0", row)]))


def fed(row: dict[str, Any], tokenizer: Any, **changes: Any) -> tuple[str, str]:
    """(the text that is fed, the part of it that is learned), special tokens included."""
    sample = recipe_of(row, tokenizer, **changes).sample(row)
    assert len(sample["input_ids"]) == len(sample["labels"])
    pairs = list(zip(sample["input_ids"], sample["labels"], strict=True))
    assert all(label in (token, IGNORED_LABEL) for token, label in pairs)
    learned = [label for _, label in pairs[1:] if label != IGNORED_LABEL]
    return tokenizer.decode(sample["input_ids"]), tokenizer.decode(learned)


@pytest.mark.parametrize("adds_bos", [False, True])
def test_a_text_has_one_begin_and_one_end(adds_bos: bool) -> None:
    begin = "<s>" if adds_bos else ""
    tokenizer = make_tokenizer(adds_bos=adds_bos)
    for written in ("the line", "<s>the line", "the line</s>", "<s><s>the line</s>"):
        text, _ = fed({"text": written}, tokenizer)
        kept = written.removeprefix("<s>").removeprefix("<s>") if adds_bos else written
        assert text == begin + kept.removesuffix("</s>") + "</s>"
    assert fed({"text": "the line"}, make_tokenizer(eos=False))[0] == "the line"


def test_only_the_end_token_ends_a_text() -> None:
    """A record's own words may end in any other special token; so may those of a message."""
    tokenizer = make_tokenizer(template=CHAT)
    assert fed({"text": "the line<turn>"}, tokenizer)[0] == "the line<turn></s>"
    assert fed({"text": "the line</s>\n"}, tokenizer)[0] == "the line</s>\n"
    assert fed({"prompt": "a", "completion": "b<end>"}, tokenizer) == ("ab<end></s>", "b<end></s>")
    row = {"messages": [ASK, {"role": "assistant", "content": "yes <end>"}]}
    assert fed(row, tokenizer)[0].endswith("yes <end></s>")
    assert fed(row, make_tokenizer(template=FULL_CHAT))[0].endswith("yes <end><end>\n")


def test_a_begin_token_within_the_words_stays_there() -> None:
    tokenizer = make_tokenizer(adds_bos=True)
    assert fed({"text": "the <s>line"}, tokenizer)[0] == "<s>the <s>line</s>"


def test_a_template_that_writes_begin_and_end_gets_no_second() -> None:
    row = {"messages": [ASK, TELL]}
    text = "<turn>user:was it stopped?<end>\n<turn>assistant:yes, at four<end>\n"
    for adds_bos in (False, True):
        tokenizer = make_tokenizer(adds_bos=adds_bos, template=FULL_CHAT)
        assert fed(row, tokenizer)[0] == "<s>" + text
    # This one writes neither: the tokenizer's own are added, once.
    tokenizer = make_tokenizer(adds_bos=True, template=CHAT)
    assert fed(row, tokenizer)[0] == "<s><turn>user:was it stopped?<turn>assistant:yes, at four</s>"


@pytest.mark.parametrize("more", [{"id": 7}, {"label": "x"}, {"score": 0.5, "url": "u"}])
def test_text_is_fed_and_other_columns_are_named(more: dict[str, Any]) -> None:
    row = {"text": "the pump", **more}
    assert fed(row, make_tokenizer())[0] == "the pump</s>"
    recipe = recipe_of(row, make_tokenizer())
    assert recipe.to_json()["unused"] == list(more)


def test_prompt_and_completion_are_fed_and_the_completion_is_learned() -> None:
    row = {"completion": " it was cleaned", "prompt": "the pump:"}
    tokenizer = make_tokenizer(adds_bos=True)
    assert fed(row, tokenizer) == ("<s>the pump: it was cleaned</s>", " it was cleaned</s>")
    whole = fed(row, tokenizer, completion_only_loss=False)
    assert whole == ("<s>the pump: it was cleaned</s>", "the pump: it was cleaned</s>")


def test_a_token_across_prompt_and_completion_is_learned() -> None:
    """`the` is one token: of a completion `e` after a prompt `th` something must be learned."""
    tokenizer = make_tokenizer()
    assert len(tokenizer("the")["input_ids"]) == 1
    assert fed({"prompt": "was th", "completion": "e"}, tokenizer) == ("was the</s>", "the</s>")


def test_messages_as_prompt_and_completion() -> None:
    row = {"prompt": [ASK], "completion": [TELL]}
    text, learned = fed(row, make_tokenizer(adds_bos=True, template=FULL_CHAT))
    assert text == "<s><turn>user:was it stopped?<end>\n<turn>assistant:yes, at four<end>\n"
    assert learned == "yes, at four<end>\n"


def test_alpaca_rows_are_fed_whole_and_the_output_is_learned() -> None:
    row = {"input": "line four", "instruction": "name the line", "output": "it is four"}
    text, learned = fed(row, make_tokenizer())
    assert text == (
        "### Instruction:\nname the line\n\n### Input:\nline four\n\n### Response:\nit is four</s>"
    )
    assert learned == "it is four</s>"
    empty, _ = fed(row | {"input": ""}, make_tokenizer())
    assert empty == "### Instruction:\nname the line\n\n### Response:\nit is four</s>"
    assert fed(row | {"input": None}, make_tokenizer())[0] == empty
    text, learned = fed(row, make_tokenizer(template=FULL_CHAT))
    assert "user:name the line\n\nline four<end>" in text
    assert learned == "it is four<end>\n"


def test_sharegpt_is_messages_by_other_names() -> None:
    theirs = [
        {"from": "system", "value": "be brief"},
        {"from": "human", "value": ASK["content"]},
        {"from": "gpt", "value": TELL["content"]},
    ]
    ours = [{"role": "system", "content": "be brief"}, ASK, TELL]
    tokenizer = make_tokenizer(template=FULL_CHAT)
    assert fed({"conversations": theirs}, tokenizer) == fed({"messages": ours}, tokenizer)
    assert fed({"chat": theirs, "note": "x"}, tokenizer, dataset_text_field="chat") == fed(
        {"messages": ours}, tokenizer
    )


def test_loss_on_the_assistants_words() -> None:
    row = {"messages": [ASK, TELL, ASK, TELL]}
    _, learned = fed(row, make_tokenizer(template=FULL_CHAT), assistant_only_loss=True)
    assert learned == "yes, at four<end>yes, at four<end>"
    with pytest.raises(ConfigError, match="assistant's"):
        fed(row, make_tokenizer(template=CHAT), assistant_only_loss=True)
    with pytest.raises(ConfigError, match="who speaks"):
        fed({"text": "x"}, make_tokenizer(), assistant_only_loss=True)
    with pytest.raises(ConfigError, match="no completion"):
        fed({"text": "x"}, make_tokenizer(), completion_only_loss=True)


CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"type": "function", "function": {"name": "stop_pump", "arguments": {"n": 4}}}],
}
TOOLS = [{"type": "function", "function": {"name": "stop_pump", "parameters": {}}}]


def test_tool_calls_without_content_and_tools_are_written() -> None:
    row = {"messages": [ASK, CALL, {"role": "tool", "content": "done"}, TELL], "tools": TOOLS}
    text, _ = fed(row, make_tokenizer(template=FULL_CHAT))
    assert text.count("stop_pump") == 2
    assert "None" not in text
    assert "null" not in text
    assert fed(row | {"tools": json.dumps(TOOLS)}, make_tokenizer(template=FULL_CHAT))[0] == text


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"input_ids": [1, 2]}, "tokenized already"),
        ({"n": 5, "x": [1]}, "no shape"),
        ({"messages": []}, "not a list of messages"),
        ({"messages": "hello"}, "not a list of messages"),
        ({"messages": [{"role": "user"}]}, "says nothing"),
        ({"messages": [{"content": "x"}]}, "who speaks"),
        ({"messages": [{"role": "user", "content": 5}]}, "not text"),
        ({"messages": ["hello"]}, "not a message"),
        ({"conversations": [{"from": "martian", "value": "x"}]}, "unknown speaker"),
        ({"messages": [ASK], "tools": "{"}, "tools are not JSON"),
        ({"messages": [ASK], "tools": "[1]"}, "not a list of schemas"),
        ({"prompt": "a", "completion": None}, "holds no text"),
        ({"instruction": "a", "output": "b", "input": 5}, "holds no text"),
        ({"text": None}, "holds no text"),
    ],
)
def test_a_record_of_no_shape_is_refused(row: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        fed(row, make_tokenizer(template=FULL_CHAT))


def test_a_template_that_refuses_says_why() -> None:
    template = "{% if messages|length > 1 %}{{ raise_exception('one at a time') }}{% endif %}x"
    with pytest.raises(InputError, match="cannot write") as caught:
        fed({"messages": [ASK, TELL]}, make_tokenizer(template=template))
    assert caught.value.actual == "one at a time"


def test_messages_need_a_template() -> None:
    with pytest.raises(ConfigError, match="no chat template"):
        fed({"messages": [ASK]}, make_tokenizer())
    with pytest.raises(ConfigError, match="no such column"):
        fed({"text": "x"}, make_tokenizer(), dataset_text_field="body")
    with pytest.raises(ConfigError, match="not of the shape"):
        fed({"text": "x"}, make_tokenizer(), dataset_shape="messages")

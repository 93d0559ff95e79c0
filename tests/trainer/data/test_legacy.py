"""Runs that were opened by the first rules are fed as they were then."""

from __future__ import annotations

from typing import Any

import pytest

from provenance.errors import InputError, VerificationError
from provenance_trainer.data.legacy import FirstRules, first_form
from provenance_trainer.data.recipe import RULES
from tests.support.plain import FED, FIRST_FED
from tests.trainer.data.test_recipe import TELL, config, fed, recipe_of
from tests.trainer.made_tokenizers import CHAT, FULL_CHAT, make_tokenizer


def first(row: dict[str, Any], said: dict[str, Any], template: str | None = None) -> FirstRules:
    """The recipe of a run whose opening record says this."""
    shape = FirstRules.shape_of(FIRST_FED | said, tuple(row))
    return FirstRules.for_shape(config(), make_tokenizer(template=template), shape)


def text_of(row: dict[str, Any], said: dict[str, Any], template: str | None = None) -> str:
    recipe = first(row, said, template)
    recipe.require_written(row)
    return str(recipe.tokenizer.decode(recipe.sample(row)["input_ids"]))


def test_any_special_token_ended_a_text() -> None:
    row = {"text": "the line<turn>"}
    assert text_of(row, {}) == "the line<turn>"
    assert fed(row, make_tokenizer())[0] == "the line<turn></s>"
    pair = {"prompt": "a", "completion": "b<end>"}
    said = {"shape": "prompt_completion", "columns": ["prompt", "completion"]}
    assert text_of(pair, said) == "ab<end>"


def test_messages_were_written_as_they_stand() -> None:
    said = {"shape": "messages", "columns": ["messages"]}
    odd = {"role": "usr", "content": "x", "name": "Alice", "weight": 0, "value": "y"}
    row = {"messages": [odd, TELL]}
    assert text_of(row, said, CHAT) == "<turn>usr:x<turn>assistant:yes, at four</s>"
    for wrong in ([], "x", ["x"], [{"content": "x"}], [{"from": "martian", "value": "x"}]):
        with pytest.raises(InputError):
            text_of({"messages": wrong}, said, CHAT)


def test_the_shape_is_the_one_that_was_said() -> None:
    row = {"title": "a", "body": "b"}
    assert text_of(row, {"columns": ["body"]}) == "b</s>"
    asked = {"instruction": "a", "input": "i", "output": "b"}
    said = {"shape": "instruction", "columns": ["instruction", "output", "input"]}
    assert text_of(asked, said) == fed(asked, make_tokenizer())[0]
    for wrong in ({"columns": ["text"]}, {"shape": "poem"}, {"shape": "instruction"}):
        with pytest.raises(VerificationError) as caught:
            first(row, {"columns": ["body"]} | wrong)
        assert caught.value.where == "run.open fed"


def test_what_the_log_says_of_it_has_the_fields_of_then() -> None:
    pair = {"prompt": "a", "completion": "b"}
    said = {"shape": "prompt_completion", "columns": ["prompt", "completion"]}
    told = first(pair, said, FULL_CHAT).to_json()
    assert "rules" not in told
    assert told["chat_template"].startswith("sha256:")  # though none was used
    made = recipe_of(pair, make_tokenizer(template=FULL_CHAT)).to_json()
    assert (made["rules"], made["chat_template"]) == (RULES, "none")
    assert first_form(FED) == FIRST_FED

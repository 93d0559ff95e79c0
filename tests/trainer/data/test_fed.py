"""Counting what is fed before anything is spent."""

from __future__ import annotations

from typing import Any

import pytest

from provenance.errors import InputError
from provenance_trainer.data.fed import Fed, count_fed, require_learnable
from provenance_trainer.data.kinds import Kinds
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.draft import parse_config
from tests.trainer.made_tokenizers import CHAT, FULL_CHAT, make_tokenizer


def count(
    rows: list[dict[str, Any]],
    template: str | None = None,
    made: dict[str, bool] | None = None,
    **changes: Any,
) -> Fed:
    """What is fed of records; `made`: how the tokenizer is made."""
    config = parse_config({"dataset_name": "d", "output_dir": "o", **changes})
    places = [(f"rows.jsonl line {i}", row) for i, row in enumerate(rows, 1)]
    tokenizer = make_tokenizer(template=template, **made or {})
    recipe = Recipe.of(config, tokenizer, tuple(rows[0]), Kinds.of(places))
    fed = count_fed(recipe, places, len(rows))
    require_learnable(fed, config)
    return fed


def test_every_token_is_counted_once() -> None:
    tokenizer = make_tokenizer()
    texts = ["the pump", "was", "stopped and cleaned and stopped and cleaned"]
    sizes = [len(tokenizer(text)["input_ids"]) + 1 for text in texts]  # the end token
    fed = count([{"text": text, "id": 1} for text in texts], max_length=6)
    assert max(sizes) > 6 > min(sizes)
    assert fed.counts == {
        "records": 3,
        "tokens": sum(min(size, 6) for size in sizes),
        "predicted": sum(min(size, 6) - 1 for size in sizes),
        "longest": max(sizes),
        "cut": sum(size > 6 for size in sizes),
        "lost": sum(max(size - 6, 0) for size in sizes),
        "unlearned": 0,
        "special": 0,
        "unended": 0,
    }
    lines = "\n".join(fed.lines())
    assert f"3 records, {fed.tokens} tokens" in lines
    assert f"{fed.cut} cut to 6 tokens ({fed.lost} lost)" in lines
    assert "columns that are not fed: id" in lines


def test_what_is_fed_in_one_line() -> None:
    fed = count([{"prompt": "a", "completion": "b"}])
    assert fed.lines()[0] == (
        "fed: prompt + completion (prompt_completion), loss on the completion, no chat template, "
        "begin token none, end token 1"
    )
    rows = [{"messages": [{"role": "user", "content": "the line"}]}]
    assert "chat template sha256:" in count(rows, CHAT).lines()[0]


def test_records_whose_completion_is_cut_away_have_nothing_to_learn() -> None:
    long = {"prompt": "the pump of line four was stopped and was cleaned", "completion": "yes"}
    short = {"prompt": "a", "completion": "yes"}
    batch = {"max_length": 8, "per_device_train_batch_size": 2}
    fed = count([long, short, short], **batch)
    assert fed.unlearned == 1
    assert "1 without a token to predict" in fed.lines()[1]
    with pytest.raises(InputError, match="no token to predict") as caught:
        count([long, long, short], **batch)
    assert caught.value.actual == "2 of 3"
    assert count([long, long], provenance={"allow_empty": True}, **batch).unlearned == 2


def test_a_dataset_smaller_than_a_batch_that_teaches_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="no token to predict"):
        count([{"text": ""}], per_device_train_batch_size=8)  # the end token alone


def test_a_record_that_cannot_be_fed_is_named() -> None:
    rows: list[dict[str, Any]] = [{"text": "a"}, {"text": None}]
    with pytest.raises(InputError, match="holds no text") as caught:
        count(rows)
    assert caught.value.where == "rows.jsonl line 2 text"
    tools = [{"function": {"name": "stop"}}]
    row = {"messages": [{"role": "user", "content": "go"}], "tools": tools}
    with pytest.raises(InputError, match="leaves out the tools") as caught:
        count([row], CHAT)
    assert caught.value.where == "rows.jsonl line 1"


def test_a_template_is_named_where_one_is_used_only() -> None:
    texts, turns = {"prompt": "a", "completion": "b"}, [{"role": "user", "content": "the line"}]
    assert "no chat template" in count([texts], CHAT).lines()[0]
    talk = {"prompt": turns, "completion": turns}
    assert "chat template sha256:" in count([talk], CHAT).lines()[0]
    asked = {"instruction": "a", "output": "b"}
    assert "chat template sha256:" in count([asked], CHAT).lines()[0]
    assert "no chat template" in count([asked]).lines()[0]


def test_a_base_without_an_end_token_is_told() -> None:
    fed = count([{"text": "the pump"}] * 2, made={"eos": False, "adds_bos": True})
    assert fed.unended == 2
    assert "begin token 0, end token none" in fed.lines()[0]
    (warning,) = fed.warnings()
    assert warning.startswith("2 of 2 records end without an end token")
    assert "eos_token" in warning
    assert f"warning: {warning}" in fed.lines()
    # Its template may end the turns with a token of its own.
    rows = [{"messages": [{"role": "user", "content": "the line"}]}]
    assert count(rows, FULL_CHAT, made={"eos": False}).unended == 0
    assert count([{"text": "the pump"}]).warnings() == []


def test_special_tokens_in_words_of_records_are_counted_and_told() -> None:
    rows = [{"text": "the <turn> pump"}, {"text": "the pump"}, {"text": "<s>the pump</s>"}]
    fed = count(rows)
    assert fed.special == 2
    assert "2 with special tokens in their words" in fed.lines()[1]
    assert any("2 of 3 records" in line and "<turn>" in line for line in fed.warnings())
    said = [{"role": "user", "content": "x <end> y"}, {"role": "assistant", "content": "z"}]
    assert count([{"messages": said}], CHAT).special == 1
    assert count([{"messages": said[1:]}], FULL_CHAT).special == 0  # the template's own

"""Counting what is fed before anything is spent."""

from __future__ import annotations

from typing import Any

import pytest

from provenance.errors import InputError
from provenance_trainer.data.fed import Fed, count_fed, require_learnable
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.draft import parse_config
from tests.trainer.made_tokenizers import CHAT, make_tokenizer


def count(rows: list[dict[str, Any]], template: str | None = None, **changes: Any) -> Fed:
    config = parse_config({"dataset_name": "d", "output_dir": "o", **changes})
    recipe = Recipe.of(config, make_tokenizer(template=template), tuple(rows[0]), rows[0])
    places = [(f"rows.jsonl line {i}", row) for i, row in enumerate(rows, 1)]
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
    }
    lines = "\n".join(fed.lines())
    assert f"3 records, {fed.tokens} tokens" in lines
    assert f"{fed.cut} cut to 6 tokens ({fed.lost} lost)" in lines
    assert "columns that are not fed: id" in lines


def test_what_is_fed_in_one_line() -> None:
    fed = count([{"prompt": "a", "completion": "b"}])
    assert fed.lines()[0] == (
        "fed: prompt + completion (prompt_completion), loss on the completion, no chat template"
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

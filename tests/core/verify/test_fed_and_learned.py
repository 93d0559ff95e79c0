"""What a verdict says was fed and learned: its own words about what it checked, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from provenance.errors import InputError
from provenance.judgement.verdict import Claim, Status
from provenance.log.fed import FedFacts
from provenance.log.record import Record
from tests.support.memory_run import BASE, TIME, MemoryRun
from tests.support.plain import FED

LEARNED: dict[str, Any] = {
    "loss_first": "2.5",
    "loss_last": "1.25",
    "tensors_changed": 3,
    "tensors_adapted": 4,
}


def claim(run: MemoryRun, id_: str) -> Claim:
    (found,) = [c for c in run.judge().claims if c.id == id_]
    return found


def closed(summary: dict[str, Any], fed: dict[str, Any] | None = None, **merge: Any) -> MemoryRun:
    """A run whose log ends training with this summary."""
    close = Record.make("run.close", TIME, status="completed", step=3, summary=summary)

    def change(log: list[Record]) -> list[Record]:
        return [
            close
            if record.type == "run.close"
            else Record.make("merge", TIME, **{**record.fields, **merge})
            if record.type == "merge"
            else Record.make("quantize", TIME, **{**record.fields, "source": merge["merged"]})
            if record.type == "quantize" and "merged" in merge
            else record
            for record in log
        ]

    return MemoryRun(change, {"fed": fed or FED})


def test_what_was_fed_is_said_with_who_is_believed_for_it() -> None:
    said = claim(MemoryRun(), "data.fed")
    assert said.holds
    assert said.text == (
        "fed: text (text), loss on every token, no chat template; 40 records, 900 tokens, 860 of "
        "them to predict, none cut (by the run's opening record)"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"columns": []},
        {"columns": ["x"] * 33},
        {"columns": "text"},
        {"loss": "some"},
        {"shape": 5},
        {"chat_template": None},
        {"tokens": -1},
        {"tokens": True},
        {"predicted": "860"},
    ],
    ids=lambda change: f"{next(iter(change.items()))}"[:30],
)
def test_what_is_said_in_another_form_fails(change: dict[str, Any]) -> None:
    run = MemoryRun(opening={"fed": FED | change})
    assert claim(run, "data.fed").holds is False
    assert run.judge().status is Status.FAILED


def test_the_field_is_an_object() -> None:
    with pytest.raises(InputError, match="right form"):
        FedFacts.read([])


def test_a_run_that_learned_says_by_whose_word() -> None:
    said = claim(closed(LEARNED), "training.learned")
    assert said.holds
    assert said.text == (
        "loss 2.5000 -> 1.2500 by the log, 860 tokens to predict in each epoch, 3 of 4 adapter "
        "pairs changed (by the log), merged weights differ from the base"
    )


@pytest.mark.parametrize(
    ("summary", "fed", "merge", "words"),
    [
        ({"loss_last": "nan"}, {}, {}, "loss is not a finite number"),
        ({"loss_first": "inf"}, {}, {}, "loss is not a finite number"),
        ({"loss_first": 2.5}, {}, {}, "loss is not a finite number"),
        ({"tensors_changed": 0}, {}, {}, "every B is zero"),
        ({}, {"predicted": 0}, {}, "no token was to be predicted"),
        ({}, {}, {"merged": str(BASE)}, "merged weights equal the base"),
    ],
)
def test_a_run_that_learned_nothing_fails(
    summary: dict[str, Any], fed: dict[str, Any], merge: dict[str, Any], words: str
) -> None:
    summary = {k: v for k, v in (LEARNED | summary).items() if not isinstance(v, float)}
    run = closed(summary, FED | fed, **merge)
    said = claim(run, "training.learned")
    assert said.holds is False
    assert words in said.text
    assert run.judge().status is Status.FAILED


@pytest.mark.parametrize("missing", ["tensors_changed", "tensors_adapted"])
def test_a_log_that_does_not_say_it_is_not_checked(missing: str) -> None:
    summary = {k: v for k, v in LEARNED.items() if k != missing}
    assert claim(closed(summary), "training.learned").holds is None
    assert claim(MemoryRun(), "training.learned").holds is None

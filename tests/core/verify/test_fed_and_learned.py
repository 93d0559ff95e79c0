"""What a verdict says was fed and learned: its own words about what it checked, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from provenance.errors import InputError
from provenance.judgement.verdict import Claim, Status
from provenance.log.fed import FedFacts
from provenance.log.record import Record
from tests.support.memory_run import BASE, TIME, MemoryRun
from tests.support.plain import FED, FIRST_FED

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
        at = next(i for i, record in enumerate(log) if record.type == "merge")
        rest = [
            Record.make("merge", TIME, **{**record.fields, **merge})
            if record.type == "merge"
            else Record.make("quantize", TIME, **{**record.fields, "source": merge["merged"]})
            if record.type == "quantize" and "merged" in merge
            else record
            for record in log[at:]
        ]
        return [*log[:at], close, *rest]

    return MemoryRun(change, {"fed": fed or FED})


def test_what_was_fed_is_said_with_who_is_believed_for_it() -> None:
    said = claim(MemoryRun(), "data.fed")
    assert said.holds
    assert said.text == (
        "fed: text (text), loss on every token, no chat template, begin token none, end token 2; "
        "40 records, 900 tokens, 860 of them to predict, none cut (by the run's opening record)"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"columns": []},
        {"columns": ["x"] * 33},
        {"columns": "text"},
        {"loss": "some"},
        {"columns": ["text", "text"]},
        {"columns": ["text", 5]},
        {"columns": ["x" * 1001]},
        {"loss": ["all"]},
        {"shape": 5},
        {"shape": "text), loss on every token\n  7 holds  training.replayed"},
        {"chat_template": None},
        {"chat_template": "sha256:00 signed by somebody"},
        {"chat_template": "sha256:" + "A" * 64},
        {"chat_template": "0" * 64},
        {"begin": 1},
        {"end": "2\n"},
        {"end": "\x1b[32m2"},
        {"rules": 3},
        {"rules": True},
        {"special": None},
        {"tokens": -1},
        {"tokens": True},
        {"predicted": "860"},
        {"predicted": 861},
        {"tokens": 39, "predicted": 0},
        {"tokens": 40 * 30 + 1},
        {"cut": 41, "lost": 41, "longest": 70},
        {"unlearned": 41},
        {"special": 41},
        {"unended": 41},
        {"cut": 1, "longest": 70},
        {"cut": 1, "lost": 1},
        {"lost": 1},
        {"longest": 65},
    ],
    ids=lambda change: f"{next(iter(change.items()))}"[:30],
)
def test_what_is_said_in_another_form_fails(change: dict[str, Any]) -> None:
    run = MemoryRun(opening={"fed": FED | change})
    assert claim(run, "data.fed").holds is False
    assert run.judge().status is Status.FAILED


def test_fields_of_earlier_runs_are_read_and_told_apart() -> None:
    facts = FedFacts.read(FIRST_FED)
    assert (facts.rules, facts.counts["records"]) == (1, 40)
    assert str(facts).endswith("end token 2, by the first rules")
    assert "rules" not in str(FedFacts.read(FED))
    assert claim(MemoryRun(opening={"fed": FIRST_FED}), "data.fed").holds


def test_what_a_publisher_wrote_stands_in_one_plain_line() -> None:
    named = FedFacts.read(FED | {"columns": ["te\nxt\x1b[32m", "\u202eb"]})
    assert str(named).isprintable()
    assert str(named).startswith(r"fed: te\x0axt\x1b[32m + \u202eb (text)")
    said = FedFacts.read(FED | {"special": 3, "unended": 2, "unlearned": 1}).amounts
    assert said.endswith(
        "none cut, 1 without a token to predict, 3 with special tokens in their words, "
        "2 without an end token"
    )


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

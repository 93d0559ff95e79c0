"""What a verdict says was fed and learned: its own words about what it checked, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from provenance.artifacts.identity import NamedFolder
from provenance.errors import InputError, VerificationError
from provenance.judgement.verdict import Claim, Status
from provenance.log.fed import FedFacts
from provenance.log.record import Record
from provenance.verify.protocols import BatchCount, DataChecker
from tests.support.memory_run import BASE, TIME, MemoryRun
from tests.support.memory_run import MEMORY_FED as FED
from tests.support.plain import FED as PLAIN_FED
from tests.support.plain import FIRST_FED

LEARNED: dict[str, Any] = {
    "loss_first": "2.5",
    "loss_last": "1.25",
    "tensors_changed": 3,
    "tensors_adapted": 4,
}


def claim(run: MemoryRun, id_: str, data: DataChecker | None = None) -> Claim:
    (found,) = [c for c in run.judge(data=data).claims if c.id == id_]
    return found


def closed(summary: dict[str, Any], fed: dict[str, Any] | None = FED, **merge: Any) -> MemoryRun:
    """A run whose log ends training with this summary."""
    close = Record.make("run.close", TIME, status="completed", step=3, summary=summary)
    source = NamedFolder("merged", merge.get("merged", ""), {}).name if merge else None

    def change(log: list[Record]) -> list[Record]:
        return [
            close
            if record.type == "run.close"
            else Record.make("merge", TIME, **{**record.fields, **merge})
            if record.type == "merge"
            else Record.make("quantize", TIME, **{**record.fields, "source": source})
            if record.type == "quantize" and "merged" in merge
            else record
            for record in log
        ]

    return MemoryRun(change, {"fed": fed})


class Checker:
    """A `DataChecker` with a given answer."""

    def __init__(self, answer: BatchCount | VerificationError) -> None:
        self._answer = answer

    def check_batches(self, records: object) -> BatchCount:
        if isinstance(self._answer, VerificationError):
            raise self._answer
        return self._answer


SAID = (
    "fed: text (text), loss on every token, no chat template, begin token none, end token 2; "
    "12 records, 300 tokens, 288 of them to predict, none cut"
)


def test_what_the_publisher_says_is_fed_holds_only_if_it_was_recomputed() -> None:
    said = claim(MemoryRun(), "data.fed")
    assert said.holds is None
    by = "the publisher says, in the record registered before training"
    assert said.text == f"{by}: {SAID}"
    assert "--with-data" in str(said.needs)
    found = claim(MemoryRun(), "data.fed", Checker(BatchCount(3, 0)))
    assert (found.holds, found.text) == (True, f"{SAID} (recomputed from the records)")


@pytest.mark.parametrize(
    "answer",
    [BatchCount(2, 1), VerificationError("batch differs", where="record 2")],
    ids=["a batch is undetermined", "a batch differs"],
)
def test_a_recomputation_that_was_not_whole_leaves_the_publishers_word(
    answer: BatchCount | VerificationError,
) -> None:
    assert claim(MemoryRun(), "data.fed", Checker(answer)).holds is None


@pytest.mark.parametrize("undetermined", [0, 1])
def test_what_was_recomputed_otherwise_fails(undetermined: int) -> None:
    fault = VerificationError("not so", where="run.open fed.shape", expected="text", actual="chat")
    answer = Checker(BatchCount(3, undetermined, fault))
    said = claim(MemoryRun(), "data.fed", answer)
    assert (said.holds, said.where) == (False, "run.open fed.shape")
    assert MemoryRun().judge(data=answer).status is Status.FAILED


@pytest.mark.parametrize(
    ("fed", "config", "where"),
    [
        ({"records": 13, "predicted": 287}, {}, "fed.records"),
        ({"records": 0, "tokens": 0, "predicted": 0, "longest": 0}, {}, "fed.records"),
        ({}, {"max_length": 32}, "fed.max_length"),
        ({}, {"dataset_text_field": "body"}, "fed.columns"),
        ({}, {"assistant_only_loss": True}, "fed.loss"),
        ({}, {"completion_only_loss": True}, "fed.loss"),
        ({"loss": "assistant"}, {}, "fed.loss"),
        ({"loss": "completion"}, {"completion_only_loss": False}, "fed.loss"),
    ],
)
def test_a_word_that_contradicts_dataset_or_configuration_fails(
    fed: dict[str, Any], config: dict[str, Any], where: str
) -> None:
    run = MemoryRun(opening={"fed": FED | fed, "config": config})
    said = claim(run, "data.fed")
    assert said.holds is False
    assert where in str(said.where)
    assert run.judge().status is Status.FAILED


def test_a_word_that_agrees_with_the_configuration_stands() -> None:
    config = {"max_length": 64, "dataset_text_field": "text", "completion_only_loss": False}
    assert claim(MemoryRun(opening={"config": config}), "data.fed").holds is None


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
def test_what_is_said_in_another_form_is_refused(change: dict[str, Any]) -> None:
    FedFacts.read(PLAIN_FED)
    with pytest.raises(InputError):
        FedFacts.read(PLAIN_FED | change)


def test_what_is_said_in_another_form_fails() -> None:
    run = MemoryRun(opening={"fed": FED | {"predicted": 301}})
    assert claim(run, "data.fed").holds is False
    assert run.judge().status is Status.FAILED


def test_fields_of_earlier_runs_are_read_and_told_apart() -> None:
    facts = FedFacts.read(FIRST_FED)
    assert (facts.rules, facts.counts["records"]) == (1, 40)
    assert str(facts).endswith("end token 2, by the first rules")
    assert "rules" not in str(FedFacts.read(FED))
    counts = {name: FED[name] for name in ("records", "tokens", "predicted")}
    said = claim(MemoryRun(opening={"fed": FIRST_FED | counts}), "data.fed")
    assert said.holds is None
    assert "by the first rules" in said.text


def test_what_a_publisher_wrote_stands_in_one_plain_line() -> None:
    named = FedFacts.read(FED | {"columns": ["te\nxt\x1b[32m", "\u202eb"]})
    assert str(named).isprintable()
    assert str(named).startswith(r'fed: "te\x0axt\x1b[32m" + "\u202eb" (text)')
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
        "loss 2.5000 -> 1.2500 by the log, 288 tokens to predict in each epoch by the log, 3 of 4 "
        "adapter pairs changed (by the log), merged weights differ from the base"
    )


@pytest.mark.parametrize(
    ("summary", "fed", "merge", "words"),
    [
        ({"loss_last": "nan"}, {}, {}, "loss is not a finite number"),
        ({"loss_first": "inf"}, {}, {}, "loss is not a finite number"),
        ({"tensors_changed": 0}, {}, {}, "every B is zero"),
        ({}, {"predicted": 0}, {}, "no token was to be predicted"),
        ({}, {}, {"merged": str(BASE)}, "merged weights equal the base"),
    ],
)
def test_a_run_that_learned_nothing_fails(
    summary: dict[str, Any], fed: dict[str, Any], merge: dict[str, Any], words: str
) -> None:
    run = closed(LEARNED | summary, FED | fed, **merge)
    said = claim(run, "training.learned")
    assert said.holds is False
    assert words in said.text
    assert run.judge().status is Status.FAILED


@pytest.mark.parametrize(
    ("summary", "merge"),
    [
        ({"loss_last": "nan"}, {}),
        ({"tensors_changed": 0, "tensors_adapted": 4}, {}),
        ({}, {"merged": str(BASE)}),
    ],
    ids=["loss", "adapter", "merge"],
)
def test_a_log_that_leaves_out_what_is_fed_hides_no_contradiction(
    summary: dict[str, Any], merge: dict[str, Any]
) -> None:
    run = closed(summary, None, **merge)
    assert claim(run, "data.fed").holds is None
    assert claim(run, "training.learned").holds is False
    assert run.judge().status is Status.FAILED


@pytest.mark.parametrize("missing", ["tensors_changed", "tensors_adapted", "loss_last"])
def test_a_log_that_does_not_say_it_is_not_checked(missing: str) -> None:
    summary = {k: v for k, v in LEARNED.items() if k != missing}
    assert claim(closed(summary), "training.learned").holds is None
    assert claim(MemoryRun(), "training.learned").holds is None

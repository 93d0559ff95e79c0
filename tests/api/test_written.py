"""Kept texts of answers: of the very verdict and question, and not without bound."""

from __future__ import annotations

import json
from dataclasses import replace

from provenance.judgement.verdict import Status, Verdict
from provenance_api import written as module
from provenance_api.resolve import Answer
from provenance_api.written import Written

VERDICT = Verdict(Status.VERIFIED, "every claim holds", {"name": "é", "digest": "d"})


def test_a_text_is_that_of_its_answer() -> None:
    written = Written()
    for answer in [Answer("a", "name", VERDICT), Answer("a", "name", VERDICT)]:
        assert json.loads(written.json(answer)) == answer.to_json()
    other = Answer("b", "name", VERDICT)
    assert json.loads(written.json(other))["subject"]["asked"] == "b"
    assert (
        json.loads(written.json(replace(other, kind="digest")))["subject"]["asked_by"] == "digest"
    )


def test_another_verdict_is_written_anew() -> None:
    written = Written()
    assert b"holds" in written.json(Answer("a", "name", VERDICT))
    revoked = replace(VERDICT, status=Status.REVOKED, reason="revoked")
    assert json.loads(written.json(Answer("a", "name", revoked)))["status"] == "revoked"


def test_old_texts_are_dropped() -> None:
    written = Written()
    for i in range(module.MOST + 3):
        written.json(Answer(str(i), "name", VERDICT))
    assert len(written._texts) == module.MOST

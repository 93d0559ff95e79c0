"""Verdicts as SARIF: nothing but `verified` has no failing result, and no text acts on a reader."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from provenance.judgement.policy import CLAIMS
from provenance.judgement.sarif import VERDICT, to_sarif
from provenance.judgement.verdict import Claim, Status, Verdict

DIGEST = "sha256:" + "ab" * 32
HOLDS = Claim("head.signed", 3, "the head is signed", True)
FAILS = Claim(
    "file.recomputed", 7, "file differs", False, where="w block 3", expected="1", actual="2"
)
OPEN = Claim("merge.recomputed", 7, "the merge is exact", None, needs="--base FOLDER")
VERDICT_OF = Verdict(
    Status.VERIFIED,
    "every required claim holds",
    {"name": "model.gguf", "digest": DIGEST, "file_seen": True},
    (HOLDS, OPEN),
    development=("local chain",),
    trust="sha256:" + "cd" * 32,
    limits=("that data are good",),
)


def run_of(verdict: Verdict) -> dict[str, Any]:
    value = json.loads(json.dumps(to_sarif(verdict, "1.2")))
    assert (value["version"], len(value["runs"])) == ("2.1.0", 1)
    run: dict[str, Any] = value["runs"][0]
    return run


def results(verdict: Verdict) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run_of(verdict)["results"]
    return found


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.VERIFIED])
def test_every_other_verdict_is_a_failing_result(status: Status) -> None:
    """A pipeline that counts failing results must not pass a model that nobody released."""
    first = results(replace(VERDICT_OF, status=status, reason="because", claims=()))[0]
    assert (first["ruleId"], first["kind"], first["level"]) == (VERDICT, "fail", "error")
    assert "because" in first["message"]["text"]


def test_a_good_verdict_has_no_failing_result() -> None:
    assert [(r["ruleId"], r["kind"], r["level"]) for r in results(VERDICT_OF)] == [
        ("head.signed", "pass", "none"),
        ("merge.recomputed", "open", "none"),
    ]


def test_a_failing_claim_says_where_and_what() -> None:
    verdict = replace(VERDICT_OF, status=Status.FAILED, claims=(HOLDS, FAILS, OPEN))
    kinds = {r["ruleId"]: (r["kind"], r["level"]) for r in results(verdict)}
    assert kinds["file.recomputed"] == ("fail", "error")
    text = next(r for r in results(verdict) if r["ruleId"] == "file.recomputed")["message"]["text"]
    assert text == "file differs (where: w block 3; expected: 1; actual: 2)"
    open_text = results(verdict)[-1]["message"]["text"]
    assert open_text == "the merge is exact (needs: --base FOLDER)"


def test_results_point_to_their_rules_and_to_the_file() -> None:
    run = run_of(replace(VERDICT_OF, status=Status.FAILED, claims=(HOLDS, FAILS)))
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules[0] == VERDICT
    assert set(rules) == {VERDICT, *CLAIMS}
    (artifact,) = run["artifacts"]
    assert artifact == {"location": {"uri": "model.gguf"}, "hashes": {"sha-256": "ab" * 32}}
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert place == {"uri": "model.gguf", "index": 0}
    assert run["properties"]["status"] == "failed"
    assert run["properties"]["exitCode"] == 1
    assert run["tool"]["driver"]["version"] == "1.2"


def test_results_are_told_apart_and_found_again() -> None:
    other = replace(FAILS, where="w block 4")
    verdict = replace(VERDICT_OF, status=Status.FAILED, claims=(FAILS, other))
    prints = [r["partialFingerprints"]["claim/v1"] for r in results(verdict)]
    assert len(set(prints)) == 3
    assert prints == [r["partialFingerprints"]["claim/v1"] for r in results(verdict)]


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("a b.gguf", "a%20b.gguf"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("50%.gguf", "50%25.gguf"),
        ("ü.gguf", "%C3%BC.gguf"),
    ],
)
def test_a_name_is_a_relative_reference(name: str, uri: str) -> None:
    verdict = replace(VERDICT_OF, subject={**VERDICT_OF.subject, "name": name})
    assert run_of(verdict)["artifacts"][0]["location"]["uri"] == uri


def test_what_others_wrote_is_made_visible() -> None:
    """A claim's facts are the publisher's words, and a log of a pipeline is a terminal."""
    hostile = replace(FAILS, where="a\x1b[2Jb", actual="\u202etxt")
    verdict = replace(
        VERDICT_OF, status=Status.FAILED, reason="said \x1b]0;x\x07", claims=(hostile,)
    )
    assert all(text.isprintable() for text in strings(to_sarif(verdict, "1")))

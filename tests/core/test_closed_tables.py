"""Closed tables: every status has its word and exit code, every error its place, every claim its
step.
"""

from __future__ import annotations

import json

import pytest

from provenance import errors
from provenance.judgement.policy import CLAIMS
from provenance.judgement.training import Stretch, Training
from provenance.judgement.verdict import (
    EXIT_AUTH,
    EXIT_USAGE,
    TABLE,
    Claim,
    Edge,
    Grade,
    Status,
    Verdict,
)
from tests.support.places import VECTORS

# The table of docs/formats/verdict.md: word and exit code of each status.
WORDS = {
    "verified": ("Verified", 0),
    "failed": ("Failed", 1),
    "indeterminate": ("Undetermined", 3),
    "pending": ("Pending", 3),
    "not_found": ("Not found", 4),
    "policy_denied": ("Denied by policy", 6),
    "revoked": ("Revoked", 7),
}
EXIT_CODES = {
    "ProvenanceError": 1,
    "InputError": 2,
    "ConfigError": 2,
    "VerificationError": 1,
    "MissingEvidence": 3,
    "NotFound": 4,
    "AuthError": 5,
    "Conflict": 2,
    "UnavailableError": 3,
    "RejectedError": 1,
    "OutcomeUnknown": 3,
    "InternalError": 70,
    "OutputError": 73,
}


def test_the_table_of_verdicts_is_complete() -> None:
    assert {s.value: (TABLE[s].word, TABLE[s].exit_code) for s in Status} == WORDS
    assert set(TABLE) == set(Status)
    assert (EXIT_USAGE, EXIT_AUTH) == (2, 5)


def test_only_verified_exits_with_zero() -> None:
    assert [s for s in Status if TABLE[s].exit_code == 0] == [Status.VERIFIED]


@pytest.mark.parametrize("status", Status)
def test_development_shows_in_the_word_of_a_verified_verdict_only(status: Status) -> None:
    verdict = Verdict(status, "", {}, development=("local chain",))
    assert ("development" in verdict.word) is (status is Status.VERIFIED)


def test_every_error_has_its_exit_code_and_its_own_name() -> None:
    classes = {
        n: c
        for n, c in vars(errors).items()
        if isinstance(c, type) and issubclass(c, errors.ProvenanceError)
    }
    assert {n: c.exit_code for n, c in classes.items()} == EXIT_CODES
    assert len({c.code for c in classes.values()}) == len(classes)


def test_an_error_tells_its_facts() -> None:
    error = errors.VerificationError(
        "file differs", where="a.txt", expected=1, actual=2, hint="restore it"
    )
    assert str(error) == "a.txt: file differs, expected 1, actual 2 (restore it)"
    assert error.to_json() == {
        "code": "verification",
        "what": "file differs",
        "where": "a.txt",
        "expected": "1",
        "actual": "2",
        "hint": "restore it",
    }


def test_an_error_is_one_line_whatever_a_library_says() -> None:
    error = errors.ConfigError("not YAML", where="a.yaml", actual="found\n  in line 1\r\nhere\n")
    assert str(error) == "a.yaml: not YAML, actual found in line 1 here"


def test_every_claim_has_a_step_of_the_nine() -> None:
    assert set(CLAIMS.values()) == set(range(1, 10))


def test_grades_are_ordered_from_declared_to_recomputed() -> None:
    assert sorted(Grade, key=lambda g: g.rank) == [
        Grade.DECLARED,
        Grade.SIGNED,
        Grade.ANCHORED,
        Grade.SAMPLED,
        Grade.AUDITED,
        Grade.PROVEN,
        Grade.RECOMPUTED,
    ]


def golden() -> Verdict:
    return Verdict(
        Status.FAILED,
        "file differs",
        {"name": "model.gguf", "digest": "sha256:" + "00" * 32, "file_seen": True},
        claims=(
            Claim("artifact.identified", 1, "hashed", True, evidence={"digest": "sha256:.."}),
            Claim(
                "release.named", 2, "differs", False, expected="a", actual="b", where="model.gguf"
            ),
            Claim("merge.recomputed", 7, "merge", None, needs="the base model"),
        ),
        edges=(
            Edge("trained_on", "dataset 0x1", "sha256:2", Grade.PROVEN, "1 epoch"),
            Edge("merged_from", "a", "b", Grade.DECLARED),
        ),
        development=("dev keys",),
        siblings=("0x02",),
        release={"index": 3},
        interval={"not_before": {"block": 1, "time": 2}},
        training=Training(
            2,
            2,
            9,
            (
                Stretch(1, 5, 20, 1, "checkpoint-5", {"exact": 1}, 1, {"Anna": {"exact": 1}}),
                Stretch(6, 10, 20, 1, "adapter", {}, 0, {}),
            ),
        ),
        trust="sha256:" + "11" * 32,
        limits=("gradients",),
    )


def test_the_json_of_a_verdict_is_frozen() -> None:
    """A consumer that reads `provenance-verdict/2` keeps working: keys and their meaning do not
    change.
    """
    assert golden().to_json() == json.loads((VECTORS / "verdict.json").read_text(encoding="utf-8"))


def test_the_trust_file_knows_every_kind_of_key() -> None:
    from provenance.judgement.trust import KEY_KINDS

    assert KEY_KINDS == (
        "epoch",
        "tree",
        "sorted",
        "member",
        "absent",
        "q8_0",
        "int8",
        "merge",
    )

"""`training.replayed` says what was trained again, and never more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provenance.errors import InputError, NotFound, ProvenanceError, VerificationError
from provenance.judgement.policy import DEFAULT_REQUIRED, Policy
from provenance.judgement.verdict import Claim, Grade, Status, Verdict
from provenance.verify import LIMITS
from provenance.verify.protocols import Difference, ReplayFacts
from tests.support.memory_run import MemoryRun


class Replayer:
    """A `TrainingReplayer` with a given answer."""

    def __init__(self, answer: ReplayFacts | ProvenanceError) -> None:
        self._answer = answer

    def replay(self, records: object) -> ReplayFacts:
        if isinstance(self._answer, ProvenanceError):
            raise self._answer
        return self._answer


CLASSES = {"e": "exact", "c": "close", "u": "unknown", "d": "different"}


def came_to(
    segments: int, letters: str, far: str | None = None, different: Difference | None = None
) -> ReplayFacts:
    """What training again came to; a letter for each segment, `.` where it was not drawn."""
    outcomes = {number: CLASSES[c] for number, c in enumerate(letters) if c != "."}
    return ReplayFacts(segments, outcomes, far, different)


NOTES = {
    "close": "training again came close",
    "elsewhere": "training again ended elsewhere",
    "nobody": "nobody replayed the training",
}


def note_of(verdict: Verdict) -> str | None:
    (edge,) = [e for e in verdict.edges if e.kind == "adapter_from"]
    return edge.note


def judged(answer: ReplayFacts | ProvenanceError | None) -> tuple[Verdict, Claim, Grade]:
    replayer = None if answer is None else Replayer(answer)
    verdict = MemoryRun().judge(replayer=replayer)
    (claim,) = [c for c in verdict.claims if c.id == "training.replayed"]
    (edge,) = [e for e in verdict.edges if e.kind == "adapter_from"]
    return verdict, claim, edge.grade


def test_the_whole_training_is_recomputed() -> None:
    verdict, claim, grade = judged(came_to(3, "eee"))
    assert verdict.limits == LIMITS[2:]  # no word of other gradients or other data any more
    assert (claim.holds, grade) == (True, Grade.RECOMPUTED)
    assert claim.text == (
        "the whole training (3 segments) was done again here, from the seed on: each checkpoint at "
        "its end has the logged bits"
    )


def test_a_part_says_its_share_and_the_chance_of_a_miss() -> None:
    verdict, claim, grade = judged(came_to(8, "e..e"))
    assert verdict.limits == LIMITS
    assert (claim.holds, grade) == (True, Grade.SAMPLED)
    assert "2 of 8 segments of training, chosen here at random, were done again" in claim.text
    assert "one false segment escapes with a chance of 75%" in claim.text


def test_checkpoints_that_are_gone_are_told() -> None:
    facts = came_to(8, "e..e")
    _, claim, _ = judged(replace(facts, gone=3))
    assert "done again (from earlier on, since 3 checkpoints are gone or of no use);" in claim.text
    _, claim, _ = judged(replace(facts, gone=1))
    assert "since 1 checkpoint is gone or of no use" in claim.text


def test_close_is_not_equal() -> None:
    """Whoever may be off by a little can hide a little in each segment."""
    verdict, claim, grade = judged(came_to(3, "eee", "checkpoint-2: close, 1e-06 of the way"))
    assert (claim.holds, grade) == (None, Grade.ANCHORED)
    assert "but not to the same bits: checkpoint-2: close" in claim.text
    assert note_of(verdict) == NOTES["close"]
    assert verdict.status is Status.VERIFIED


ELSEWHERE = Difference("record 5 checkpoint-2", "the logged weights", "0.5 of the way")


@pytest.mark.parametrize(
    "answer",
    [
        VerificationError("the log feeds other records than the order"),
        came_to(3, "ed.", "0.5 of the way", ELSEWHERE),
    ],
)
def test_another_end_fails_the_verdict(answer: ReplayFacts | ProvenanceError) -> None:
    verdict, claim, grade = judged(answer)
    assert (claim.holds, grade) == (False, Grade.ANCHORED)
    if isinstance(answer, ReplayFacts):
        assert (claim.where, claim.actual) == (ELSEWHERE.where, ELSEWHERE.actual)
    assert verdict.status is Status.FAILED
    assert note_of(verdict) == NOTES["elsewhere"]


@pytest.mark.parametrize("error", [NotFound("no base"), InputError("no dataset")])
def test_what_is_not_at_hand_says_nothing_about_the_run(error: ProvenanceError) -> None:
    verdict, claim, _ = judged(error)
    assert (claim.holds, claim.needs) == (None, str(error))
    assert verdict.status is Status.VERIFIED


def test_nobody_asked() -> None:
    verdict, claim, grade = judged(None)
    assert (claim.holds, grade) == (None, Grade.ANCHORED)
    assert note_of(verdict) == NOTES["nobody"]
    assert claim.needs == "training again (--replay all, with base and dataset)"


def test_a_policy_can_require_it() -> None:
    policy = Policy(require=DEFAULT_REQUIRED | {"training.replayed"})
    run = MemoryRun()
    assert run.judge(policy=policy).status is Status.INDETERMINATE
    replayer = Replayer(came_to(3, "eee"))
    assert run.judge(policy=policy, replayer=replayer).status is Status.VERIFIED

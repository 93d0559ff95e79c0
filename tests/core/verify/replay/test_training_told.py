"""What a verdict tells of the training: every segment, and of each only what was checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from provenance.errors import NotFound, ProvenanceError, VerificationError
from provenance.judgement.training import MAX_STRETCHES, Training
from provenance.judgement.verdict import Status, Verdict
from provenance.log.fold import read_history
from provenance.log.graph.segments import Segment, segments_of
from provenance.log.history import Placed
from provenance.log.record import Record
from provenance.verify.protocols import ReplayFacts
from provenance.verify.s09_recomputation.audited import Audited
from provenance.verify.s09_recomputation.stretches import training_of
from tests.core.verify.replay.test_audited_claim import (
    PLANTED,
    A,
    B,
    Signed,
    both,
    chain_nonce_of,
    judged,
)
from tests.core.verify.replay.test_replayed_claim import ELSEWHERE, Replayer, came_to
from tests.support.core.auditors import ThreeSegments, audit_of, trusting
from tests.support.memory_run import MemoryRun


def told(verdict: Verdict) -> Training:
    assert verdict.training is not None
    return verdict.training


def signed_in(verdict: Verdict) -> list[Mapping[str, Mapping[str, int]]]:
    return [stretch.auditors for stretch in told(verdict).segments]


def of(signed: Signed, needed: int = 2, **how: Any) -> Training:
    return told(judged(signed, needed, **how)[0])


def test_each_segment_says_its_steps_and_who_signed_how_it_came_out() -> None:
    training = of(both)
    assert (training.count, training.needed, training.drawn_by) == (3, 2, None)
    assert [(s.first, s.last, s.batches, s.count) for s in training.segments] == [
        (1, 1, 1, 1),
        (2, 2, 1, 1),
        (3, 3, 1, 1),
    ]
    assert [s.end for s in training.segments] == ["checkpoint-1", "checkpoint-2", "c"]
    for stretch in training.segments:
        assert (stretch.here, stretch.audited) == ({}, 1)
        assert stretch.auditors == {"Anna": {"exact": 1}, "Bert": {"exact": 1}}


def test_nobody_is_said_to_have_done_what_nobody_did() -> None:
    for run in (MemoryRun(), ThreeSegments()):
        training = told(run.judge())
        assert (training.needed, training.drawn_by) == (None, None)
        assert all((s.here, s.audited, s.auditors) == ({}, 0, {}) for s in training.segments)
    assert of(lambda run: []).needed == 2


@pytest.mark.parametrize("name", PLANTED.keys() - {"the same auditor twice"})
def test_what_does_not_count_is_not_told(name: str) -> None:
    """The word of a stranger, of another log, or in an auditor's name, on an open page."""
    verdict = judged(lambda run: [PLANTED[name](run)])[0]
    assert signed_in(verdict) == [{}, {}, {}]
    assert told(verdict).drawn_by is None
    verdict = judged(lambda run: [A.sign(audit_of(run)), PLANTED[name](run)])[0]
    assert signed_in(verdict) == [{"Anna": {"exact": 1}}] * 3
    assert [s.audited for s in told(verdict).segments] == [0, 0, 0]


def test_an_auditor_who_signs_twice_is_told_once_and_by_the_worse_word() -> None:
    def twice(run: ThreeSegments) -> list[Any]:
        worse = audit_of(run, outcomes={1: "close"})
        return [A.sign(audit_of(run)), A.sign(worse), A.sign(audit_of(run)), B.sign(audit_of(run))]

    training = of(twice)
    assert [s.auditors["Anna"] for s in training.segments] == [
        {"exact": 1},
        {"close": 1},
        {"exact": 1},
    ]
    assert [s.audited for s in training.segments] == [1, 0, 1]


def test_the_block_is_told_only_if_it_drew_all() -> None:
    def by_block(run: ThreeSegments) -> list[Any]:
        return [A.sign(audit_of(run, wanted=1, nonce=chain_nonce_of(run)))]

    def others_too(run: ThreeSegments) -> list[Any]:
        return [*by_block(run), B.sign(audit_of(run, wanted=1))]

    assert of(by_block).drawn_by is not None
    assert of(others_too).drawn_by is None


@pytest.mark.parametrize(
    ("answer", "here"),
    [
        (came_to(3, "eee"), [{"exact": 1}] * 3),
        (came_to(3, ".e."), [{}, {"exact": 1}, {}]),
        (came_to(3, "ec.", "close"), [{"exact": 1}, {"close": 1}, {}]),
        (came_to(3, "ed.", "far", ELSEWHERE), [{"exact": 1}, {"different": 1}, {}]),
        (NotFound("no base"), [{}, {}, {}]),
        (VerificationError("the log feeds other records"), [{}, {}, {}]),
    ],
)
def test_what_this_verifier_trained_again_is_told(
    answer: ReplayFacts | ProvenanceError, here: list[Mapping[str, int]]
) -> None:
    training = told(ThreeSegments().judge(replayer=Replayer(answer)))
    assert [s.here for s in training.segments] == here


def test_nothing_is_trained_here_where_an_auditor_accuses() -> None:
    def accusing(run: ThreeSegments) -> list[Any]:
        return [*both(run), A.sign(audit_of(run, outcomes={1: "different"}))]

    verdict = judged(accusing, replayer=Replayer(came_to(3, "eee")))[0]
    assert verdict.status is Status.FAILED
    assert [s.here for s in told(verdict).segments] == [{}, {}, {}]
    assert told(verdict).segments[1].auditors["Anna"] == {"different": 1}


def test_a_verification_that_ended_before_it_tells_nothing() -> None:
    def not_ended(log: list[Record]) -> list[Record]:
        """Nothing is merged before the end of training, so no release comes of this."""
        rest = [record for record in log if record.type != "run.close"]
        at = next(n for n, record in enumerate(rest) if "log_size" in record.fields)
        rest[at] = replace(rest[at], fields=dict(rest[at].fields) | {"log_size": at + 1})
        return rest

    going_on = MemoryRun(not_ended).judge()
    assert (going_on.status, going_on.training) == (Status.FAILED, None)
    assert "an adapter is merged after run.close" in going_on.reason
    contradicted = MemoryRun(lambda log: log[1:]).judge()
    assert (contradicted.status, contradicted.training) == (Status.FAILED, None)
    assert contradicted.to_json()["training"] is None


def test_the_publishers_words_are_told_and_programs_get_the_rest() -> None:
    words = 'x" holds \x1b[2J' + "y" * 500

    def named(log: list[Record]) -> list[Record]:
        return [
            replace(r, fields=dict(r.fields) | {"path": words}) if r.type == "checkpoint" else r
            for r in log
        ]

    run = MemoryRun(named)
    run.trust = trusting(run.trust, 1, replace(A, name="An\x1b[2Jna"))
    run.evidence.attested = [A.sign(audit_of(run, wanted=1))]
    verdict = run.judge()
    (stretch,) = told(verdict).segments
    assert stretch.end.startswith("\"x' holds \\x1b[2Jyyy")
    assert len(stretch.end) <= 82
    (auditor,) = verdict.to_json()["training"]["segments"][0]["auditors"]
    assert auditor == {"name": "An\x1b[2Jna", "classes": {"exact": 1}}
    assert list(told(verdict.shown()).segments[0].auditors) == ["An\\x1b[2Jna"]


def many(count: int) -> list[Segment]:
    """Segments of two steps of two batches each."""
    run = ThreeSegments()
    (first, *_) = segments_of(read_history(run.evidence.log))
    end = first.ends[0]

    def at(step: int) -> Placed:
        fields = dict(end.fields) | {"step": step, "path": f"checkpoint-{step}"}
        return Placed(end.index, replace(end.record, fields=fields))

    batches = first.batches * 4
    return [Segment(n, at(2 * n) if n else None, (at(2 * n + 2),), batches) for n in range(count)]


@pytest.mark.parametrize(
    ("count", "rows"), [(1, 1), (256, 256), (257, 129), (300, 150), (1000, 250)]
)
def test_many_segments_are_told_a_few_at_once(count: int, rows: int) -> None:
    outcomes = dict.fromkeys(range(count), "exact")
    said = Audited(
        count,
        1,
        {"Anna": outcomes | {0: "close"}, "Bert": {0: "exact"}},
        frozenset(range(1, count)),
        7,
        (),
        (),
    )
    facts = ReplayFacts(count, {count - 1: "exact"})
    training = training_of(many(count), 1, facts, said)
    assert len(training.segments) == rows <= MAX_STRETCHES
    assert (training.count, sum(s.count for s in training.segments)) == (count, count)
    assert sum(s.batches for s in training.segments) == 4 * count
    edges = [(s.first, s.last) for s in training.segments]
    assert (edges[0][0], edges[-1][1]) == (1, 2 * count)
    assert all(one[1] + 1 == two[0] for one, two in pairwise(edges))
    first, last = training.segments[0], training.segments[-1]
    assert first.auditors["Anna"]["close"] == first.auditors["Bert"]["exact"] == 1
    assert first.audited == first.count - 1
    assert last.here == {"exact": 1}
    assert last.auditors.get("Bert") == (first.auditors["Bert"] if rows == 1 else None)
    assert training.segments[-1].end == f"checkpoint-{2 * count}"

"""The log says where segments end: many short ones, done again, are not most of the training."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provenance.ids import Word
from provenance.judgement.policy import Policy
from provenance.judgement.verdict import Status
from provenance.log.record import Record
from tests.core.verify.replay.test_audited_claim import A, told
from tests.core.verify.replay.test_replayed_claim import Replayer, came_to
from tests.support.core.auditors import ThreeSegments, audit_of, trusting


class Uneven(ThreeSegments):
    """A first segment of one step, which is honest, and one with the two others."""

    def _training(self) -> list[Record]:
        seed, first, saved, second, _, third, end, shipped, close = super()._training()
        fields = dict(shipped.fields) | {"last_batch": 5, "previous": 3}
        return [seed, first, saved, second, third, end, replace(shipped, fields=fields), close]


def first_alone(run: ThreeSegments) -> None:
    """An auditor signs for the short one."""
    run.trust = trusting(run.trust, 1, A)
    audits = (audit_of(run, wanted=1, nonce=Word(bytes([n]) * 32)) for n in range(9))
    run.evidence.attested = [A.sign(next(a for a in audits if a.replayed[0].number == 0))]


@pytest.mark.parametrize("by_auditor", [True, False])
def test_a_share_is_one_of_steps(by_auditor: bool) -> None:
    run = Uneven()
    how = {} if by_auditor else {"replayer": Replayer(came_to(2, "e."))}
    if by_auditor:
        first_alone(run)
    verdict = run.judge(policy=Policy(replayed=0.5), **how)
    assert verdict.status is Status.POLICY_DENIED
    assert (
        "50% of the run's training done again, bit for bit, actual 1 of 3 steps" in verdict.reason
    )
    claim, _ = told(verdict)
    assert "that is 1 of 3 steps; one false segment escapes with a chance of 50%" in claim.text
    assert run.judge(policy=Policy(replayed=1 / 3), **how).status is Status.VERIFIED


def test_what_was_done_here_and_by_auditors_counts_together() -> None:
    run = Uneven()
    first_alone(run)
    here = Replayer(came_to(2, ".e"))
    assert run.judge(policy=Policy(replayed=1.0), replayer=here).status is Status.VERIFIED

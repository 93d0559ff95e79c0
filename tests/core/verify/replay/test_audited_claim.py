"""Attestations of auditors lift the edge from batches to adapter; what others write does not.

Nothing that is planted beside them counts, takes anything away, or accuses anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from provenance.errors import InputError, NotFound
from provenance.ids import Address, RunId, Word
from provenance.judgement.policy import DEFAULT_REQUIRED, Policy
from provenance.judgement.segment_draw import segment_draw
from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Claim, Edge, Grade, Status, Verdict
from provenance.log.audit.attestation import Attestation, Audit
from provenance.log.audit.draw import drawn
from provenance.merkle import Tree
from provenance.signing import Domain
from provenance.verify import AUDITORS_WORD, LIMITS
from provenance.verify.s09_recomputation import audited
from tests.core.verify.replay.test_replayed_claim import Replayer, came_to
from tests.core.verify.test_planted_evidence import Folders
from tests.support.core.auditors import STACK, MadeAuditor, ThreeSegments, audit_of, trusting
from tests.support.memory_run import DOMAIN, OWNER, MemoryEvidence

A, B, STRANGER = (MadeAuditor.make(name) for name in ("Anna", "Bert", "Stranger"))
Signed = Callable[[ThreeSegments], list[Attestation]]


def told(verdict: Verdict) -> tuple[Claim, Edge]:
    (claim,) = [c for c in verdict.claims if c.id == "training.replayed"]
    (edge,) = [e for e in verdict.edges if e.kind == "adapter_from"]
    return claim, edge


def judged(signed: Signed, needed: int = 2, **how: Any) -> tuple[Verdict, Claim, Edge]:
    run = ThreeSegments()
    run.trust = trusting(run.trust, needed, A, B)
    run.evidence.attested = signed(run)
    verdict = run.judge(**how)
    return verdict, *told(verdict)


def both(run: ThreeSegments) -> list[Attestation]:
    return [A.sign(audit_of(run)), B.sign(audit_of(run))]


def test_two_auditors_lift_the_edge_and_nothing_is_trained_here() -> None:
    verdict, claim, edge = judged(both)
    assert (verdict.status, claim.holds, edge.grade) == (Status.VERIFIED, True, Grade.AUDITED)
    assert claim.text == (
        "the whole training (3 segments) was done again, each by at least 2 of the trust file's "
        "auditors, who signed that each checkpoint at its end has the logged bits "
        '("Anna" 3, "Bert" 3); what else they signed is not known, for none of it is on chain; '
        "nothing was trained here"
    )
    assert claim.evidence == {"segments": "3", "covered": "3", "auditors": "Anna:3 Bert:3"}
    assert verdict.limits == (AUDITORS_WORD, *LIMITS[2:])


def test_a_policy_can_demand_them() -> None:
    policy = Policy(
        require=DEFAULT_REQUIRED | {"training.replayed"}, edges={"adapter_from": Grade.AUDITED}
    )
    assert judged(both, policy=policy)[0].status is Status.VERIFIED
    few = judged(lambda run: [A.sign(audit_of(run, wanted=2))], 1, policy=policy)[0]
    assert few.status is Status.POLICY_DENIED
    assert judged(lambda run: [], policy=policy)[0].status is Status.INDETERMINATE


@pytest.mark.parametrize(
    ("share", "status"),
    [(2 / 3, Status.VERIFIED), (0.6667, Status.POLICY_DENIED), (1.0, Status.POLICY_DENIED)],
)
def test_a_policy_can_demand_a_share(share: float, status: Status) -> None:
    def part(run: ThreeSegments) -> list[Attestation]:
        return [A.sign(audit_of(run, wanted=2))]

    assert judged(part, 1, policy=Policy(replayed=share))[0].status is status
    answer = Replayer(came_to(3, "ee."))
    here = judged(lambda run: [], 1, policy=Policy(replayed=share), replayer=answer)[0]
    assert here.status is status
    close = Replayer(came_to(3, "ec.", "close"))
    verdict = judged(part, 1, policy=Policy(replayed=0.1), replayer=close)[0]
    assert verdict.status is Status.POLICY_DENIED


def test_a_part_is_a_sample_and_says_the_chance_of_a_miss() -> None:
    def part(run: ThreeSegments) -> list[Attestation]:
        return [A.sign(audit_of(run)), B.sign(audit_of(run, wanted=2))]

    verdict, claim, edge = judged(part)
    assert (claim.holds, edge.grade, verdict.limits) == (True, Grade.SAMPLED, LIMITS)
    assert claim.text.startswith("2 of 3 segments of training, which the auditors drew, were done")
    assert "one false segment escapes with a chance of 33%" in claim.text


def chain_nonce_of(run: ThreeSegments) -> Word:
    close = [record.type for record in run.evidence.log].index("run.close")
    return segment_draw(run.chain, run.chain.final(), RunId(run.run_id), close).nonce


def test_the_block_that_drew_is_named_only_if_it_drew_all() -> None:
    def by_block(run: ThreeSegments) -> list[Attestation]:
        audit = audit_of(run, wanted=1, nonce=chain_nonce_of(run))
        return [A.sign(audit), B.sign(audit)]

    def others_too(run: ThreeSegments) -> list[Attestation]:
        return [*by_block(run), A.sign(audit_of(run, wanted=1))]

    _, claim, _ = judged(by_block)
    assert "1 of 3 segments of training, which block " in claim.text
    assert "drew after the training had ended on chain" in claim.text
    assert "which the auditors drew" in judged(others_too)[1].text


# Each stands beside a good attestation by A, about all segments; two auditors are needed.
def other(run: ThreeSegments, **changes: Any) -> Audit:
    return replace(audit_of(run), **changes)


def forged(run: ThreeSegments) -> Attestation:
    return replace(STRANGER.sign(audit_of(run)), auditor=B.address)


def another_class(run: ThreeSegments) -> Attestation:
    """Signed as `close`, and changed to `exact` afterwards."""
    signed = B.sign(audit_of(run, outcomes={0: "close", 1: "close", 2: "close"}))
    return replace(signed, audit=audit_of(run))


def good_ones(run: ThreeSegments) -> Attestation:
    """The segments that came out, of more that were drawn."""
    audit = audit_of(run)
    nonces = (Word(bytes([n]) * 32) for n in range(9))
    nonce = next(nonce for nonce in nonces if drawn(3, 2, nonce) != [0, 1])
    return B.sign(replace(audit, replayed=audit.replayed[:2], nonce=nonce))


def swapped(run: ThreeSegments) -> Attestation:
    audit = audit_of(run)
    first, second, third = audit.replayed
    ends = replace(first, end=second.end), replace(second, end=first.end), third
    return B.sign(replace(audit, replayed=ends))


def before_the_end(run: ThreeSegments) -> Attestation:
    entries = [record.entry for record in run.evidence.log[:8]]
    return B.sign(other(run, size=8, root=Tree(entries).root()))


def after_the_end(run: ThreeSegments) -> Attestation:
    """Else whoever writes one more record makes the word of an auditor count or not."""
    entries = [record.entry for record in run.evidence.log]
    return B.sign(other(run, size=len(entries), root=Tree(entries).root()))


PLANTED: dict[str, Callable[[ThreeSegments], Attestation]] = {
    "the same auditor twice": lambda run: A.sign(audit_of(run, wanted=3, nonce=Word(bytes(32)))),
    "a stranger": lambda run: STRANGER.sign(audit_of(run)),
    "in another's name": forged,
    "changed afterwards": another_class,
    "only what came out": good_ones,
    "more segments than there are": lambda run: B.sign(
        other(run, replayed=audit_of(run).replayed * 2)
    ),
    "another run": lambda run: B.sign(other(run, run_id=RunId(b"\x01" * 32))),
    "another log": lambda run: B.sign(other(run, root=bytes(32))),
    "a log after the end of training": after_the_end,
    "a longer log": lambda run: B.sign(other(run, size=10**6)),
    "a log before the end of training": before_the_end,
    "other checkpoints": swapped,
    "another number of segments": lambda run: B.sign(other(run, segments=4)),
    "a block of another chain": lambda run: B.sign(other(run, block_hash=bytes(32))),
    "a block to come": lambda run: B.sign(other(run, block=10**9)),
    "another chain": lambda run: B.sign(audit_of(run), Domain(99, DOMAIN.registry)),
    "another registry": lambda run: B.sign(
        audit_of(run), Domain(DOMAIN.chain_id, Address("0x" + "cd" * 20))
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_neither_counts_nor_takes_away(name: str) -> None:
    planted = PLANTED[name]
    verdict, claim, edge = judged(lambda run: [A.sign(audit_of(run)), planted(run)])
    assert (verdict.status, claim.holds, edge.grade) == (Status.VERIFIED, None, Grade.ANCHORED)
    assert claim.needs == "attestations of 2 auditors about the same segments"
    verdict, claim, edge = judged(lambda run: [planted(run), *both(run)])
    assert (verdict.status, claim.holds, edge.grade) == (Status.VERIFIED, True, Grade.AUDITED)


def test_two_auditors_of_different_segments_cover_none() -> None:
    def apart(run: ThreeSegments) -> list[Attestation]:
        one, two = (audit_of(run, wanted=1, nonce=Word(bytes([n]) * 32)) for n in (2, 4))
        assert one.replayed != two.replayed
        return [A.sign(one), B.sign(two)]

    assert judged(apart)[1].holds is None


def test_an_attestation_outside_the_auditors_time_does_not_count() -> None:
    run = ThreeSegments()
    run.evidence.attested = both(run)
    block = run.chain.final().block.number
    for window, holds in (
        ({"from_block": block}, True),
        ({"from_block": block + 1}, None),
        ({"to_block": block - 1}, None),
    ):
        run.trust = trusting(run.trust, 2, A, B, **window)
        assert told(run.judge())[0].holds is holds


def with_class(outcome: str, stack: dict[str, Any]) -> Signed:
    def signed(run: ThreeSegments) -> list[Attestation]:
        bad = replace(audit_of(run, outcomes={1: outcome}), stack=stack)
        return [*both(run), A.sign(bad)]

    return signed


@pytest.mark.parametrize("stack", [STACK, {"torch": "1"}])
def test_another_checkpoint_fails_the_verdict(stack: dict[str, Any]) -> None:
    """On any stack: what the run says of its own is the publisher's word."""
    verdict, claim, edge = judged(with_class("different", stack))
    assert (verdict.status, claim.holds, edge.grade) == (Status.FAILED, False, Grade.ANCHORED)
    assert claim.text == (
        "an auditor of the trust file trained again, and got another checkpoint than the log has: "
        'segment 1 came out different for "Anna"'
    )


@pytest.mark.parametrize("outcome", ["close", "unknown"])
def test_what_is_not_exact_lifts_nothing(outcome: str) -> None:
    verdict, claim, edge = judged(with_class(outcome, STACK))
    assert (verdict.status, claim.holds, edge.grade) == (Status.VERIFIED, None, Grade.ANCHORED)
    assert f'segment 1 came out {outcome} for "Anna"' in claim.text


@pytest.mark.parametrize(
    "publisher", [Publisher(A.address, "team"), Publisher(Address(OWNER), "aNNa")]
)
def test_no_publisher_audits_itself(publisher: Publisher) -> None:
    run = ThreeSegments()
    run.trust = replace(run.trust, publishers=(publisher,))
    with pytest.raises(InputError, match="an auditor is a publisher, too"):
        trusting(run.trust, 1, A, B)


def test_where_nothing_can_be_trained_here_the_auditors_word_stands() -> None:
    run = ThreeSegments()
    run.trust = trusting(run.trust, 2, A, B)
    run.evidence.attested = both(run)
    verdict = run.judge(replayer=Replayer(NotFound("no base")))
    claims = [c for c in verdict.claims if c.id == "training.replayed"]
    assert [(c.holds, c.needs) for c in claims] == [(None, "no base"), (True, None)]


def copy_of(run: ThreeSegments, attested: list[Attestation]) -> MemoryEvidence:
    return replace(run.evidence, attested=attested)


def test_lines_in_another_folder_count_and_hide_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audited, "MAX_ATTESTATIONS", 8)
    run = ThreeSegments()
    run.trust = trusting(run.trust, 2, A, B)
    crowd = [forged(run)] * 9
    alone = replace(run.evidence, log=[], attested=both(run))
    run.source = Folders(run, [copy_of(run, crowd), run.evidence, alone])
    assert told(run.judge())[1].grade is Grade.AUDITED


def in_the_name_of(auditor: MadeAuditor, run: ThreeSegments, count: int) -> list[Attestation]:
    """So many lines that the auditor never signed."""
    nonces = (Word(number.to_bytes(32, "big")) for number in range(count))
    return [
        Attestation(replace(audit_of(run), nonce=nonce), auditor.address, bytes(65))
        for nonce in nonces
    ]


@pytest.mark.parametrize("where", ["beside it", "in other folders"])
@pytest.mark.parametrize("replayer", [None, Replayer(came_to(3, "eee"))])
def test_false_lines_without_end_hide_no_auditors_word(
    where: str, replayer: Replayer | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audited, "MAX_ATTESTATIONS", 9)
    run = ThreeSegments()
    run.trust = trusting(run.trust, 1, A, B)
    junk = in_the_name_of(B, run, 9)
    good, bad = A.sign(audit_of(run)), B.sign(audit_of(run, outcomes={1: "different"}))
    run.evidence.attested = [good, *junk, bad]
    if where != "beside it":
        lines = [[good], *([each] for each in junk), [bad]]
        folders = [replace(run.evidence, log=[], attested=each) for each in lines]
        run.evidence.attested = []
        run.source = Folders(run, [run.evidence, *folders])
    verdict = run.judge(replayer=replayer)
    assert verdict.status is Status.INDETERMINATE
    assert "not checked: training.replayed: more than 9 lines in the name" in verdict.reason
    if where == "beside it":
        run.evidence.attested = [good, bad, *junk]
        assert run.judge(replayer=replayer).status is Status.FAILED


def test_as_many_lines_as_are_looked_at_deny_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audited, "MAX_ATTESTATIONS", 9)
    _, claim, _ = judged(lambda run: [*in_the_name_of(A, run, 7), *both(run)])
    assert claim.holds is True


def test_a_damaged_folder_takes_nothing_away() -> None:
    class Damaged(MemoryEvidence):
        def attestations(self) -> list[Attestation]:
            raise InputError("file is too large")

    run = ThreeSegments()
    run.trust = trusting(run.trust, 2, A, B)
    run.evidence.attested = both(run)
    damaged = Damaged(run.evidence.run_id, run.evidence.log, run.evidence.signed)
    for each in ([damaged, run.evidence], [run.evidence, damaged]):
        run.source = Folders(run, each)
        assert told(run.judge())[1].grade is Grade.AUDITED


def test_whoever_trains_again_is_told_of_the_auditors_too() -> None:
    _, claim, edge = judged(both, replayer=Replayer(came_to(3, ".e.")))
    assert "1 of 3 segments of training, chosen here at random" in claim.text
    assert 'who signed that each checkpoint at its end has the logged bits ("Anna" 3' in claim.text
    assert edge.grade is Grade.AUDITED
    assert judged(both, replayer=Replayer(came_to(3, "eee")))[2].grade is Grade.RECOMPUTED
    _, claim, edge = judged(both, replayer=Replayer(came_to(3, "eec", "close")))
    assert (claim.holds, edge.grade) == (None, Grade.ANCHORED)

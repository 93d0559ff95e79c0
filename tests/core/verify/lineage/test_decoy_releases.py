"""Releases that a publisher adds, leaves out or delays so that what is revoked is not reached.

Each attack succeeded once.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Verdict
from provenance.log.record import Record
from tests.core.verify.lineage.test_hidden_revocations import REVOKED, VERIFIED
from tests.core.verify.test_ancestry import FIRST, Generation, claims, generations, judge, merged
from tests.core.verify.test_hidden_ancestors import FirstReleased
from tests.core.verify.test_partly_known_bases import note
from tests.support.memory_chain import MemoryChain
from tests.support.memory_run import OWNER


def traced(verdict: Verdict) -> list[bool | None]:
    return [claim.holds for claim in claims(verdict, "base.traced")]


def released_again(runs: list[Generation], reason: str | None) -> None:
    """The mother's file under another name and a later head; perhaps revoked."""
    mother = runs[0]
    last = mother.evidence.log[-1]
    mother.evidence.log.append(replace(last, fields={**last.fields, "name": "another name"}))
    mother.release()
    if reason is not None:
        mother.chain.revoke(OWNER, mother.run_id, len(mother.evidence.log) - 1, reason)


@pytest.mark.parametrize("record", ["run.open", "checkpoint", "release"])
def test_a_later_release_that_is_revoked_hides_no_revocation(record: str) -> None:
    runs = mother, _ = generations(2)
    index = 0 if record == "run.open" else mother.index(record)
    released_again(runs, "wrong name, see the other release")
    mother.chain.revoke(OWNER, mother.run_id, index, "leaked")
    verdict = judge(runs)
    assert verdict.status is REVOKED, verdict.reason
    assert f"record {index} ({record}) was revoked" in verdict.reason


@pytest.mark.parametrize("reason", [None, "wrong name, see the other release"])
def test_a_correction_of_a_release_costs_nothing_and_is_said(reason: str | None) -> None:
    runs = generations(2)
    released_again(runs, reason)
    verdict = judge(runs)
    assert (verdict.status, traced(verdict)) == (VERIFIED, [True]), verdict.reason
    late = "passed over: 1 release of that run logged under a head from afterwards"
    assert f"made by another run, by its log; {late}" in note(verdict, merged(0))


class Late(Generation):
    """A run that is released when told to, and not when its log is committed."""

    is_late = False

    def release(self) -> None:
        if self.is_late:
            super().release()


def released_late() -> list[Generation]:
    """The mother's model lies under a head from before the child; her release came after it."""
    chain, last = MemoryChain(), list[Record]()

    def cut(log: list[Record]) -> list[Record]:
        last.append(log[-1])
        return log[:-1]

    mother = Late(FIRST, merged(0), chain, cut)
    child = Generation(merged(0), merged(1), chain)
    mother.evidence.log += last
    mother.is_late = True
    mother.release()
    return [mother, child]


@pytest.mark.parametrize("record", ["run.open", "checkpoint", "merge"])
def test_what_is_revoked_of_a_run_that_was_released_late_counts(record: str) -> None:
    runs = mother, _ = released_late()
    index = 0 if record == "run.open" else mother.index(record)
    mother.chain.revoke(OWNER, mother.run_id, index, "leaked")
    assert judge(runs).status is REVOKED


def test_a_late_release_is_said_to_be_late() -> None:
    runs = released_late()
    verdict = judge(runs)
    assert (verdict.status, traced(verdict)) == (VERIFIED, [None])
    assert "no release of that lies under its heads from before block" in note(verdict, merged(0))
    (claim,) = claims(verdict, "base.traced")
    assert claim.needs == "a base that was released before it was taken"


def second_merge() -> list[Generation]:
    """The base is a second merge of a released run; nothing was quantized from it."""

    def twice(log: list[Record]) -> list[Record]:
        merge = next(r for r in log if r.type == "merge")
        made = {"merged": merged("X").content, "merged_files": merged("X").files}
        return [*log, replace(merge, fields={**merge.fields, **made})]

    chain = MemoryChain()
    mother = FirstReleased(FIRST, merged(0), chain, twice)
    return [mother, Generation(merged("X"), merged(1), chain)]


@pytest.mark.parametrize("record", ["run.open", "checkpoint", "merge"])
def test_what_is_revoked_of_a_run_counts_for_a_merge_that_it_never_released(record: str) -> None:
    runs = mother, _ = second_merge()
    index = 0 if record == "run.open" else mother.index(record)
    mother.chain.revoke(OWNER, mother.run_id, index, "leaked")
    assert judge(runs).status is REVOKED


def test_a_revoked_release_of_another_merge_revokes_nothing_and_is_said() -> None:
    runs = mother, _ = second_merge()
    mother.chain.revoke(OWNER, mother.run_id, mother.index("release"), "wrong file")
    verdict = judge(runs)
    assert (verdict.status, traced(verdict)) == (VERIFIED, [None]), verdict.reason
    said = note(verdict, merged("X"))
    assert f"run 0x{mother.run_id.hex()} of me made it by its anchored log, but no release" in said
    assert "1 release of that run of something else" in said


def test_a_log_of_an_account_that_was_no_publisher_then_revokes_nothing() -> None:
    """It was never released, so only who anchored it counts."""
    runs = mother, child = second_merge()
    mother.chain.released = [each for each in child.chain.released if each[0] == child.model]
    mother.chain.revoke(OWNER, mother.run_id, mother.index("merge"), "leaked")
    assert judge(runs).status is REVOKED
    heads = (head for run_id, _, head in child.chain.heads if run_id == child.run_id)
    first = min(head.block_number for head in heads)
    child.trust = replace(child.trust, publishers=(Publisher(OWNER, "me", from_block=first),))
    verdict = judge(runs)
    assert verdict.status is VERIFIED, verdict.reason
    assert "passed over: 1 journal without a head of a publisher's run" in note(
        verdict, merged("X")
    )

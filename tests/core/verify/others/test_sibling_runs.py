"""Runs that others opened in a publisher's name, and what looking at them costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from provenance.digest import sha256
from provenance.ids import Address, RunId
from provenance.judgement.facts import ChainSnapshot
from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Status, Verdict
from provenance.verify import verify
from provenance.verify.protocols import Evidence
from provenance.verify.s05_history import MAX_SIBLINGS_ASKED, next_to
from tests.support.memory_run import DATASET, MODEL, OWNER, MemoryRun

MEMBER = Address("0x" + "55" * 20)


def opened(run: MemoryRun, owner: str, count: int) -> list[bytes]:
    return [run.chain.open_run(owner, sha256(b"%d" % i), DATASET) for i in range(count)]


def with_member(run: MemoryRun, first: int, last: int | None) -> MemoryRun:
    member = Publisher(MEMBER, "me", first, last)
    run.trust = replace(run.trust, publishers=(*run.trust.publishers, member))
    return run


def told(verdict: Verdict) -> str:
    (text,) = (claim.text for claim in verdict.claims if claim.id == "run.preregistered")
    return text


def test_runs_of_a_former_member_accuse_nobody() -> None:
    """The attack: who left the team opens runs, and the team seems to have tried many seeds."""
    run = MemoryRun()
    (own,) = opened(with_member(run, 0, run.chain.block_number + 1), MEMBER, 1)
    opened(run, MEMBER, 20)
    run.chain.mine(3)
    verdict = run.judge()
    assert verdict.siblings == (f"0x{own.hex()}",)
    assert "1 sibling run on this dataset" in told(verdict)


def test_runs_of_a_member_before_it_joined_accuse_nobody() -> None:
    run = MemoryRun()
    opened(run, MEMBER, 2)
    (own,) = opened(with_member(run, run.chain.block_number + 1, None), MEMBER, 1)
    run.chain.mine(3)
    assert run.judge().siblings == (f"0x{own.hex()}",)


def test_runs_of_another_teams_time_accuse_nobody() -> None:
    """The account was of this team later; then it opened its runs for another one."""
    run = MemoryRun()
    block = run.chain.block_number
    with_member(run, block + 10, None)
    elsewhere = Publisher(MEMBER, "other team", 0, block + 9)
    run.trust = replace(run.trust, publishers=(*run.trust.publishers, elsewhere))
    opened(run, MEMBER, 3)
    run.chain.mine(3)
    assert run.judge().siblings == ()


@pytest.mark.parametrize("owner", [OWNER, MEMBER])
def test_runs_by_a_key_that_is_said_to_be_lost_accuse_nobody(owner: str) -> None:
    run = with_member(MemoryRun(), 0, None)
    (own,) = opened(run, owner, 1)
    run.chain.revoke_signer(owner, owner, run.chain.block_number + 1, "stolen")
    opened(run, owner, 20)
    run.chain.mine(3)
    verdict = run.judge()
    assert (verdict.status, verdict.siblings) == (Status.VERIFIED, (f"0x{own.hex()}",))


def test_a_key_that_is_called_stolen_later_hides_no_earlier_run() -> None:
    """Else a team would try many seeds, and then say that the key was in other hands all along."""
    run = with_member(MemoryRun(), 0, None)
    tried = opened(run, MEMBER, 3)
    run.chain.revoke_signer(MEMBER, MEMBER, 0, "all lost")
    run.chain.mine(3)
    assert len(run.judge().siblings) == len(tried)


class Counting:
    """A `ChainReader` that counts what its final snapshots are asked."""

    def __init__(self, run: MemoryRun) -> None:
        self.asked, self._chain = Counter[str](), run.chain

    def final(self) -> ChainSnapshot:
        outer, snapshot = self, self._chain.final()

        class Snapshot:
            block = snapshot.block

            def __getattr__(self, name: str) -> Callable[..., Any]:
                def ask(*args: Any) -> Any:
                    outer.asked[name] += 1
                    return getattr(snapshot, name)(*args)

                return ask

        counting: Any = Snapshot()
        return counting

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)


def test_runs_without_end_cost_bounded_questions_and_the_verdict_says_so() -> None:
    run = MemoryRun()
    tries = opened(run, OWNER, MAX_SIBLINGS_ASKED + 300)
    run.chain.mine(3)
    reader: Any = Counting(run)
    verdict = verify(str(MODEL), replace(run.verifier(), reader=reader))
    assert verdict.status is Status.VERIFIED
    assert reader.asked["run"] <= MAX_SIBLINGS_ASKED + 20
    total = len(tries) + 1
    assert (
        f"{MAX_SIBLINGS_ASKED - 1} sibling runs on this dataset among {MAX_SIBLINGS_ASKED} of the "
        f"publisher's {total} runs, those next to it"
    ) in told(verdict)


def test_those_next_to_the_run_are_looked_at() -> None:
    """A publisher cannot hide tries behind many runs that it opens before or after them."""
    run = MemoryRun()
    chain = run.chain
    own = chain.opened[-1]
    far = opened(run, OWNER, 2 * MAX_SIBLINGS_ASKED)
    near = opened(run, OWNER, 1)
    chain.opened.append(chain.opened.pop(chain.opened.index(own)))
    block = chain.mine() + 1
    chain.opened[-1] = (block, replace(own[1], draw_block=block + 2))
    chain.mine(3)
    snapshot = chain.final()
    facts = snapshot.run(run.run_id)
    assert facts is not None
    found = next_to(snapshot, facts, snapshot.runs_of(OWNER))
    assert (near[0] in found, far[0] in found) == (True, False)


class Copies:
    """Folders that hold one log."""

    def __init__(self, run: MemoryRun, count: int) -> None:
        self.folders = [replace(run.evidence, registered=None) for _ in range(count)]

    def candidates(self, run_id: RunId) -> Sequence[Evidence]:
        return self.folders

    def makers(self, artifact: str) -> Sequence[Evidence]:
        return []


def test_copies_of_the_evidence_multiply_no_question_to_the_chain() -> None:
    """The attack: eight planted copies, and each attempt asked everything again."""
    run, counts = MemoryRun(), []
    opened(run, OWNER, 40)
    run.chain.mine(3)
    for count in (1, 8):
        reader: Any = Counting(run)
        run.source = Copies(run, count)
        verify(str(MODEL), replace(run.verifier(), reader=reader))
        counts.append(sum(reader.asked.values()))
    assert counts[0] == counts[1]

"""Revoked keys and single batches, on registries of this release and of earlier ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provenance.judgement.facts import Revocation
from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Status, Verdict
from tests.support.memory_chain import MemorySnapshot
from tests.support.memory_run import MODEL, OWNER, TRUST, MemoryRun
from tests.support.spine import failing

SIBLING, OTHER = "0x" + "51" * 20, "0x" + "0e" * 20
BATCHES = (2, 3, 4)


def not_revoked(verdict: Verdict) -> str:
    (claim,) = (c for c in verdict.claims if c.id == "not.revoked")
    return claim.text


def judged_after(run: MemoryRun) -> Verdict:
    run.chain.mine(3)
    return run.judge()


def released_in(run: MemoryRun) -> int:
    return run.chain.released[0][1].block_number


@pytest.mark.parametrize("is_earlier", [False, True])
@pytest.mark.parametrize("index", BATCHES)
def test_a_revoked_batch_revokes(index: int, is_earlier: bool) -> None:
    run = MemoryRun()
    run.chain.is_earlier = is_earlier
    assert run.evidence.log[index].type == "batch"
    run.chain.revoke(OWNER, run.run_id, index, "a poisoned text")
    verdict = judged_after(run)
    assert (verdict.status, failing(verdict)) == (Status.REVOKED, ["not.revoked"])
    assert f"record {index} (batch)" in verdict.reason
    assert "a poisoned text" in verdict.reason


def test_a_revoked_record_that_is_not_on_the_way_revokes_nothing() -> None:
    """The epoch's `run.close`, say, or a release of another file."""
    run = MemoryRun()
    ways = {0, 1, *BATCHES, 5, 6, 8, 9, 10, 11}
    (index, *_) = (i for i in range(len(run.evidence.log)) if i not in ways)
    run.chain.revoke(OWNER, run.run_id, index, "of no concern")
    assert judged_after(run).status is Status.VERIFIED


def test_a_record_listed_as_revoked_and_told_not_to_be_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(self: MemorySnapshot, run_id: bytes, index: int) -> Revocation | None:
        return None

    run = MemoryRun()
    run.chain.revoke(OWNER, run.run_id, 3, "why")
    monkeypatch.setattr(MemorySnapshot, "revocation", nothing)
    assert judged_after(run).status is Status.INDETERMINATE


def test_a_release_before_the_key_was_revoked_stands_and_says_so() -> None:
    run = MemoryRun()
    run.chain.revoke_signer(OWNER, OWNER, released_in(run) + 1, "laptop stolen")
    verdict = judged_after(run)
    assert verdict.status is Status.VERIFIED
    (_, _, revoked), *_ = run.chain.signers_revoked
    assert f"before the key of {OWNER} was revoked in block {revoked.block_number}" in not_revoked(
        verdict
    )
    assert f"as compromised from {released_in(run) + 1} on" in not_revoked(verdict)
    assert "laptop stolen" in not_revoked(verdict)


def test_a_release_with_a_revoked_key_does_not_count() -> None:
    """The attack: whoever has the key releases a file after its owner revoked it."""
    run = MemoryRun()
    run.chain.revoke_signer(OWNER, OWNER, released_in(run), "laptop stolen")
    verdict = judged_after(run)
    assert (verdict.status, failing(verdict)) == (Status.REVOKED, ["not.revoked"])
    assert "laptop stolen" in verdict.reason
    run.evidence.run_id = b""  # also without evidence
    assert run.judge().status is Status.REVOKED


def test_a_key_revoked_again_counts_from_the_earlier_block() -> None:
    """A thief who revokes first, from a block that suits them, keeps nobody from doing so."""
    run = MemoryRun()
    run.chain.revoke_signer(OWNER, OWNER, run.chain.block_number, "by the thief")
    assert judged_after(run).status is Status.VERIFIED
    run.chain.revoke_signer(OWNER, OWNER, released_in(run), "stolen before")
    assert judged_after(run).status is Status.REVOKED


def test_a_revocation_of_a_key_counts_in_a_final_block_only() -> None:
    run = MemoryRun()
    run.chain.revoke_signer(OWNER, OWNER, 0, "stolen")
    assert run.judge().status is Status.VERIFIED
    assert judged_after(run).status is Status.REVOKED


@pytest.mark.parametrize(
    ("publisher", "status"),
    [
        (Publisher(SIBLING, "me"), Status.REVOKED),
        (Publisher(SIBLING, "somebody else"), Status.VERIFIED),
        (Publisher(SIBLING, "me", 0, 1), Status.VERIFIED),  # was one, and is no more
        (None, Status.VERIFIED),
    ],
    ids=["same team", "another team", "left the team", "stranger"],
)
def test_a_key_is_revoked_by_its_team(publisher: Publisher | None, status: Status) -> None:
    """Else any trusted publisher, or anybody at all, could deny the others."""
    run = MemoryRun()
    more = () if publisher is None else (publisher,)
    run.trust = replace(run.trust, publishers=(*run.trust.publishers, *more))
    run.chain.revoke_signer(SIBLING, OWNER, 0, "lost, and no copy left")
    assert judged_after(run).status is status


def team_until(run: MemoryRun, *periods: tuple[int, int | None]) -> None:
    """Make the sibling a publisher of the owner's name in these blocks."""
    siblings = (Publisher(SIBLING, "me", *period) for period in periods)
    run.trust = replace(run.trust, publishers=(*TRUST.publishers, *siblings))


def test_who_left_the_team_cannot_revoke_its_old_releases() -> None:
    """The attack: what they said as a member is said again, from before everything."""
    run = MemoryRun()
    run.chain.revoke_signer(SIBLING, OWNER, released_in(run) + 1, "laptop stolen")
    said = run.chain.block_number
    team_until(run, (0, said))
    run.chain.mine(100)
    run.chain.revoke_signer(SIBLING, OWNER, 0, "spite")
    verdict = judged_after(run)
    assert verdict.status is Status.VERIFIED
    assert f"revoked in block {said} as compromised from {released_in(run) + 1} on" in (
        not_revoked(verdict)
    )
    assert "laptop stolen" in not_revoked(verdict)
    team_until(run, (0, None))  # as a member they may
    assert judged_after(run).status is Status.REVOKED


def test_who_left_the_team_cannot_undo_what_they_said_in_it() -> None:
    """The attack: a revocation by a member must count whatever the same account says later."""
    run = MemoryRun()
    run.chain.revoke_signer(SIBLING, OWNER, released_in(run), "laptop stolen")
    said = run.chain.block_number
    team_until(run, (0, said))
    run.chain.mine(100)
    for earlier in range(released_in(run) - 1, -1, -1):
        run.chain.revoke_signer(SIBLING, OWNER, earlier, "it was nothing")
    verdict = judged_after(run)
    assert verdict.status is Status.REVOKED
    assert f"was revoked in block {said}, for what it anchored from block {released_in(run)} " in (
        verdict.reason
    )
    assert "laptop stolen" in verdict.reason


def test_a_team_judges_nothing_that_the_account_released_for_another_one() -> None:
    """The attack: it moved to another team, and the one it left says that its key was lost."""
    run = MemoryRun()
    block, me = released_in(run), run.trust.publishers[0]
    elsewhere = replace(me, name="other team")
    sibling = Publisher(SIBLING, "me")
    for here, there, status in (
        (replace(me, to_block=block - 1), replace(elsewhere, from_block=block), Status.VERIFIED),
        (replace(me, from_block=block + 1), replace(elsewhere, to_block=block), Status.VERIFIED),
        (replace(me, to_block=block), replace(elsewhere, from_block=block + 1), Status.REVOKED),
    ):
        moved = MemoryRun()
        assert released_in(moved) == block
        moved.trust = replace(moved.trust, publishers=(here, there, sibling))
        moved.chain.revoke_signer(SIBLING, OWNER, 0, "spite")
        assert judged_after(moved).status is status, (here, there)
        moved.chain.revoke_signer(OWNER, OWNER, 0, "lost")  # its own word counts everywhere
        assert judged_after(moved).status is Status.REVOKED


def test_of_each_time_in_the_team_counts_what_was_said_in_it() -> None:
    """Not what the account said before it joined, or between."""
    run, said = MemoryRun(), []
    first = released_in(run)
    for from_block in (first + 2, first + 1, first, first - 1):
        run.chain.mine(10)
        run.chain.revoke_signer(SIBLING, OWNER, from_block, f"from {from_block}")
        said.append(run.chain.block_number)
    run.chain.mine(3)
    for periods, status in (
        ([(said[1], said[1])], Status.VERIFIED),
        ([(said[1] + 1, said[2] - 1)], Status.VERIFIED),
        ([(said[0], said[0]), (said[1] + 1, said[2] - 1)], Status.VERIFIED),
        ([(said[0], said[0]), (said[2], said[2])], Status.REVOKED),
        ([(said[2], said[2]), (said[3] + 1, None)], Status.REVOKED),
        ([(said[3] + 1, None)], Status.VERIFIED),
    ):
        team_until(run, *periods)
        assert run.judge().status is status, periods
    assert "the key of" not in not_revoked(run.judge())


def test_a_thief_cannot_revoke_a_teams_release_of_a_file() -> None:
    """They release the same file by a run of their own, with a revoked key, and revoke that."""
    run = MemoryRun()
    run.trust = replace(run.trust, publishers=(*run.trust.publishers, Publisher(OTHER, "me")))
    theirs = run.chain.open_run(OTHER, b"\x01" * 32, b"\x02" * 32)
    claim = run.chain.released[0][1]
    late = replace(claim, owner=OTHER, run_id=theirs, block_number=run.chain.mine())
    run.chain.released.append((MODEL, late))
    run.chain.revoked.append((theirs, late.index, Revocation(run.chain.mine(), "spite")))
    assert judged_after(run).status is Status.REVOKED  # while nobody revoked the key
    run.chain.revoke_signer(OTHER, OTHER, late.block_number, "stolen")
    assert judged_after(run).status is Status.VERIFIED


def test_a_registry_of_an_earlier_release_knows_no_revoked_keys() -> None:
    run = MemoryRun()
    run.chain.is_earlier = True
    run.chain.revoke_signer(OWNER, OWNER, 0, "never asked for")
    assert judged_after(run).status is Status.VERIFIED

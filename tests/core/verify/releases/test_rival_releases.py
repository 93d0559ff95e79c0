"""Several trusted publishers released one file: each of their runs is judged by its own evidence.

Each attack is by a publisher whom the trust file names: they claim a file before whoever made it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from eth_account import Account

from provenance.digest import Digest
from provenance.ids import Address, RunId
from provenance.judgement.facts import ClaimFacts, Revocation
from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Status, Verdict
from provenance.log.anchoring import SignedHead
from provenance.log.record import Record
from provenance.log.tree import Head
from provenance.merkle import Tree
from provenance.signing import sign_head
from provenance.verify import LIMITS
from provenance.verify.case import MAX_RUNS
from tests.support.memory_chain import MemorySnapshot
from tests.support.memory_run import DATASET, DOMAIN, MODEL, OWNER, TIME, MemoryEvidence, MemoryRun

RIVAL_KEY = Account.from_key(b"\x02" * 32)
RIVAL = Address(RIVAL_KEY.address.lower())
NOTHING = b"\1" * 32


@dataclass
class Sources:
    """Evidence of several runs. asked: the runs whose evidence was looked for."""

    runs: list[MemoryEvidence]
    asked: list[bytes] = field(default_factory=list)

    def candidates(self, run_id: RunId) -> list[MemoryEvidence]:
        self.asked.append(run_id)
        return [each for run in self.runs for each in run.candidates(run_id)]

    def makers(self, artifact: str) -> list[MemoryEvidence]:
        return [each for run in self.runs for each in run.makers(artifact)]


def contested(run: MemoryRun, name: str = "rival") -> MemoryRun:
    """The rival is a trusted publisher, too."""
    run.trust = replace(run.trust, publishers=(*run.trust.publishers, Publisher(RIVAL, name)))
    return run


def claimed_first(run: MemoryRun) -> ClaimFacts:
    """The rival claims the file in a run of their own; on chain it stands before all others."""
    theirs = RunId(run.chain.open_run(RIVAL, NOTHING, NOTHING))
    claim = replace(run.chain.released[-1][1], owner=RIVAL, run_id=theirs)
    run.chain.released.insert(0, (MODEL, claim))
    run.chain.mine(3)
    return claim


def revoke(run: MemoryRun, claim: ClaimFacts) -> None:
    run.chain.revoked.append((claim.run_id, claim.index, Revocation(run.chain.mine(), "spite")))
    run.chain.mine(3)


def followed(verdict: Verdict) -> str:
    assert verdict.release is not None
    return str(verdict.release["run_id"])


def named(run: bytes, status: str) -> str:
    return f"that no other run made it: rival released it in run 0x{run.hex()} ({status})"


def require_verified(run: MemoryRun, *limits: str) -> None:
    """The verdict is that of the honest run, as if there were no rival; its limits name them."""
    verdict = run.judge()
    assert verdict.status is Status.VERIFIED, verdict.reason
    assert followed(verdict) == "0x" + run.run_id.hex()
    assert verdict.limits == (*LIMITS, *limits)
    assert verdict.claims == run.judge(release=run.run_id).claims


def test_who_claims_a_file_first_without_evidence_denies_nobody() -> None:
    run = contested(MemoryRun())
    claim = claimed_first(run)
    require_verified(run, named(claim.run_id, "indeterminate"))


def test_who_claims_a_file_and_revokes_that_denies_nobody() -> None:
    run = contested(MemoryRun())
    claim = claimed_first(run)
    revoke(run, claim)
    require_verified(run, named(claim.run_id, "revoked"))


def test_who_claims_a_file_in_many_runs_denies_nobody_and_costs_little() -> None:
    run = contested(MemoryRun())
    run.source = source = Sources([run.evidence])
    rivals = [claimed_first(run).run_id for _ in range(MAX_RUNS + 3)][::-1]
    verdict = run.judge()
    assert verdict.status is Status.VERIFIED, verdict.reason
    assert set(source.asked) == {run.run_id, *rivals[:MAX_RUNS]}
    assert verdict.limits == (
        *LIMITS,
        *(named(each, "indeterminate") for each in rivals[:MAX_RUNS]),
        "that no other run made it: rival released it in 3 more runs, which nobody judged",
    )


def test_a_publishers_own_revocation_counts_for_all_that_they_released() -> None:
    """Also that of another address of the same name."""
    run = contested(MemoryRun(), "me")
    revoke(run, claimed_first(run))
    assert run.judge().status is Status.REVOKED


def test_who_takes_another_name_revokes_what_they_released_under_the_old_one() -> None:
    first = MemoryRun()
    border = first.chain.block_number
    second = MemoryRun(chain=first.chain)
    names = (Publisher(OWNER, "me", 0, border), Publisher(OWNER, "we"))
    first.trust = replace(first.trust, publishers=names)
    first.source = Sources([second.evidence, first.evidence])
    assert first.judge().status is Status.VERIFIED
    revoke(first, first.chain.released[1][1])
    assert first.judge().status is Status.REVOKED


# What is not verified does not become so.


def without_evidence(run: MemoryRun) -> None:
    run.source = MemoryEvidence()


def revoked(run: MemoryRun) -> None:
    revoke(run, next(claim for _, claim in run.chain.released if claim.owner == OWNER))


def tampered(run: MemoryRun) -> None:
    run.evidence.log[3] = Record.make("run.close", TIME, status="completed", step=9, summary={})


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (without_evidence, Status.INDETERMINATE),
        (revoked, Status.REVOKED),
        (tampered, Status.INDETERMINATE),
    ],
)
def test_a_claim_without_evidence_verifies_nothing(
    change: Callable[[MemoryRun], None], status: Status
) -> None:
    run = contested(MemoryRun())
    claim = claimed_first(run)
    change(run)
    assert run.judge().status is status
    assert run.judge(release=claim.run_id).status is Status.INDETERMINATE


def copied(run: MemoryRun) -> MemoryEvidence:
    """All that is public of the honest run in a run of the rival's, with a release of their own."""
    chain, log = run.chain, list(run.evidence.log)
    theirs = RunId(chain.open_run(RIVAL, log[0].digest, DATASET))
    chain.draw_seed(theirs)
    log[-1] = Record.make("release", TIME, **log[-1].fields | {"run_id": "0x" + theirs.hex()})
    tree, release = Tree(record.entry for record in log), log[-1]
    head = Head(theirs, len(log), tree.root())
    chain.commit(RIVAL, theirs, 1, head.root, head.size, [])
    names = (Digest.parse(release.fields["model"]), Digest.parse(release.fields["manifest"]))
    proof = tree.inclusion_proof(len(log) - 1)
    chain.release(RIVAL, theirs, 1, *names, release.digest, len(log) - 1, proof)
    chain.released.insert(0, chain.released.pop())
    chain.mine(3)
    signed = [SignedHead(head, 1, sign_head(RIVAL_KEY, head, DOMAIN))]
    return replace(run.evidence, run_id=theirs, log=log, signed=signed)


def test_a_copy_of_somebody_elses_run_neither_verifies_nor_denies() -> None:
    run = contested(MemoryRun())
    theirs = copied(run)
    run.source = Sources([theirs, run.evidence])
    require_verified(run, named(theirs.run_id, "failed"))
    run.source = Sources([theirs])  # the honest evidence is taken away
    assert run.judge().status is not Status.VERIFIED
    assert run.judge(release=theirs.run_id).status is Status.FAILED


def test_of_two_runs_that_hold_the_first_counts_and_the_other_is_named() -> None:
    first = contested(MemoryRun())
    border = first.chain.block_number
    second = MemoryRun(chain=first.chain)
    first.trust = replace(
        first.trust, publishers=(Publisher(OWNER, "me", 0, border), Publisher(OWNER, "rival"))
    )
    first.source = Sources([second.evidence, first.evidence])
    require_verified(first, named(second.run_id, "verified"))
    verdict = first.judge(release=second.run_id)
    assert (followed(verdict), verdict.limits) == ("0x" + second.run_id.hex(), LIMITS)


def test_all_runs_are_judged_by_the_releases_that_were_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, seen = contested(MemoryRun()), list[int]()
    claimed_first(run)
    claims = MemorySnapshot.claims

    def first_time_only(snapshot: MemorySnapshot, model: bytes) -> list[ClaimFacts]:
        seen.append(1)
        return [c for c in claims(snapshot, model) if len(seen) == 1 or c.owner == RIVAL]

    monkeypatch.setattr(MemorySnapshot, "claims", first_time_only)
    assert run.judge().status is Status.VERIFIED
    assert seen == [1]

"""Whoever has a revoked key, or plants evidence, denied somebody else's model. How much is asked.

Each attack succeeded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from provenance.artifacts.identity import NamedFolder
from provenance.digest import sha256
from provenance.errors import VerificationError
from provenance.judgement.facts import ClaimFacts, Revocation
from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Status
from provenance.log.record import Record
from provenance.merkle import Tree
from provenance.verify.protocols import EpochEvidence, RegistrationEvidence
from provenance.verify.s06_lineage import makers
from tests.core.verify.lineage.test_hidden_revocations import (
    OTHER,
    OTHER_KEY,
    REVOKED,
    VERIFIED,
    judged_with,
)
from tests.core.verify.test_ancestry import (
    FILES,
    FIRST,
    Generation,
    claims,
    generations,
    judge,
    merged,
)
from tests.core.verify.test_hidden_ancestors import FirstReleased, Planted, with_decoys
from tests.core.verify.test_planted_evidence import unproven
from tests.support import memory_chain, memory_run
from tests.support.memory_chain import MemoryChain, MemorySnapshot
from tests.support.memory_run import DATASET, OWNER, Believer, MemoryEvidence

# Somebody else's model denied, with a key that was revoked.


class Foreign(Generation):
    """A run of another publisher, whose key its maker has."""

    def __init__(self, *args: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory_run, "KEY", OTHER_KEY)
            patch.setattr(memory_run, "OWNER", OTHER)
            super().__init__(*args)


def twice_begun(log: list[Record]) -> list[Record]:
    return [log[0], *log]


def made_first(*before: Callable[[MemoryChain], None], change: Any = list) -> list[Generation]:
    """A run by another publisher, whose log says that it made a public base, and a child of it."""
    chain = MemoryChain()
    for each in before:
        each(chain)
    other = NamedFolder("base", str(sha256(b"another model")), FILES)
    false, child = Foreign(other, FIRST, chain, change), Generation(FIRST, merged(1), chain)
    child.trust = replace(
        child.trust, publishers=(*child.trust.publishers, Publisher(OTHER, "other"))
    )
    return [false, child]


def key_revoked(chain: MemoryChain) -> None:
    chain.revoke_signer(OTHER, OTHER, 0, "stolen")


@pytest.mark.parametrize("is_bare", [False, True])
@pytest.mark.parametrize("change", [list, twice_begun])
def test_a_run_opened_with_a_revoked_key_accuses_nobody(change: Any, is_bare: bool) -> None:
    runs = made_first(key_revoked, change=change)
    if is_bare:
        runs[0].evidence = replace(unproven(runs[0].evidence), signed=[])
    verdict = judge(runs)
    assert (verdict.status, claims(verdict, "base.traced")) == (VERIFIED, []), verdict.reason


def test_what_was_released_before_the_key_was_said_to_be_stolen_is_revoked() -> None:
    runs = made_first()
    key_revoked(runs[1].chain)
    verdict = judge(runs)
    assert verdict.status is REVOKED
    assert "stolen" in verdict.reason


def test_a_release_after_the_key_was_said_to_be_stolen_accuses_nobody() -> None:
    """The run was logged before, by the publisher, and never released."""
    runs = false, child = made_first()
    key_revoked(child.chain)
    released = child.chain.released
    place = next(at for at, (_, c) in enumerate(released) if c.run_id == false.run_id)
    model, claim = released[place]
    released[place] = (model, replace(claim, block_number=child.chain.mine()))
    verdict = judge(runs)
    assert verdict.status is VERIFIED, verdict.reason
    assert [c.holds for c in claims(verdict, "base.traced")] == [None]


def test_a_release_with_a_stolen_key_revokes_none_that_was_made_before() -> None:
    runs = mother, child = made_first()
    claim = next(c for _, c in child.chain.released if c.run_id == mother.run_id)
    child.chain.mine(2)
    late = replace(claim, index=claim.index - 1, block_number=child.chain.block_number)
    child.chain.released.insert(0, (mother.model, late))
    child.chain.revoked.append(
        (mother.run_id, late.index, Revocation(child.chain.mine(), "by the thief"))
    )
    child.chain.revoke_signer(OTHER, OTHER, late.block_number, "stolen")
    assert mother.evidence.log[late.index].type == "quantize"  # on the way: revoked in itself
    assert judge(runs).status is REVOKED
    child.chain.revoked.pop()
    assert judge(runs).status is VERIFIED


def test_a_run_opened_with_a_revoked_key_has_the_chain_asked_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else its many releases would leave the verdicts of others undetermined."""
    monkeypatch.setattr(makers, "MAX_ASKED", 0)
    assert judge(made_first()).status is Status.INDETERMINATE
    assert judge(made_first(key_revoked)).status is VERIFIED


def test_a_log_that_contradicts_itself_fails_nobody_once_its_key_is_revoked() -> None:
    runs = made_first(change=twice_begun)
    assert judge(runs).status is Status.FAILED  # while nobody revoked the key
    key_revoked(runs[1].chain)
    verdict = judge(runs)
    assert verdict.status is VERIFIED, verdict.reason
    assert [c.holds for c in claims(verdict, "base.traced")] == [None]


# Several folders of one run, and how much is asked.


class Doubter(Believer):
    """Believes every proof but those of one run's epochs."""

    def __init__(self, run_id: bytes) -> None:
        super().__init__()
        self.doubted = run_id

    def check_epoch(self, evidence: EpochEvidence) -> None:
        if evidence.run_id == self.doubted:
            raise VerificationError("proof does not verify")
        super().check_epoch(evidence)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("copies", [0, 1, 2])
def test_a_bare_copy_hides_no_proof_that_does_not_verify(copies: int, first: bool) -> None:
    """Nor does a false proof fail anything, which anyone can put beside a public log."""
    runs = generations(2)
    runs[1].believer = Doubter(runs[0].run_id)
    verdict = judged_with(runs, *[unproven(runs[0].evidence)] * copies, first=first)
    assert verdict.status is Status.INDETERMINATE
    assert "proof does not verify" in verdict.reason
    runs[0].chain.revoke(OWNER, runs[0].run_id, runs[0].index("merge"), "leaked")
    assert judged_with(runs, unproven(runs[0].evidence), first=first).status is REVOKED


def test_false_proofs_of_one_run_matter_not_where_another_made_the_base() -> None:
    chain = MemoryChain()
    runs = [Generation(FIRST, merged(0), chain) for _ in range(2)]
    runs.append(Generation(merged(0), merged(1), chain))
    runs[-1].believer = Doubter(runs[0].run_id)
    verdict = judge(runs)
    assert verdict.status is VERIFIED, verdict.reason
    assert [c.holds for c in claims(verdict, "base.traced")] == [True]


FALSE: dict[str, dict[str, Any]] = {
    "malformed": {"points": [["x"]], "trees": [], "links": []},
    "another dataset's": {"points": [["0x9", "0x9"]], "trees": [], "links": []},
}


class Exact(Believer):
    """Believes a registration only with the points that `MemoryEvidence` has."""

    def check_registration(self, evidence: RegistrationEvidence) -> None:
        if list(evidence.points) != [(1, 2)]:
            raise VerificationError("points are not the registered ones")


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("false", FALSE.values(), ids=FALSE)
def test_false_proofs_beside_a_copy_fail_nobody(false: dict[str, Any], first: bool) -> None:
    runs = generations(2)
    runs[1].believer = Exact()
    planted = replace(runs[0].evidence, registered=false)
    verdict = judged_with(runs, *[planted] * 3, first=first)
    assert verdict.status is VERIFIED, verdict.reason
    assert [c.holds for c in claims(verdict, "base.traced")] == [True]
    verdict = judged_with(runs[1:], planted, first=True)
    assert verdict.status is Status.INDETERMINATE, verdict.reason


def test_what_log_and_chain_contradict_fails_with_and_without_proofs() -> None:
    """The epoch's record names an anchoring that the chain lacks; a copy has no proofs at all."""

    def another(log: list[Record]) -> list[Record]:
        return [
            replace(r, fields={**r.fields, "number": 7}) if "number" in r.fields else r for r in log
        ]

    chain = MemoryChain()
    mother = Generation(FIRST, merged(0), chain, another)
    runs = [mother, Generation(merged(0), merged(1), chain)]
    bare = unproven(mother.evidence)
    for verdict in (
        judged_with(runs, bare),
        judged_with(runs, bare, first=True),
        judged_with(runs[1:], bare, first=True),
    ):
        assert verdict.status is Status.FAILED
        assert "anchoring is not accepted on chain" in verdict.reason


def strangers_log(chain: MemoryChain, child: Generation, owner: str, count: int) -> Planted:
    """A log that says it made the child's base and released many files, under a run on chain."""
    run_id, log = chain.open_run(owner, b"\7" * 32, DATASET), child.evidence.log
    names: dict[str, dict[str, Any]] = {
        "seed": {"run_id": "0x" + run_id.hex()},
        "merge": {"merged": FIRST.content, "merged_files": FIRST.files},
    }
    edited = [replace(r, fields={**r.fields, **names.get(r.type, {})}) for r in log]
    edited[0] = replace(log[0], fields={**log[0].fields, "base": {"content": OWNER, "files": {}}})
    files = (str(sha256(b"junk %d" % number)) for number in range(count))
    edited += [replace(log[-1], fields={**log[-1].fields, "model": file}) for file in files]
    is_false = owner == OWNER
    root = b"\3" * 32 if is_false else Tree(record.entry for record in edited).root()
    chain.commit(owner, run_id, 1, root, len(edited), [])
    return Planted(MemoryEvidence(run_id, edited))


@pytest.mark.parametrize("owner", [OWNER, "0x" + "99" * 20], ids=["publisher", "stranger"])
def test_a_strangers_log_or_one_that_is_not_under_its_head_has_no_file_asked_for(
    monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    asked: list[bytes] = []

    def counted(self: MemorySnapshot, model: bytes) -> list[ClaimFacts]:
        asked.append(model)
        return found(self, model)

    found = MemorySnapshot.claims
    monkeypatch.setattr(MemorySnapshot, "claims", counted)
    chain = MemoryChain()  # its consistency proofs are not the matter here
    monkeypatch.setattr(memory_chain, "verify_consistency", lambda *given: None)
    planted = strangers_log(chain, Generation(FIRST, merged(9), chain), owner, 16)
    child = Generation(FIRST, merged(1), chain)
    assert judge([child], [child]).status is VERIFIED
    alone = len(asked)
    verdict = judge([child], [child, planted])  # type: ignore[list-item]  # its evidence is asked
    assert (verdict.status, len(asked)) == (VERIFIED, 2 * alone)


def test_files_that_nobody_claimed_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a log of n releases would have the chain asked n times n questions."""
    asked: list[bytes] = []

    def counted(self: MemorySnapshot, model: bytes) -> list[ClaimFacts]:
        asked.append(model)
        return found(self, model)

    found = MemorySnapshot.claims
    chain = MemoryChain()
    mother = FirstReleased(FIRST, merged(0), chain, with_decoys)
    child = Generation(merged(0), merged(1), chain)
    monkeypatch.setattr(MemorySnapshot, "claims", counted)
    copies = [Planted(mother.evidence)] * 3
    assert judge([child], [*copies, mother, child]).status is VERIFIED  # type: ignore[list-item]
    assert len(asked) <= 2 * 65 + 1  # for the base, for its weights, for the file in question

"""Bad or planted evidence, which hid what was revoked of a base's run.

Each attack succeeded once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from provenance.errors import InputError
from provenance.ids import Address, RunId
from provenance.judgement.facts import ClaimFacts, Revocation
from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Status, Verdict
from provenance.layout import RunFolder
from provenance.log.anchoring import SignedHead
from provenance.log.journal import Journal
from provenance.merkle import Tree
from provenance.signing import head_digest
from provenance.verify.protocols import Evidence
from provenance.verify.s06_lineage import makers
from provenance.verify.sources.evidence import FolderSource
from tests.core.verify.test_ancestry import (
    FIRST,
    Generation,
    Several,
    claims,
    generations,
    judge,
    merged,
)
from tests.core.verify.test_hidden_ancestors import FirstReleased, Planted, with_decoys
from tests.core.verify.test_partly_known_bases import note
from tests.core.verify.test_planted_evidence import forked, signed
from tests.support.core.log_maker import MERGED_NAME, LogMaker, released
from tests.support.memory_chain import MemoryChain
from tests.support.memory_run import DOMAIN, OWNER, MemoryEvidence

OTHER_KEY = Account.from_key(b"\x02" * 32)
OTHER = OTHER_KEY.address.lower()
REVOKED, VERIFIED = Status.REVOKED, Status.VERIFIED


@dataclass
class Folders(Several):
    """Evidence of several runs, and of folders beside it."""

    runs: list[Any]
    planted: list[MemoryEvidence] = field(default_factory=list)

    def candidates(self, run_id: RunId) -> Sequence[Evidence]:
        more = [each for one in self.planted for each in one.candidates(run_id)]
        return [*super().candidates(run_id), *more]


def revoked_mother() -> list[Generation]:
    runs = generations(2)
    runs[0].chain.revoke(OWNER, runs[0].run_id, runs[0].index("checkpoint"), "leaked")
    return runs


def judged_with(
    runs: Sequence[Generation], *planted: MemoryEvidence, first: bool = False
) -> Verdict:
    child = runs[-1]
    ahead = [Planted(each) for each in planted] if first else []
    child.source = Folders([*ahead, *runs], [] if first else list(planted))
    child.chain.mine(3)
    return child.judge(subject=str(child.model))


def require_revoked(verdict: Verdict) -> None:
    assert verdict.status is REVOKED, verdict.reason
    assert "which made the base by its log: record 6 (checkpoint) was revoked" in verdict.reason
    assert "no run at hand" not in note(verdict, merged(0))


# What is revoked of a base's run, hidden.


def claimed_again(chain: MemoryChain, mother: Generation, owner: str) -> ClaimFacts:
    """The mother's file released once more, in another run, and that release revoked."""
    run_id = chain.open_run(owner, b"\1" * 32, b"\2" * 32)
    claim = next(each for model, each in chain.released if model == mother.model)
    other = replace(claim, owner=Address(owner), run_id=RunId(run_id), block_number=chain.mine())
    chain.released.append((mother.model, other))
    chain.revoked.append((run_id, other.index, Revocation(chain.mine(), "spite")))
    return other


@pytest.mark.parametrize("owner", [OWNER, OTHER])
def test_a_revoked_release_of_the_file_by_another_run_hides_nothing(owner: str) -> None:
    mother, child = revoked_mother()
    claimed_again(child.chain, mother, owner)
    child.trust = replace(
        child.trust, publishers=(*child.trust.publishers, Publisher(OTHER, "other"))
    )
    require_revoked(judge([mother, child]))


def test_one_run_is_asked_for_by_name_and_another_runs_revoked_release_is_not_its_own() -> None:
    mother, child = generations(2)
    claimed_again(child.chain, mother, OWNER)
    child.source = Several([mother, child])
    child.chain.mine(3)
    assert child.judge(subject=str(mother.model)).status is REVOKED
    verdict = child.judge(subject=str(mother.model), release=mother.run_id)
    assert verdict.status is VERIFIED, verdict.reason


def test_a_second_release_of_the_file_hides_no_revoked_one_of_the_same_run() -> None:
    mother, child = generations(2)
    claim = next(each for model, each in child.chain.released if model == mother.model)
    again = replace(claim, index=claim.index - 1, block_number=child.chain.mine())
    child.chain.released.insert(0, (mother.model, again))
    child.chain.revoke(OWNER, mother.run_id, claim.index, "leaked")
    assert judge([mother, child]).status is REVOKED


def zeros(evidence: MemoryEvidence) -> MemoryEvidence:
    return replace(evidence, signed=[replace(s, signature=bytes(65)) for s in evidence.signed])


class Malformed(MemoryEvidence):
    def heads(self) -> Sequence[SignedHead]:
        raise InputError("malformed heads.jsonl")


def with_fork(mother: Generation) -> MemoryEvidence:
    return replace(mother.evidence, signed=[*mother.evidence.signed, signed(forked(mother))])


SIGNATURES: dict[str, Callable[[Generation], MemoryEvidence]] = {
    "zeros": lambda mother: zeros(mother.evidence),
    "malformed": lambda mother: Malformed(**vars(mother.evidence)),
    "fork": with_fork,
}


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("bad", SIGNATURES.values(), ids=SIGNATURES)
def test_bad_signatures_hide_nothing_that_was_revoked(
    bad: Callable[[Generation], MemoryEvidence], beside: bool
) -> None:
    """In the place of the good ones, or in a copy beside a folder without any."""
    runs = revoked_mother()
    planted = bad(runs[0])
    runs[0].evidence.signed = []
    if beside:
        require_revoked(judged_with(runs, planted))
    runs[0].evidence = planted
    require_revoked(judge(runs))


def test_a_run_whose_signatures_are_bad_is_named_and_not_followed() -> None:
    for bad in SIGNATURES.values():
        runs = generations(2)
        runs[0].evidence = bad(runs[0])
        verdict = judge(runs)
        assert [c.holds for c in claims(verdict, "base.traced")] == [None]
        said = f"run 0x{runs[0].run_id.hex()} of me made it by its anchored log"
        assert said in note(verdict, merged(0))


def test_a_contract_that_no_longer_accepts_a_signature_hides_nothing() -> None:
    """An owner of the wallet left; the registry has the head all the same."""
    runs = mother, child = revoked_mother()
    code = "0x" + "77" * 32
    accepted = {(bytes(head_digest(s.head, DOMAIN)), s.signature) for s in child.evidence.signed}
    child.chain.wallets[OWNER] = (code, accepted)
    child.trust = replace(child.trust, publishers=(Publisher(OWNER, "me", 0, None, code),))
    assert mother.run_id != child.run_id
    require_revoked(judge(runs))


def test_more_releases_than_are_asked_for_leave_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 files released behind the one that counts; then as many, and one fewer asked for."""
    for most, status in ((65, REVOKED), (64, Status.INDETERMINATE)):
        monkeypatch.setattr(makers, "MAX_ASKED", most)
        chain = MemoryChain()
        mother = FirstReleased(FIRST, merged(0), chain, with_decoys)
        child = Generation(merged(0), merged(1), chain)
        chain.revoke(OWNER, mother.run_id, mother.index("checkpoint"), "leaked")
        verdict = judge([mother, child])
        assert verdict.status is status, verdict.reason
    assert "more releases than are asked for" in verdict.reason


@pytest.mark.parametrize("cut", [1, 2])
def test_a_tail_that_is_not_the_logs_hides_nothing_before_it(cut: int) -> None:
    """The run went on behind its release; what is at hand of that was damaged."""
    mother, child = runs = revoked_mother()
    released = next(each for model, each in child.chain.released if model == mother.model)
    log = mother.evidence.log
    log += [replace(log[-1], time=f"2026-02-0{day}T00:00:00Z") for day in (1, 2)]
    child.chain.heads.append(
        (mother.run_id, 3, replace(child.chain.heads[-1][2], size=len(log), root=b"\7" * 32))
    )
    child.chain.heads.sort(key=lambda head: head[1])
    assert released.index < len(log) - cut
    mother.evidence.log = log[:-cut]
    require_revoked(judge(runs))


@pytest.mark.parametrize("record", ["merge", "quantize"])
def test_a_log_cut_short_before_its_release_is_named(record: str) -> None:
    """An earlier head lies behind this record, and the release under a later one."""
    mother, child = runs = generations(2)
    heads, log, size = child.chain.heads, mother.evidence.log, mother.index(record) + 1
    place = next(at for at, (run_id, _, _) in enumerate(heads) if run_id == mother.run_id)
    _, seq, last = heads[place]
    root = Tree(each.entry for each in log[:size]).root()
    earlier = (mother.run_id, seq, replace(last, size=size, root=root))
    heads[place : place + 1] = [earlier, (mother.run_id, seq + 1, last)]
    place = next(at for at, (_, c) in enumerate(child.chain.released) if c.run_id == mother.run_id)
    model, claim = child.chain.released[place]
    child.chain.released[place] = (model, replace(claim, seq=seq + 1))
    assert [c.holds for c in claims(judge(runs), "base.traced")] == [True]
    mother.evidence.log = log[:size]
    verdict = judge(runs)
    assert [c.holds for c in claims(verdict, "base.traced")] == [None]
    said = f"run 0x{mother.run_id.hex()} of me made it by its anchored log, but no release"
    assert said in note(verdict, merged(0))


def test_a_folder_that_calls_itself_another_runs_hides_nothing() -> None:
    class Misnamed(MemoryEvidence):
        def candidates(self, run_id: bytes) -> list[MemoryEvidence]:
            return []

    runs = revoked_mother()
    runs[0].evidence = Misnamed(**vars(runs[0].evidence))
    require_revoked(judge(runs))


def test_evidence_of_one_folder_is_the_same_however_it_was_found(tmp_path: Path) -> None:
    """Else a folder would be tried twice: as found by its log, and as found by its run."""
    for name in ("run", "copy"):
        folder = RunFolder(tmp_path / name)
        folder.journal.parent.mkdir(parents=True)
        with Journal.create(folder.journal, {"format": "test"}) as journal:
            for record in released(LogMaker()).records:
                journal.append(record.to_bytes())
    each = [
        one for at in (tmp_path, tmp_path / "run") for one in FolderSource([at]).makers(MERGED_NAME)
    ]
    assert (len(each), len(set(each))) == (3, 2)

"""Whoever can put a folder beside the evidence can hide nothing, and can accuse nobody falsely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from provenance.errors import InputError
from provenance.judgement.verdict import Grade, Status, Verdict
from provenance.log.anchoring import SignedHead
from provenance.log.tree import Head
from provenance.merkle import Tree
from provenance.signing import sign_head
from provenance.verify.case import MAX_ATTEMPTS
from provenance.verify.protocols import Difference
from tests.core.verify.test_recomputation import Inspector
from tests.core.verify.test_recomputation import Run as Weighed
from tests.support.memory_run import DOMAIN, KEY, MemoryEvidence, MemoryRun
from tests.support.spine import failing


@dataclass
class Folders:
    """The evidence of several folders of one run, in this order."""

    run: MemoryRun
    each: Sequence[MemoryEvidence]

    def candidates(self, run_id: bytes) -> list[MemoryEvidence]:
        return list(self.each) if run_id == self.run.run_id else []

    def makers(self, artifact: str) -> list[MemoryEvidence]:
        return [found for one in self.each for found in one.makers(artifact)]

    def judge(self) -> Verdict:
        self.run.source = self
        return self.run.judge()


def unreadable(evidence: MemoryEvidence) -> MemoryEvidence:
    """A folder whose heads cannot be read."""

    class Damaged(MemoryEvidence):
        def heads(self) -> list[SignedHead]:
            raise InputError("heads.jsonl is malformed")

    return Damaged(**vars(evidence))


def signed(head: Head) -> SignedHead:
    return SignedHead(head, 1, sign_head(KEY, head, DOMAIN))


def forked(run: MemoryRun) -> Head:
    return Head(run.run_id, 3, b"\5" * 32)


def unproven(evidence: MemoryEvidence) -> MemoryEvidence:
    """A copy of what is public in any case: the log and its heads."""
    return replace(evidence, keys={}, registered=None)


@pytest.mark.parametrize("planted", [1, 2, MAX_ATTEMPTS - 1])
def test_a_log_without_proofs_hides_no_proofs(planted: int) -> None:
    run = MemoryRun()
    good = run.evidence
    assert Folders(run, [unproven(good)]).judge().status is not Status.VERIFIED
    run = MemoryRun()
    good = run.evidence
    verdict = Folders(run, [*[unproven(good)] * planted, good]).judge()
    assert verdict.status is Status.VERIFIED, verdict.reason


def test_heads_of_one_folder_serve_the_proofs_of_another() -> None:
    run = MemoryRun()
    verdict = Folders(run, [replace(run.evidence, signed=[]), unproven(run.evidence)]).judge()
    assert verdict.status is Status.VERIFIED, verdict.reason


def test_folders_beyond_the_most_attempts_are_not_tried() -> None:
    run = MemoryRun()
    good = run.evidence
    verdict = Folders(run, [*[unproven(good)] * MAX_ATTEMPTS, good]).judge()
    assert verdict.status is not Status.VERIFIED


def test_a_head_that_the_runs_key_did_not_sign_accuses_nobody() -> None:
    run = MemoryRun()
    head = signed(forked(run))
    run.evidence.signed.append(replace(head, signature=bytes(65)))
    assert run.judge().status is Status.VERIFIED


def test_a_prefix_that_nobody_signed_is_no_signature_of_the_release() -> None:
    """Prefixes are not checked one by one; the released head must be signed all the same."""
    run = MemoryRun()
    (released,) = [each for each in run.evidence.signed if each.head.size == len(run.evidence.log)]
    earlier = Head(run.run_id, 1, Tree([run.evidence.log[0].entry]).root())
    forged = [replace(released, signature=bytes(65)), signed(earlier)]
    verdict = Folders(run, [replace(run.evidence, signed=forged)]).judge()
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    assert "lacks the signature of head" in verdict.reason
    verdict = Folders(run, [replace(run.evidence, signed=[*forged, released])]).judge()
    assert verdict.status is Status.VERIFIED, verdict.reason


@pytest.mark.parametrize("first", [True, False])
def test_a_signed_fork_counts_wherever_it_lies(first: bool) -> None:
    """Also beside a log that is not the anchored one, and after a folder that would verify."""
    run = MemoryRun()
    good = run.evidence
    other = replace(good, log=good.log[:1], signed=[signed(forked(run))])
    verdict = Folders(run, [other, good] if first else [good, other]).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["head.signed"])
    assert "two histories" in verdict.reason


def without_weights(evidence: MemoryEvidence) -> MemoryEvidence:
    copy = replace(evidence)
    copy.adapter_at = None
    copy.merged_at = None
    return copy


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("what", ["quantized", "merge"])
def test_a_copy_without_weights_hides_no_contradiction(
    tmp_path: Path, what: str, first: bool
) -> None:
    """The weights at hand are the logged ones, so they count wherever they lie."""
    run = Weighed(tmp_path)
    full = run.memory.evidence
    bare = without_weights(full)
    run.memory.source = Folders(run.memory, [bare, full] if first else [full, bare])
    verdict = run.judge(Inspector(**{what: [Difference("w", "1", "2")]}), base=run.base)
    assert verdict.status is Status.FAILED, verdict.reason
    assert set(failing(verdict)) <= {"file.recomputed", "merge.recomputed"}


@pytest.mark.parametrize("planted", [MAX_ATTEMPTS, MAX_ATTEMPTS + 1])
def test_copies_without_weights_hide_no_contradiction_however_many_they_are(
    tmp_path: Path, planted: int
) -> None:
    run = Weighed(tmp_path)
    full = run.memory.evidence
    run.memory.source = Folders(run.memory, [*[without_weights(full)] * planted, full])
    verdict = run.judge(Inspector(quantized=[Difference("w", "1", "2")]), base=run.base)
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["file.recomputed"])


def test_of_more_folders_than_are_tried_none_verifies() -> None:
    """One that was not tried may contradict it: whoever plants copies of the log gains nothing."""
    run = MemoryRun()
    assert Folders(run, [run.evidence] * MAX_ATTEMPTS).judge().status is Status.VERIFIED
    verdict = Folders(run, [run.evidence] * (MAX_ATTEMPTS + 1)).judge()
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    assert f"{MAX_ATTEMPTS + 1} folders hold the run's log" in verdict.reason


def test_a_signature_or_a_file_that_is_planted_accuses_nobody() -> None:
    run = MemoryRun()
    bare = replace(run.evidence, signed=[])
    planted = replace(bare, signed=[replace(run.evidence.signed[-1], signature=bytes(65))])
    for folders in ([bare, planted], [planted], [bare, unreadable(bare)]):
        verdict = Folders(run, folders).judge()
        assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, []), verdict.reason
    assert "cannot be read: heads.jsonl is malformed" in verdict.reason


def test_a_copy_without_weights_takes_nothing_from_the_grades(tmp_path: Path) -> None:
    run = Weighed(tmp_path)
    full = run.memory.evidence
    run.memory.source = Folders(run.memory, [without_weights(full), full])
    verdict = run.judge(Inspector(), base=run.base)
    grades = {edge.kind: edge.grade for edge in verdict.edges}
    assert grades["quantized_from"] is grades["merged_from"] is Grade.RECOMPUTED


def test_other_weights_in_a_copy_contradict_nothing(tmp_path: Path) -> None:
    run = Weighed(tmp_path)
    full = run.memory.evidence
    foreign = replace(full)
    foreign.adapter_at = run.base
    foreign.merged_at = run.base
    run.memory.source = Folders(run.memory, [foreign, full])
    verdict = run.judge(Inspector(), base=run.base)
    assert verdict.status is Status.VERIFIED, verdict.reason


def test_a_folder_that_vanishes_between_attempts_ends_nothing() -> None:
    run = MemoryRun()
    good = run.evidence

    class Vanishing(Folders):
        def candidates(self, run_id: bytes) -> list[MemoryEvidence]:
            found, self.each = super().candidates(run_id), [good]
            return found

    verdict = Vanishing(run, [unproven(good), good]).judge()
    assert verdict.status is Status.VERIFIED

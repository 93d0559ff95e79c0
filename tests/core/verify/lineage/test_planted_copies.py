"""Copies of the public log of a base's run, in front of the good folder, and what they cost.

Each attack succeeded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance.digest import Digest, sha256
from provenance.errors import VerificationError
from provenance.judgement.policy import Policy
from provenance.judgement.verdict import Edge, Grade, Status, Verdict
from provenance.log.record import Record
from provenance.merkle import Tree
from provenance.verify.case import Artifact, Case, Options
from provenance.verify.claims import Notes, Report
from provenance.verify.protocols import RegistrationEvidence
from provenance.verify.s06_lineage import trials
from provenance.verify.s10_policy import decide
from tests.core.verify.lineage.test_asked_in_time import blending
from tests.core.verify.lineage.test_hidden_revocations import REVOKED, VERIFIED, Folders
from tests.core.verify.test_ancestry import FIRST, Generation, claims, generations, merged
from tests.core.verify.test_hidden_ancestors import Planted
from tests.core.verify.test_planted_evidence import unproven
from tests.support.memory_chain import MemoryChain, MemorySnapshot
from tests.support.memory_run import MODEL, OWNER, Believer, MemoryEvidence, MemoryRun

FALSE: dict[str, Any] = {"points": [["0x1", "0x2"]], "trees": ["false"], "links": []}


class Counting(Believer):
    """Believes no registration that is marked as false, and counts what it was asked."""

    asked = 0

    def check_registration(self, evidence: RegistrationEvidence) -> None:
        self.asked += 1
        if list(evidence.trees) == ["false"]:
            raise VerificationError("proof is false")


def false(evidence: MemoryEvidence) -> MemoryEvidence:
    return replace(evidence, registered=FALSE)


def weighed(evidence: MemoryEvidence) -> MemoryEvidence:
    """An empty folder of weights lies beside the log."""
    return replace(unproven(evidence), merged_at=Path())


def judged(runs: Sequence[Generation], copies: Sequence[MemoryEvidence]) -> Verdict:
    """With copies in front of the folders of these runs."""
    child = runs[-1]
    child.source = Folders([*map(Planted, copies), *runs])
    child.believer = Counting()
    child.chain.mine(3)
    return child.judge(subject=str(child.model))


@pytest.mark.parametrize("count", [7, 8, 40])
@pytest.mark.parametrize("copy", [unproven, false, weighed])
def test_copies_in_front_of_the_good_folder_change_nothing(copy: Any, count: int) -> None:
    runs = generations(3)
    copies = [copy(run.evidence) for run in runs[:1] for _ in range(count)]
    verdict = judged(runs, copies)
    assert verdict.status is VERIFIED, verdict.reason
    assert [c.holds for c in claims(verdict, "base.traced")] == [True]
    runs[0].chain.revoke(OWNER, runs[0].run_id, runs[0].index("merge"), "leaked")
    assert judged(runs, copies).status is REVOKED


def test_more_false_copies_than_are_tried_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """They leave no verdict that a good folder would contradict, or that lies without one."""
    monkeypatch.setattr(trials, "MAX_FALSE", 4)
    runs = mother, child = generations(2)
    assert judged(runs, [false(mother.evidence)] * 3).status is VERIFIED
    verdict = judged(runs, [false(mother.evidence) for _ in range(5)])
    assert verdict.status is Status.INDETERMINATE
    said = f"6 folders hold the log of run 0x{mother.run_id.hex()} of me, and not all of them"
    assert said in verdict.reason
    assert "name the folder that counts (--evidence FOLDER)" in verdict.reason
    bare = judged(runs, [unproven(mother.evidence) for _ in range(9)])
    assert bare.status is VERIFIED  # they cost nothing, so none is left out
    mother.chain.revoke(OWNER, mother.run_id, mother.index("merge"), "leaked")
    assert judged(runs, [false(mother.evidence) for _ in range(5)]).status is REVOKED
    assert child.run_id != mother.run_id


class Many(Generation):
    """A run that released all files that its log names as released."""

    def release(self) -> None:
        run = self.chain.latest().run(self.run_id)
        assert run is not None
        seq, log = (
            self.commit() if run.size < len(self.evidence.log) else run.seq,
            self.evidence.log,
        )
        tree = Tree(record.entry for record in log)
        for index, record in enumerate(log):
            if record.type == "release":
                model, manifest = (Digest.parse(record.fields[n]) for n in ("model", "manifest"))
                path = tree.inclusion_proof(index)
                given = (OWNER, self.run_id, seq, model, manifest, record.digest, index, path)
                self.chain.release(*given)


def releasing(count: int) -> list[Generation]:
    def more(log: list[Record]) -> list[Record]:
        quantize, release = next(r for r in log if r.type == "quantize"), log[-1]
        files = [str(sha256(b"file %d" % number)) for number in range(count - 1)]
        for file in files:
            log = [*log, replace(quantize, fields={**quantize.fields, "file": file})]
            log = [*log, replace(release, fields={**release.fields, "model": file})]
        return log

    chain = MemoryChain()
    mother = Many(FIRST, merged(0), chain, more)
    return [mother, Generation(merged(0), merged(1), chain)]


def test_work_does_not_grow_with_releases_times_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each log is judged with each folder once, and the chain is asked each question once."""
    questions: list[tuple[bytes, int]] = []
    found = MemorySnapshot.head

    def counted(self: MemorySnapshot, run_id: bytes, seq: int) -> Any:
        questions.append((run_id, seq))
        return found(self, run_id, seq)

    runs = mother, child = releasing(81)
    monkeypatch.setattr(MemorySnapshot, "head", counted)
    copies = [false(mother.evidence) for _ in range(8)]
    verdict = judged(runs, copies)
    assert [c.holds for c in claims(verdict, "base.traced")] == [True]
    assert isinstance(child.believer, Counting)
    assert child.believer.asked == 8 + 1 + 1  # the good folder, and the run in question
    assert len(questions) < 20
    releases = [i for i, r in enumerate(mother.evidence.log) if r.type == "release"]
    mother.chain.revoke(OWNER, mother.run_id, releases[40], "one of 81")
    assert judged(runs, copies).status is REVOKED


def test_a_run_that_is_asked_for_twice_is_judged_once() -> None:
    """A step took its model, and its file."""
    chain = MemoryChain()
    maker = Generation(FIRST, merged("maker"), chain)
    inputs = [merged("own").name, merged("maker").name, str(maker.model)]
    step = blending(inputs, merged("blend"))
    mixer = Generation(merged("other"), merged("own"), chain, step)
    child = Generation(merged("blend"), merged("child"), chain)
    verdict = judged([maker, mixer, child], [])
    assert [c.holds for c in claims(verdict, "base.traced")] == [True]
    assert isinstance(child.believer, Counting)
    assert child.believer.asked == 3


@pytest.mark.parametrize("kind", ["committed_as", "merged_from", "trained_on"])
def test_a_demand_on_a_kind_is_not_met_by_another_runs_edges(kind: str) -> None:
    """The run in question has no proofs of its weights; the one that made its base has."""
    policy = Policy(require=frozenset(), edges={kind: Grade.DECLARED})
    for ancestors in ([], [Edge(kind, "weights", "table", Grade.RECOMPUTED)]):
        report = Report(ancestors=ancestors)
        verifier = MemoryRun().verifier(policy)
        case = Case(Artifact(MODEL, "model"), verifier, Options(), Notes(report))
        outcome = decide(case, report)
        assert outcome.status is Status.POLICY_DENIED
        assert "no such edge" in outcome.reason

"""What auditors signed about a run that made a base counts for what is made of it, too.

A model failed by an auditor's word once, and what its publisher made of it verified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance.ids import Word
from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Status, Verdict
from provenance.layout import RunFolder
from provenance.log.audit.attestation import Attestation
from provenance.log.audit.kept import to_line
from provenance.verify.s09_recomputation import audited
from provenance.verify.sources.evidence import FolderEvidence
from tests.core.verify.lineage.test_denied_bases import Foreign
from tests.core.verify.lineage.test_hidden_revocations import OTHER, judged_with
from tests.core.verify.replay.test_audited_claim import STRANGER, A, B
from tests.core.verify.test_ancestry import FIRST, Generation, claims, generations, judge, merged
from tests.core.verify.test_planted_evidence import unproven
from tests.support.core.auditors import MadeAuditor, audit_of, trusting
from tests.support.memory_chain import MemoryChain


def said(run: Generation, by: MadeAuditor, outcome: str, number: int = 7) -> Attestation:
    """The word of somebody who trained a run's only segment again."""
    nonce = Word(bytes([number]) * 32)
    return by.sign(audit_of(run, wanted=1, nonce=nonce, outcomes={0: outcome}))


def mother_and_child() -> list[Generation]:
    runs = generations(2)
    runs[1].trust = trusting(runs[1].trust, 1, A, B)
    runs[0].chain.mine(3)
    return runs


def holds(verdict: Verdict) -> Sequence[bool | None]:
    return [claim.holds for claim in claims(verdict, "base.traced")]


@pytest.mark.parametrize("by", [A, STRANGER], ids=["auditor", "stranger"])
def test_a_base_whose_training_ends_elsewhere_fails_what_is_made_of_it(by: MadeAuditor) -> None:
    runs = mother_and_child()
    runs[0].evidence.attested = [said(runs[0], B, "exact"), said(runs[0], by, "different")]
    verdict = judge(runs)
    assert holds(verdict) == [by is STRANGER], verdict.reason
    assert ('segment 0 came out different for "Anna"' in verdict.reason) is (by is A)


@pytest.mark.parametrize("outcome", ["exact", "close", "unknown"])
def test_no_other_word_takes_anything_from_a_base(outcome: str) -> None:
    runs = mother_and_child()
    runs[0].evidence.attested = [said(runs[0], A, outcome)]
    assert holds(judge(runs)) == [True]


@pytest.mark.parametrize("first", [True, False])
def test_it_counts_in_whatever_folder_it_lies(first: bool) -> None:
    """Also beside a log whose proofs were taken away."""
    runs = mother_and_child()
    word = [said(runs[0], A, "different")]
    alone = replace(runs[0].evidence, log=[], attested=word)
    assert holds(judged_with(runs, alone, first=first)) == [False]
    bare = replace(unproven(runs[0].evidence), attested=word)
    assert holds(judged_with(runs[1:], bare, first=True)) == [False]


def test_false_lines_without_end_do_not_hide_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audited, "MAX_ATTESTATIONS", 4)
    runs = mother_and_child()
    junk = [replace(said(runs[0], B, "exact", n), signature=bytes(65)) for n in range(4)]
    runs[0].evidence.attested = [*junk, said(runs[0], A, "different")]
    verdict = judge(runs)
    assert (verdict.status, holds(verdict)) == (Status.INDETERMINATE, [None])
    assert "more than 4 lines in the name of auditors" in verdict.reason


def test_signatures_are_checked_once_for_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else false lines times planted folders would cost minutes."""
    checked: list[Attestation] = []
    original = Attestation.require_signed

    def counted(self: Attestation, domain: Any) -> None:
        checked.append(self)
        original(self, domain)

    monkeypatch.setattr(Attestation, "require_signed", counted)
    runs = mother_and_child()
    runs[0].evidence.attested = [said(runs[0], A, "exact")]
    false = {"points": [["x"]], "trees": [], "links": []}
    copies = [replace(runs[0].evidence, registered=false) for _ in range(9)]
    assert holds(judged_with(runs, *copies, first=True)) == [True]
    assert len(checked) == 1


def test_a_file_of_lines_is_read_once(tmp_path: Path) -> None:
    """Each reading takes of the budget of a folder's evidence."""
    folder = RunFolder(tmp_path)
    folder.attestations.parent.mkdir()
    run = mother_and_child()[0]
    folder.attestations.write_bytes(to_line(said(run, A, "exact")))
    evidence = FolderEvidence(folder)
    assert len(evidence.attestations()) == 1
    folder.attestations.unlink()
    assert len(evidence.attestations()) == 1


def test_a_rivals_run_that_an_auditor_refutes_denies_nobody() -> None:
    chain = MemoryChain()
    honest, rival = Generation(FIRST, merged(0), chain), Foreign(merged(7), merged(0), chain)
    child = Generation(merged(0), merged(1), chain)
    child.trust = replace(
        child.trust, publishers=(*child.trust.publishers, Publisher(OTHER, "other"))
    )
    child.trust = trusting(child.trust, 1, A)
    chain.mine(3)
    rival.evidence.attested = [said(rival, A, "different")]
    assert holds(judge([rival, honest, child])) == [True]
    assert holds(judge([child], [rival, child])) == [False]

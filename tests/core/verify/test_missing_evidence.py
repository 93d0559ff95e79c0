"""Evidence that is missing contradicts nothing, and whoever takes it away gains nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import MissingEvidence, VerificationError
from provenance.judgement.policy import ALWAYS_REQUIRED, DEFAULT_REQUIRED, Policy
from provenance.judgement.verdict import Status, Verdict
from provenance.verify.case import MAX_ATTEMPTS
from provenance.verify.protocols import Difference, SampleEvidence, Sampling
from provenance_zk.checker.requirements import Wanted
from tests.core.verify.test_planted_evidence import Folders, unproven
from tests.core.verify.test_recomputation import Inspector
from tests.core.verify.test_recomputation import Run as Weighed
from tests.core.verify.test_verify_samples import Sampled
from tests.core.verify.test_verify_samples import judge as judge_sampled
from tests.support.memory_run import EPOCH_KEY, TREE_KEY, MemoryEvidence, MemoryRun, word
from tests.support.spine import failing

POLICIES = {
    "default": Policy(),
    "weakest": Policy(require=ALWAYS_REQUIRED),
    "warn": Policy(require=ALWAYS_REQUIRED, mode="warn"),
}


def open_claims(verdict: Verdict) -> dict[str, str]:
    """What is not checked, with what it needs."""
    return {c.id: str(c.needs) for c in verdict.claims if c.holds is None}


def no_registration(evidence: MemoryEvidence) -> None:
    evidence.registered = None


def no_epoch_key(evidence: MemoryEvidence) -> None:
    del evidence.keys[word(EPOCH_KEY)]


def no_tree_key(evidence: MemoryEvidence) -> None:
    del evidence.keys[word(TREE_KEY)]


def no_bases(evidence: MemoryEvidence) -> None:
    evidence.key_bases = lambda vk_id: None  # type: ignore[method-assign]


def no_heads(evidence: MemoryEvidence) -> None:
    evidence.signed = []


def no_end_of_the_journal(evidence: MemoryEvidence) -> None:
    evidence.log = evidence.log[:-1]


def no_journal(evidence: MemoryEvidence) -> None:
    evidence.log = []


MISSING: dict[str, tuple[Callable[[MemoryEvidence], None], str, str]] = {
    "registration": (no_registration, "dataset.registered", "dataset/registration.json"),
    "epoch key": (no_epoch_key, "dataset.registered", "vk.words"),
    "tree key": (no_tree_key, "dataset.registered", "vk.words"),
    "bases of P": (no_bases, "epoch.proven", "p_bases.bin"),
    "heads": (no_heads, "head.signed", "heads.jsonl"),
    "end of the journal": (no_end_of_the_journal, "release.logged", "journal"),
    "journal": (no_journal, "release.logged", "journal"),
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize(("take", "claim", "file"), MISSING.values(), ids=MISSING)
def test_missing_evidence_is_not_checked_and_says_which_file(
    take: Callable[[MemoryEvidence], None], claim: str, file: str, policy: Policy
) -> None:
    """Also where the policy asks for none of it: a verdict never rests on what was taken away."""
    run = MemoryRun()
    take(run.evidence)
    verdict = run.judge(policy)
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    held = {c.id for c in verdict.claims if c.holds}
    assert not held & {claim, "epoch.proven", "order.recomputed"} or claim == "head.signed"
    needs = open_claims(verdict)[claim]
    assert file in needs
    assert "publisher's evidence folder" in needs
    assert claim in verdict.reason
    assert claim not in held


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("take", [row[0] for row in MISSING.values()], ids=MISSING)
def test_whoever_takes_evidence_away_never_has_a_false_run_let_through(
    take: Callable[[MemoryEvidence], None], policy: Policy
) -> None:
    """The proofs of the run do not hold; without some file they cannot be judged."""

    class Doubter:
        def check_registration(self, evidence: object) -> None:
            raise VerificationError("proof is false")

        def check_epoch(self, evidence: object) -> None:
            raise VerificationError("proof is false")

    run = MemoryRun()
    run.believer = Doubter()  # type: ignore[assignment]
    assert run.judge(policy).status is Status.FAILED
    take(run.evidence)
    assert run.judge(policy).status in (Status.FAILED, Status.INDETERMINATE)


def test_copies_without_proofs_that_sort_first_leave_the_run_undetermined() -> None:
    run = MemoryRun()
    good = run.evidence
    verdict = Folders(run, [*[unproven(good)] * MAX_ATTEMPTS, good]).judge()
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])


def test_a_missing_registration_leaves_what_follows_from_it_open() -> None:
    run = MemoryRun()
    run.evidence.registered = None
    needs = open_claims(run.judge())
    assert needs["epoch.proven"] == needs["order.recomputed"]
    assert "dataset.registered" in needs["epoch.proven"]
    assert run.believer.epochs == []


def test_missing_bases_leave_the_order_open() -> None:
    run = MemoryRun()
    no_bases(run.evidence)
    assert "epoch.proven" in open_claims(run.judge())["order.recomputed"]


def test_a_difference_in_the_file_counts_also_where_proofs_are_missing(tmp_path: Path) -> None:
    """Else a publisher would keep back proofs to have `undetermined` in the place of `failed`."""
    run = Weighed(tmp_path)
    run.memory.evidence.registered = None
    verdict = run.judge(Inspector(quantized=[Difference("w", "1", "2")]), base=run.base)
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["file.recomputed"])


def test_a_revocation_counts_also_where_signatures_are_missing() -> None:
    run = MemoryRun()
    run.evidence.signed = []
    run.chain.revoke(run.trust.publishers[0].address, run.run_id, 6, "leaked")
    run.chain.mine(3)
    assert run.judge().status is Status.REVOKED


# What is there and wrong fails as before.


def another_journal(evidence: MemoryEvidence) -> None:
    """Shorter, and not the beginning of this run's log."""
    evidence.log = [replace(evidence.log[0], time="2027-01-01T00:00:00Z"), evidence.log[1]]


def left_out(evidence: MemoryEvidence) -> None:
    """A record of training is left out, so the journal is shorter too."""
    evidence.log = [*evidence.log[:3], *evidence.log[4:]]


def malformed_registration(evidence: MemoryEvidence) -> None:
    evidence.registered = {}


@pytest.mark.parametrize(
    ("spoil", "claim"),
    [
        (another_journal, "release.logged"),
        (left_out, "release.logged"),
        (malformed_registration, "dataset.registered"),
    ],
)
def test_evidence_that_is_there_and_wrong_fails(
    spoil: Callable[[MemoryEvidence], None], claim: str
) -> None:
    run = MemoryRun()
    spoil(run.evidence)
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, [claim])


def test_heads_that_cannot_be_read_are_said_and_accuse_nobody() -> None:
    """Whoever can write to the evidence could else have an honest run fail."""
    run = MemoryRun()

    def heads() -> Sequence[Any]:
        raise VerificationError("not a signed head")

    run.evidence.heads = heads  # type: ignore[method-assign]
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    assert "cannot be read: not a signed head" in verdict.reason


def test_a_journal_that_is_something_else_counts_before_one_that_is_cut_short() -> None:
    run = MemoryRun()
    wrong = replace(run.evidence, log=[*run.evidence.log[:-2], *run.evidence.log[-1:] * 2])
    short = replace(run.evidence, log=run.evidence.log[:-1])
    for each in ([wrong, short], [short, wrong]):
        verdict = Folders(run, each).judge()
        assert (verdict.status, failing(verdict)) == (Status.FAILED, ["release.logged"])


# Sampled stages.


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("stage", ["merge", "quantize"])
def test_missing_tables_of_tensors_are_not_checked(stage: str, policy: Policy) -> None:
    run = Sampled({}, {}).run()
    del run.evidence.tables[stage]
    verdict = judge_sampled(run, policy=policy)
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    assert f"samples/{stage}-0/tables.json" in open_claims(verdict)[f"{stage}.proven"]
    other = {"merge": "quantize", "quantize": "merge"}[stage]
    assert f"{other}.proven" in {c.id for c in verdict.claims if c.holds}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_sampled_proofs_that_are_missing_are_not_checked(policy: Policy) -> None:
    """The default policy does not ask for them; the log says that they were made."""
    run = Sampled({}, {}).run()

    def missing(evidence: SampleEvidence) -> Sampling:
        raise MissingEvidence("evidence lacks 2 of 2 proofs", where="merge proof 0")

    run.believer.check_samples = missing  # type: ignore[method-assign]
    verdict = judge_sampled(run, policy=policy)
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    assert {"merge.proven", "quantize.proven"} <= set(open_claims(verdict))
    grades = {e.kind: e.grade.value for e in verdict.edges}
    assert grades["merged_from"] == grades["quantized_from"] == "declared"


@pytest.mark.parametrize("given", [0, 1])
def test_fewer_proofs_than_wanted_are_missing_and_more_are_wrong(given: int) -> None:
    wanted = Wanted(2, "epoch", "epoch 0 proof")
    with pytest.raises(MissingEvidence, match=f"epoch 0 proof {given}: evidence lacks"):
        wanted.parse([{}] * given)
    with pytest.raises(VerificationError, match="another number"):
        wanted.parse([{}] * 3)


# Folders of weights.


@pytest.mark.parametrize("what", ["base", "merged"])
def test_a_folder_of_weights_that_lacks_a_file_is_not_checked(tmp_path: Path, what: str) -> None:
    run = Weighed(tmp_path, beside={"config.json": "{}"})
    assert run.judge(Inspector(), base=run.base).status is Status.VERIFIED
    (getattr(run, what) / "config.json").unlink()
    verdict = run.judge(Inspector(), base=run.base)
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])
    assert "config.json" in open_claims(verdict)["merge.recomputed"]


def test_a_folder_that_lacks_a_file_and_has_another_fails(tmp_path: Path) -> None:
    run = Weighed(tmp_path, beside={"config.json": "{}"})
    (run.base / "config.json").rename(run.base / "other.json")
    verdict = run.judge(Inspector(), base=run.base)
    assert verdict.status is Status.FAILED


def test_missing_evidence_stays_missing_in_the_default_policy() -> None:
    assert {"dataset.registered", "epoch.proven", "head.signed"} <= DEFAULT_REQUIRED

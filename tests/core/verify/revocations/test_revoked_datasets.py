"""Who can revoke a dataset that other people's runs were trained on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Status, Verdict
from tests.support.memory_run import DATASET, OWNER, MemoryRun
from tests.support.spine import failing

OTHER = "0x" + "0e" * 20


def run_with(*publishers: Publisher) -> MemoryRun:
    run = MemoryRun()
    run.trust = replace(run.trust, publishers=(*run.trust.publishers, *publishers))
    return run


def judged(run: MemoryRun) -> Verdict:
    run.chain.mine(3)
    return run.judge()


@pytest.mark.parametrize("by", [OWNER, OTHER])
def test_a_dataset_is_revoked_by_its_owner_and_by_publishers(by: str) -> None:
    run = run_with(Publisher(OTHER, "other team"))
    run.chain.revoke_dataset(by, DATASET, "without consent")
    verdict = judged(run)
    assert (verdict.status, failing(verdict)) == (Status.REVOKED, ["not.revoked"])
    assert "without consent" in verdict.reason


@pytest.mark.parametrize(
    "publisher",
    [None, Publisher(OTHER, "other team", 0, 1), Publisher(OTHER, "other team", 10**9)],
    ids=["stranger", "no longer", "not yet"],
)
def test_nobody_else_revokes_it(publisher: Publisher | None) -> None:
    run = run_with(*([] if publisher is None else [publisher]))
    run.chain.revoke_dataset(OTHER, DATASET, "spite")
    assert judged(run).status is Status.VERIFIED


def test_a_publishers_stolen_key_revokes_it_only_before_it_was_revoked_itself() -> None:
    run = run_with(Publisher(OTHER, "other team"))
    run.chain.revoke_dataset(OTHER, DATASET, "by the thief")
    assert judged(run).status is Status.REVOKED
    run.chain.revoke_signer(OTHER, OTHER, 0, "stolen")
    assert judged(run).status is Status.VERIFIED

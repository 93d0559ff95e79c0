"""Honest runs on a real chain are verified, and verdicts say what they do not show."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from provenance.judgement.policy import DEFAULT_REQUIRED, Policy
from provenance.judgement.verdict import Grade, Status
from provenance.layout import read_json
from provenance_zk.checker import SlowEngine
from provenance_zk.proof_file import ProofFile, point_json
from provenance_zk.training.jobs import RegisteredD
from provenance_zk.training.registration import registered_d, registrations
from tests.support.chain import Lab
from tests.support.spine import (
    Data,
    Plan,
    Run,
    build_run,
    failing,
    register_rows,
    site_of,
    word,
)


def test_an_honest_run_is_verified(honest: Run) -> None:
    verdict = honest.judge()
    assert (verdict.status, verdict.word, verdict.exit_code, failing(verdict)) == (
        Status.VERIFIED,
        "Verified (development)",
        0,
        [],
    )
    assert {c.id for c in verdict.claims if c.holds} >= DEFAULT_REQUIRED
    assert verdict.edges[0].grade is Grade.PROVEN
    assert {c.id for c in verdict.not_checked} == {
        "merge.proven",
        "quantize.proven",
        "base.recomputed",
        "file.recomputed",
        "merge.recomputed",
        "batches.recomputed",
        "data.fed",
        "training.learned",
        "training.replayed",
    }


def test_a_digest_is_judged_like_the_file(honest: Run) -> None:
    for subject in (str(honest.model), honest.model.hex()):
        verdict = honest.lab.judge(subject, honest.folder.root)
        assert (verdict.status, verdict.subject["file_seen"]) == (Status.VERIFIED, False)


def test_a_verdict_names_the_blocks_between_which_the_run_lay(honest: Run) -> None:
    interval = honest.judge().interval
    assert interval["not_before"]["block"] < interval["not_later_than"]["block"]


def test_evidence_is_found_among_other_runs(honest: Run, tmp_path: Path) -> None:
    honest.copy(tmp_path / "runs" / "mine")
    other = honest.copy(tmp_path / "runs" / "other")
    other.folder.info.write_text('{"run_id": "0x' + "00" * 32 + '"}')
    broken = honest.copy(tmp_path / "runs" / "broken")
    broken.folder.info.write_text("[" * 100_000)
    assert honest.lab.judge(honest.file, tmp_path / "runs").status is Status.VERIFIED


def test_the_slow_engine_agrees_on_an_honest_run(honest: Run) -> None:
    assert honest.judge(engine=SlowEngine()).to_json() == honest.judge().to_json()


@pytest.fixture(scope="module")
def long_run(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three hundred records, so two chunks; two epochs, the second not finished."""
    data = register_rows(lab, tmp_path_factory.mktemp("data300"), 300, seed=11)
    return build_run(
        lab, data, tmp_path_factory.mktemp("long"), Plan(model=b"long", epochs=(0, 1), consumed=260)
    )


def test_two_epochs_of_two_chunks_with_a_remainder_are_verified(long_run: Run) -> None:
    verdict = long_run.judge()
    assert (verdict.status, failing(verdict)) == (Status.VERIFIED, [])
    assert "2 epochs" in next(c.text for c in verdict.claims if c.id == "epoch.proven")


def test_an_epoch_record_that_understates_what_was_consumed_fails(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    """The record says less was consumed than the anchoring."""
    run = build_run(
        lab,
        data,
        tmp_path,
        Plan(model=b"remainder", consumed=32, fields={"epoch": {"consumed": 31}}),
    )
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["history.consistent"])


def test_many_runs_on_one_dataset_are_listed(lab: Lab, data: Data, honest: Run) -> None:
    session = lab.session()
    opened = session.open_run(b"\x77" * 32, data.registered.dataset_id)
    lab.mine()
    assert word(opened.run_id) in honest.judge().siblings


def test_a_run_that_is_not_proven_is_undetermined_under_the_default_policy(
    lab: Lab, data: Data, tmp_path: Path
) -> None:
    run = build_run(lab, data, tmp_path, Plan(model=b"unproven", prove=False))
    verdict = run.judge()
    assert (verdict.status, verdict.exit_code) == (Status.INDETERMINATE, 3)
    assert {"epoch.proven", "order.recomputed"} <= {c.id for c in verdict.not_checked}
    lenient = Policy(require=DEFAULT_REQUIRED - {"epoch.proven", "order.recomputed"})
    assert run.judge(policy=lenient).status is Status.VERIFIED


def test_a_resumed_run_is_verified(lab: Lab, data: Data, tmp_path: Path) -> None:
    """The batches behind the checkpoint are lost in a crash, abandoned and fed again."""
    run = build_run(lab, data, tmp_path, Plan(model=b"resumed", resume=3))
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.VERIFIED, [])
    assert ", 1 resume" in next(c.text for c in verdict.claims if c.id == "history.consistent")


def test_the_registered_commitments_are_those_of_every_epoch(
    lab: Lab, data: Data, honest: Run, tmp_path: Path
) -> None:
    found = registered_d(data.dataset.folder, site_of(lab, "default"))
    facts = read_json(data.registered.folder / "registration.json")
    assert [point_json(d.point) for d in found] == facts["points"]
    proof = ProofFile.parse((honest.folder.epoch(0) / "proof-0.json").read_bytes())
    assert RegisteredD.of_link(proof) == found[0]

    copy = tmp_path / "dataset"
    shutil.copytree(registrations(data.dataset.folder), registrations(copy))
    next(copy.rglob("link-0.json")).unlink()
    assert registered_d(copy, site_of(lab, "default")) == []  # then D is made again

"""On a real chain: a trusted publisher claims somebody else's file first, and revokes that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provenance.ids import to_hex
from provenance.judgement.trust import Publisher, Trust
from provenance.judgement.verdict import Status
from provenance.verify import LIMITS
from tests.support.chain import Lab
from tests.support.spine import Data, Plan, Run, build_run

MODEL = b"released by two"


@pytest.fixture(scope="module")
def runs(lab: Lab, data: Data, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """(the honest run, the rival's), of one file that the rival released first."""
    honest = build_run(lab, data, tmp_path_factory.mktemp("true"), Plan(model=MODEL, release=False))
    plan = Plan(session="rival", model=MODEL, prove=False)
    rival = build_run(lab, data, tmp_path_factory.mktemp("rival"), plan)
    honest.claim(honest.log(honest.release_record()))
    return honest, rival


@pytest.fixture(scope="module")
def trust(lab: Lab) -> Trust:
    """Both are publishers."""
    rival = Publisher(lab.session("rival").address, "rival")
    return replace(lab.trust, publishers=(*lab.trust.publishers, rival))


def test_it_denies_nobody(runs: tuple[Run, Run], trust: Trust) -> None:
    honest, rival = runs
    lab, revoked = honest.lab, to_hex(rival.run_id)
    for evidence in ([honest.folder.root], [rival.folder.root, honest.folder.root]):
        verdict = lab.judge(honest.file, *evidence, trust=trust)
        assert verdict.status is Status.VERIFIED, verdict.reason
        assert verdict.release is not None
        assert verdict.release["owner"] == lab.session().address
        assert revoked in verdict.limits[len(LIMITS)]
    session = lab.session("rival")
    session.final(session.revoke(rival.run_id, rival.release_index, "spite"))
    verdict = lab.judge(honest.file, honest.folder.root, trust=trust)
    assert verdict.status is Status.VERIFIED, verdict.reason
    assert verdict.limits[len(LIMITS) :] == (
        f"that no other run made it: rival released it in run {revoked} (revoked)",
    )


def test_it_verifies_nothing(runs: tuple[Run, Run], trust: Trust) -> None:
    _, rival = runs
    verdict = rival.lab.judge(rival.file, rival.folder.root, trust=trust)
    assert verdict.status is not Status.VERIFIED

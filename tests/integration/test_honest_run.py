"""An honest run on a real chain is verified, and says what it does not show."""

from __future__ import annotations

from provenance.verdict import Status
from tests.support.spine import Run, failing


def test_an_honest_run_is_verified(honest: Run) -> None:
    verdict = honest.judge()
    assert (verdict.status, verdict.word, verdict.exit_code, failing(verdict)) == (Status.VERIFIED, "Verified (development)", 0, [])

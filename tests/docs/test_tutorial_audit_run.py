"""The tutorial that audits a run, against a tiny one."""

from __future__ import annotations

from tests.docs.documents import ROOT
from tests.docs.main_job import Job
from tests.docs.tutorials import require_page, steps

PAGE = ROOT / "docs" / "tutorial-audit-a-run.md"


def test_the_tutorial_says_what_happens(job: Job) -> None:
    assert len(steps(PAGE)) >= 11
    require_page(PAGE, job)

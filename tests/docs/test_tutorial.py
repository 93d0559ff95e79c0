"""The tutorial that breaks a run, against a tiny one."""

from __future__ import annotations

from tests.docs.documents import ROOT
from tests.docs.main_job import Job
from tests.docs.tutorials import missing, normal, require_page, steps

PAGE = ROOT / "docs" / "tutorial-break-it-yourself.md"


def test_a_missing_line_would_be_noticed() -> None:
    assert (
        missing(
            ["FAILED  … head 6: wrong, expected 0x…"],
            [normal("FAILED  a.gguf: head 7: wrong, expected 0x" + "ab" * 32)],
        )
        == []
    )
    assert missing(["FAILED  … right"], ["FAILED  a.gguf: wrong"]) == ["FAILED  … right"]
    assert missing(["b", "a"], ["a", "b"]) == ["a"]


def test_the_tutorial_says_what_happens(job: Job) -> None:
    assert len(steps(PAGE)) >= 18
    require_page(PAGE, job)

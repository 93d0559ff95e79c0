"""The tutorial that breaks a run, against a tiny one."""

from __future__ import annotations

import re

from tests.docs.documents import ROOT
from tests.docs.main_job import TINY, Job
from tests.docs.tutorials import missing, normal, require_page, steps
from tests.support.chain import TINY_MODEL_KEYS

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


def test_the_tutorial_gives_the_options_of_the_tiny_job() -> None:
    text = PAGE.read_text()
    for option in (f"--records 64 --model-keys {TINY_MODEL_KEYS}`", "`--limit 64`", "`--draws 4`"):
        assert option in text
        assert option.strip("`") in re.sub(r"--cache \S+ ", "", "\n".join(TINY.values()))


def test_the_tutorial_says_what_happens(job: Job) -> None:
    assert len(steps(PAGE)) >= 18
    require_page(PAGE, job)

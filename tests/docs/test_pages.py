"""Links resolve; nothing names a place on somebody's machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.documents import ROOT, anchors, links, pages

LOCAL_PATH = re.compile(r"(?<![\w.~$}/:-])/(work|home|root|Users|mnt|tmp|var|opt|data)/\w")


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    broken = []
    for link in links(page):
        if re.match(r"(https?|mailto):", link):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_page_names_a_local_path(page: Path) -> None:
    assert LOCAL_PATH.findall(page.read_text()) == []


def test_every_format_has_its_page() -> None:
    """Pages that the code's docstrings refer to exist."""
    named = set()
    for source in [
        *(ROOT / "provenance").rglob("*.py"),
        *(ROOT / "zk" / "provenance_zk").rglob("*.py"),
        *(ROOT / "trainer").rglob("*.py"),
    ]:
        named |= set(re.findall(r"(?<!ggml, )docs/[\w/-]+\.md", source.read_text()))
    assert {n for n in named if not (ROOT / n).is_file()} == set()

"""ARCHITECTURE.md names what there is: each path exists, and each folder of code has a line or lies
below one.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import PurePosixPath

from tests.docs.documents import ROOT

PAGE = (ROOT / "ARCHITECTURE.md").read_text()
CODE = {".py", ".go", ".sol"}
# Folders whose content other pages list.
ELSEWHERE = ("zk/prover/", "contracts/", "tests/", "migrations/", "docs/", "zk/")


def named() -> set[str]:
    """Paths in code spans: those that begin with a folder or file of the repository."""
    tops = {path.name for path in ROOT.iterdir()}
    spans = re.findall(r"`([^`\s]+)`", PAGE)
    return {span for span in spans if span.partition("/")[0] in tops and "NAME" not in span}


def folders_of_code() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = map(PurePosixPath, listed.stdout.splitlines())
    return {f"{file.parent}/" for file in files if file.suffix in CODE}


def test_every_path_it_names_exists() -> None:
    assert [path for path in sorted(named()) if not (ROOT / path).exists()] == []


def test_every_folder_of_tests_that_a_page_names_exists() -> None:
    pages = {path: path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]}
    lost = [
        f"{path.relative_to(ROOT)}: {folder}"
        for path, text in pages.items()
        if path.name != "CHANGELOG.md"
        for folder in re.findall(r"`(tests/[^`\s:*]*)`", text)
        if not (ROOT / folder).exists()
    ]
    assert lost == []


def test_every_package_has_a_line() -> None:
    lines = set(re.findall(r"^\| `([^`]+/)` \|", PAGE, re.MULTILINE))
    wanted = {folder for folder in folders_of_code() if not folder.startswith(ELSEWHERE)}
    wanted |= {folder for folder in folders_of_code() if folder.startswith("zk/provenance_zk/")}
    assert sorted(wanted - lines - {"./", "examples/"}) == []

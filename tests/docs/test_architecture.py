"""ARCHITECTURE.md names what there is: each path and command exists, and each folder of code has a
line or lies below one.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path, PurePosixPath

from provenance.judgement.verdict import Grade
from tests.docs.documents import ROOT

PAGE = (ROOT / "ARCHITECTURE.md").read_text()
CODE = {".py", ".go", ".sol"}
# Folders whose content other pages list.
MIGRATIONS = "api/provenance_api/db/migrations/versions/"
ELSEWHERE = ("zk/prover/", "contracts/", "tests/", MIGRATIONS, "docs/", "zk/")


def named() -> set[str]:
    """Paths in code spans: those that begin with a folder or file of the repository."""
    tops = {path.name for path in ROOT.iterdir()}
    spans = re.findall(r"`([^`\s]+)`", PAGE)
    return {span for span in spans if span.partition("/")[0] in tops and "NAME" not in span}


def recipes() -> str:
    """The recipes, and the table of what people ask for first."""
    return PAGE.partition("\n## Recipes\n")[2].partition("\n## ")[0]


def files_of_recipes() -> list[tuple[str, Path]]:
    """Each file or folder in a recipe's code spans, and where it is.

    A name without a folder means a file beside the one named before it. For a path with NAME, which
    is to be made, the folder is taken.
    """
    found: list[tuple[str, Path]] = []
    beside = ROOT
    for span in re.findall(r"`([^`\s]+)`", recipes()):
        if not re.fullmatch(r"[\w./-]*(/|\.(py|go|sol|json|js|md|css))", span):
            continue
        path = ROOT / span
        if "/" not in span and not path.exists():
            path = beside / span
        elif path != ROOT:
            beside = path if span.endswith("/") else path.parent
        found.append((span, path.parent if "NAME" in span else path))
    return found


def is_there(tool: str, *words: str) -> bool:
    """Whether the target, script or program that a command runs exists."""
    if tool == "make":
        return (
            re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE) is not None
        )
    if tool == "npm":
        return words[1] in json.loads((ROOT / "package.json").read_text())["scripts"]
    if tool == "go":
        return (ROOT / "zk" / "prover" / words[1]).is_dir()
    program = words[1].replace(".", "/") + ".py" if words[0] == "-m" else words[0]
    return (ROOT / program).is_file()


def folders_of_code() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = map(PurePosixPath, listed.stdout.splitlines())
    return {f"{file.parent}/" for file in files if file.suffix in CODE}


def test_every_path_it_names_exists() -> None:
    assert [path for path in sorted(named()) if not (ROOT / path).exists()] == []


def test_every_file_that_a_recipe_names_exists() -> None:
    files = files_of_recipes()
    assert len(files) > 50
    assert [span for span, path in files if not path.exists()] == []


def test_every_command_that_a_recipe_names_exists() -> None:
    commands = re.findall(r"`((?:python|npm run|make|go run) [^`]+)`", recipes())
    assert [command for command in commands if not is_there(*command.split())] == []
    assert len(commands) > 5


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


def test_the_glossary_orders_the_grades_as_the_code_does() -> None:
    (listed,) = re.findall(r"with a grade: ([a-z <]+)", PAGE)
    assert listed.strip().split(" < ") == [grade.value for grade in Grade]

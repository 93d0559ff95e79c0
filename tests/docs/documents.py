"""Reading the documentation's Markdown: fenced blocks, tables, headings, links."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tests.support.places import REPO

ROOT = REPO
_SKIPPED = {
    ".venv",
    "node_modules",
    "build",
    "runs",
    ".state",
    "artifacts",
    "cache",
    ".git",
    ".pytest_cache",
}
_FENCE = re.compile(
    r"^(?:<!-- (?P<marker>[^>]*?) -->\n)?```(?P<info>[^\n]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    `marker` is the comment on the line above it, `info` the text after its opening fence.
    """

    marker: str | None
    info: str
    text: str
    line: int

    @property
    def language(self) -> str:
        return self.info.split()[0] if self.info else ""


def pages() -> list[Path]:
    """Every Markdown page of the project."""
    found = [p for p in ROOT.rglob("*.md") if not _SKIPPED & set(p.relative_to(ROOT).parts)]
    return sorted(found)


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(m["marker"], m["info"], m["text"], text.count("\n", 0, m.start()) + 1)
        for m in _FENCE.finditer(text)
    ]


def example(page: Path, name: str, which: int = 0) -> str:
    """The text of the block marked `example: name`."""
    return [b.text for b in blocks(page) if b.marker == f"example: {name}"][which]


def rows(text: str) -> list[list[str]]:
    """Cells of every table row in `text`, header and rule lines left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = {i for i, row in enumerate(cells) if all(set(c) <= {"-", ":"} and c for c in row)}
    return [row for i, row in enumerate(cells) if i not in rules and i + 1 not in rules]


def table(page: Path, start: str) -> list[list[str]]:
    """Rows of the first table after `start`."""
    text = page.read_text()
    begin = text.index("\n|", text.index(start)) + 1
    return rows(text[begin:].split("\n\n")[0])


def code(cell: str) -> list[str]:
    """The code spans of a cell."""
    return re.findall(r"`([^`]+)`", cell)


def prose(page: Path) -> str:
    """A page without its fenced blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text()))


def links(page: Path) -> list[str]:
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors that headings get."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def load_script(path: str) -> ModuleType:
    """A script of the repository as a module; scripts are in no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

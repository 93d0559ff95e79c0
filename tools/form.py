"""Measure the form of the code, and check its rules that no linter knows.

    python tools/form.py [FOLDER]      print the figures of a checkout (default: this one)
    python tools/form.py --check       print a line for each broken rule; exit code 1 if any

Figures: files per folder, lines and tokens per function, share of long lines, share of public
functions with a docstring. Rules: a folder has at most 15 source files, library packages import our
own packages at the top of a file, and `0x` is written and read in `provenance/ids.py` only.
"""

from __future__ import annotations

import ast
import io
import statistics
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_FILES = 15
COLUMNS = 100
SOURCE = {".py", ".go", ".sol", ".js"}
OWN = ("provenance", "provenance_cli", "provenance_zk", "provenance_trainer", "provenance_api")
LIBRARIES = ("provenance/", "zk/", "trainer/", "api/")
IDS = "provenance/ids.py"
# Words for people may show the form of an identifier: "0x..", "0x and 64 digits", "0x<64 hex>".
FORM_FOR_PEOPLE = ("0x..", "0x and ", "0x<")
# These still write or read `0x` themselves. Nothing is added here.
STILL_OWN_HEX = {
    "api/provenance_api/resolve.py",
    "api/provenance_api/web/lineage.py",
    "cli/provenance_cli/run/revoke.py",
}
# Tokens that do not count: layout and comments.
LAYOUT = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT}


@dataclass(frozen=True)
class Function:
    """One Python function: its lines from `def` on, and its tokens without layout and comments."""

    lines: int
    tokens: int
    public: bool
    documented: bool


def files_of(root: Path) -> list[Path]:
    """The source files that git tracks, by their endings."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True
    )
    paths = (Path(line) for line in listed.stdout.splitlines())
    return [p for p in paths if p.suffix in SOURCE and (root / p).is_file()]


def per_folder(files: list[Path]) -> Counter[str]:
    """Number of source files in each folder."""
    return Counter(str(p.parent) for p in files)


def functions_of(text: str) -> Iterator[Function]:
    """Every function and method of a Python file."""
    tree = ast.parse(text)
    tokens = [
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in LAYOUT
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            end = node.end_lineno or node.lineno
            yield Function(
                end - node.lineno + 1,
                sum(node.lineno <= line <= end for line in tokens),
                not node.name.startswith("_"),
                ast.get_docstring(node) is not None,
            )


def late_imports(path: Path, text: str) -> Iterator[str]:
    """Imports of our own packages inside functions, which a reader of the file's head misses.

    An import with a comment on its line is allowed. The comment says which heavy library it
    delays.
    """
    lines = text.splitlines()
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            own = any(name.split(".")[0] in OWN for name in names)
            if own and "#" not in lines[node.lineno - 1]:
                yield (
                    f"{path}:{node.lineno}: our own package is imported inside a function "
                    "(import it at the top, or give the reason in a comment on this line)"
                )


def written_hex(path: Path, text: str) -> Iterator[str]:
    """Strings that write or read `0x`: those that begin with it, and `0x` before a `{value}`."""
    tree = ast.parse(text)
    before_values = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part, value in pairwise(node.values)
        if isinstance(value, ast.FormattedValue)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        begins = node.value.startswith("0x") and not node.value.startswith(FORM_FOR_PEOPLE)
        if begins or (id(node) in before_values and node.value.endswith("0x")):
            yield f"{path}:{node.lineno}: `0x` outside {IDS} (use its functions)"


def broken_rules(root: Path) -> list[str]:
    """One line for each broken rule."""
    files = files_of(root)
    broken = [
        f"{folder}: {count} source files, expected at most {MAX_FILES} (split it into subfolders)"
        for folder, count in sorted(per_folder(files).items())
        if count > MAX_FILES
    ]
    for path in (p for p in files if p.suffix == ".py"):
        name, text = str(path), (root / path).read_text()
        if name.startswith(LIBRARIES):
            broken += late_imports(path, text)
        if name.startswith((*LIBRARIES, "cli/")) and name not in {IDS, *STILL_OWN_HEX}:
            broken += written_hex(path, text)
    return broken


def figures(root: Path) -> Iterator[str]:
    """One line for each figure of a checkout."""
    files = files_of(root)
    folders = per_folder(files)
    (fullest, most) = folders.most_common(1)[0]
    yield (
        f"files per folder      median {statistics.median(folders.values()):g}, most {most} "
        f"({fullest})"
    )
    yield f"folders over {MAX_FILES} files  {sum(n > MAX_FILES for n in folders.values())}"
    python = [p for p in files if p.suffix == ".py"]
    found = [f for p in python for f in functions_of((root / p).read_text())]
    for what in ("lines", "tokens"):
        values = sorted(getattr(f, what) for f in found)
        ninth = values[len(values) * 9 // 10]
        yield (
            f"{what} per function{' ' * (7 - len(what))} median "
            f"{statistics.median(values):g}, 90th percentile {ninth}"
        )
    for suffix in sorted(SOURCE):
        lines = [
            x for p in files if p.suffix == suffix for x in (root / p).read_text().splitlines()
        ]
        long = sum(len(line) > COLUMNS for line in lines)
        yield f"{suffix:4} lines over {COLUMNS}    {long} of {len(lines)} ({long / len(lines):.1%})"
    library = [p for p in python if str(p).startswith((*LIBRARIES, "cli/"))]
    public = [f for p in library for f in functions_of((root / p).read_text()) if f.public]
    documented = sum(f.documented for f in public)
    share = documented / len(public)
    yield f"documented            {documented} of {len(public)} public functions ({share:.1%})"


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        broken = broken_rules(ROOT)
        print("\n".join(broken) if broken else "form: every rule holds")
        return 1 if broken else 0
    root = Path(arguments[0]).resolve() if arguments else ROOT
    print("\n".join(figures(root)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

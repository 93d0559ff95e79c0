"""Measure the form of the code, and check the rules of it that no linter knows.

python tools/form.py [FOLDER]      print the figures of a checkout (default: this one)
python tools/form.py --check       exit 1 with a line for each broken rule

Figures: files per folder, lines and tokens per function, share of long lines, documented public
functions. Rules: no folder holds more than 15 files of source, and library packages import our own
packages at the top of a file.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_FILES = 15
COLUMNS = 100
SOURCE = {".py", ".go", ".sol", ".js"}
OWN = ("provenance", "provenance_cli", "provenance_zk", "provenance_trainer", "provenance_api")
LIBRARIES = ("provenance/", "zk/", "trainer/", "api/")
# Tokens that are no words of a program.
LAYOUT = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT}


@dataclass(frozen=True)
class Function:
    """One Python function: lines from `def` to its end, tokens without layout and comments."""

    lines: int
    tokens: int
    public: bool
    documented: bool


def files_of(root: Path) -> list[Path]:
    """Source files that git tracks, generated ones and frozen ones left out."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True
    )
    paths = (Path(line) for line in listed.stdout.splitlines())
    return [p for p in paths if p.suffix in SOURCE and (root / p).is_file()]


def per_folder(files: list[Path]) -> Counter[str]:
    """Files of source in each folder."""
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
    """Imports of our own packages inside functions: an arrow that no reader of the file's head
    sees.

    One that keeps a heavy library out until it is needed says so in a comment on its line.
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
                yield f"{path}:{node.lineno}: our own package imported inside a function"


def broken_rules(root: Path) -> list[str]:
    """What breaks a rule, a line each."""
    files = files_of(root)
    broken = [
        f"{folder}: {count} files of source, at most {MAX_FILES} are allowed: give it rooms"
        for folder, count in sorted(per_folder(files).items())
        if count > MAX_FILES
    ]
    for path in files:
        if path.suffix == ".py" and str(path).startswith(LIBRARIES):
            broken += late_imports(path, (root / path).read_text())
    return broken


def figures(root: Path) -> Iterator[str]:
    """The figures of a checkout, a line each."""
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

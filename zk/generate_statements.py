"""Generates each language's table of statements from the one table `zk/statements.json`.

    python zk/generate_statements.py --write   after changing the table
    python zk/generate_statements.py --check   in `make check`: names stale files, exit code 1

The Go file is written as a whole. In other files the lines between `generated: begin NAME` and
`generated: end NAME` are replaced. Tests use `--table` and `--out` for another table and folder.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from statement_table import go, markdown, python, solidity
from statement_table.table import Table

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "zk" / "statements.json"
PYTHON = "provenance/statements.py"
GO = "zk/prover/kinds/table.go"
SOLIDITY = "contracts/libraries/keys/Kinds.sol"
PROOFS = "docs/formats/proofs.md"
STATEMENTS = "docs/formats/statements.md"

_REGIONS: dict[str, dict[str, Callable[[Table], Iterator[str]]]] = {
    PYTHON: {"constants": python.constants, "kinds": python.kinds},
    SOLIDITY: {"constants": solidity.constants, "rules": solidity.rules},
    PROOFS: {"public inputs": markdown.proofs_page},
    STATEMENTS: {"kinds": markdown.statements_page},
}


def _replaced(text: str, name: str, lines: Sequence[str], where: str) -> str:
    """`text` with the lines between a region's markers replaced, indented as the first marker."""
    begin, end = (rf"\S+ generated: {side} {name}\b" for side in ("begin", "end"))
    pattern = rf"^([ \t]*)({begin}[^\n]*\n)(.*?)^([ \t]*{end})"
    found = re.search(pattern, text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError(f"{where}: no marker `generated: begin {name}`")
    body = "".join(f"{found[1]}{line}".rstrip() + "\n" for line in lines)
    return text[: found.start(3)] + body + text[found.end(3) :]


def render(table: Table) -> dict[str, str]:
    """Content of each file with generated parts, by its path from the repository's root."""
    files = {GO: "".join(f"{line}\n" for line in go.file(table))}
    for path, regions in _REGIONS.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        for name, lines in regions.items():
            text = _replaced(text, name, list(lines(table)), path)
        files[path] = text
    return files


def _stale(files: Mapping[str, str], folder: Path) -> list[str]:
    return [path for path, text in files.items() if _stored(folder / path) != text]


def _stored(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the files; exit code 0, or 1 if `--check` found a stale file."""
    parser = argparse.ArgumentParser(description="Generates the languages' tables of statements.")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="write the files")
    mode.add_argument(
        "--check", action="store_true", help="exit 1 if a file is not what the table gives"
    )
    parser.add_argument(
        "--table", type=Path, default=TABLE, help="the table (default: zk/statements.json)"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT, help="folder of the files (default: the repository)"
    )
    options = parser.parse_args(arguments)
    files = render(Table(json.loads(options.table.read_text(encoding="utf-8"))))
    stale = _stale(files, options.out)
    if options.check:
        for path in stale:
            print(
                f"{path} is not what {TABLE.name} gives: python zk/generate_statements.py --write"
            )
        return 1 if stale else 0
    for path in stale:
        (options.out / path).parent.mkdir(parents=True, exist_ok=True)
        (options.out / path).write_text(files[path], encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())

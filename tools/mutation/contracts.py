"""Mutants of the contracts, and their Solidity tests, which a copy of the repository runs.

The contracts are compiled with little optimization.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mutation.source import ROOT, WEAKER, Mutant, closing, in_order, parts

# Which tests are run against the mutants of a file: those of the first entry that its path has.
TESTS = {
    "libraries/datasets": "ledger",
    "libraries/models": "models",
    "libraries/log": "registry",
    "libraries/groth16": "groth16",
    "ProofLedger": "ledger",
    "DatasetAudits": "ledger",
    "ModelLedger": "models",
    "ProvenanceRegistry": "registry",
    "BatchVerifier": "groth16",
    "": "",  # all
}
CHEAP = (
    "optimizer: { enabled: true, runs: 1, details: { yul: true, yulDetails: "
    '{ stackAllocation: true, optimizerSteps: "dhfoDgvul" } } },'
)
_COMPARISON = re.compile(r" (<=|>=|<|>) ")
_CONSTANT = re.compile(r"constant (?:override )?\w+ =\s+(\d[\d_]*)(?= *;)")
_LOOP = re.compile(r"for \([^;]*; (\w+) < ")
_CALL = re.compile(r"\b(?:abi\.encode|abi\.encodePacked|bytes\.concat)\(")


def mutants(source: str) -> list[Mutant]:
    """Every mutant of a Solidity file, in the order of their places; comments are left alone.

    Conditions of reverts are dropped, in whole and operand by operand, and their comparisons
    weakened; so are the operands of what is returned. Numbers of constants are lowered, loops end
    one round earlier, and what is hashed loses one value.
    """
    code = re.sub(r"//[^\n]*", lambda match: " " * len(match[0]), source)
    rules = (_conditions, _returns, _constants, _loops, _values)
    return in_order(made for rule in rules for made in rule(code))


def _conditions(code: str) -> Iterator[Mutant]:
    for match in re.finditer(r"\bif \(", code):
        start = match.end()
        end = closing(code, start - 1)
        if not re.match(r"\)\s*\{?\s*(revert|return|continue)\b", code[end:]):
            continue
        yield Mutant(start, end, "false", "condition dropped")
        yield from _operands(code, start, end, " || ", "false")
        for found in _COMPARISON.finditer(code, start, end):
            yield Mutant(found.start(1), found.end(1), WEAKER[found[1]], "comparison weakened")


def _returns(code: str) -> Iterator[Mutant]:
    for match in re.finditer(r"\breturn\s", code):
        end = code.index(";", match.end())
        yield from _operands(code, match.end(), end, " && ", "true")


def _operands(code: str, start: int, end: int, separator: str, neutral: str) -> Iterator[Mutant]:
    found = parts(code, start, end, separator)
    for begin, stop in found if len(found) > 1 else ():
        yield Mutant(begin, stop, neutral, "operand dropped")


def _constants(code: str) -> Iterator[Mutant]:
    for match in _CONSTANT.finditer(code):
        number = int(match[1].replace("_", ""))
        if number > 0:
            yield Mutant(match.start(1), match.end(1), str(number - 1), "constant lowered")


def _loops(code: str) -> Iterator[Mutant]:
    for match in _LOOP.finditer(code):
        yield Mutant(match.start(1), match.end(1), f"{match[1]} + 1", "loop shortened")


def _values(code: str) -> Iterator[Mutant]:
    for match in _CALL.finditer(code):
        start, end = match.end(), closing(code, match.end() - 1)
        found = parts(code, start, end, ",")
        for i, (begin, stop) in enumerate(found) if len(found) > 1 else ():
            first, last = (begin, stop + 1) if i == 0 else (begin - 1, stop)
            yield Mutant(first, last, "", "value left out")


def _copy(folder: Path) -> Path:
    """The contracts and what their tests read, with a compiler that optimizes little."""
    for name in ("contracts", "provenance/abi", "tests/vectors"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("hardhat.config.js", "package.json"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "node_modules").symlink_to((ROOT / "node_modules").resolve())
    compiler = folder / "contracts" / "scripts" / "compiler.js"
    text, count = re.subn(r"optimizer: \{[^\n]*\},", CHEAP, compiler.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError("compiler.js has no one line of optimizer settings")
    compiler.write_text(text, encoding="utf-8")
    return folder


def _outcome(folder: Path, tests: str) -> str:
    files = sorted((folder / "contracts" / "test" / tests).rglob("*.t.sol"))
    command = ["npx", "hardhat", "test", "solidity", *(str(f.relative_to(folder)) for f in files)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode == 0:
        return "survives"
    return "is killed" if " failing" in done.stdout + done.stderr else "does not compile"


def run(only: str, only_list: bool) -> int:
    """Run the mutants of files with `only` in their path.

    Returns exit code 1 if one survives, 2 if the tests fail without any.
    """
    names = [p.relative_to(ROOT).as_posix() for p in sorted((ROOT / "contracts").rglob("*.sol"))]
    left_out = ("contracts/test/", "contracts/interfaces/")
    names = [n for n in names if only in n and not n.startswith(left_out)]
    with tempfile.TemporaryDirectory() as place:
        folder = place if only_list or not names else _copy(Path(place))
        return _run(Path(folder), names, only_list)


def _run(folder: Path, names: Sequence[str], only_list: bool) -> int:
    survivors, sound = 0, set[str]()
    for name in names:
        source = (ROOT / name).read_text(encoding="utf-8")
        tests = next(tests for part, tests in TESTS.items() if part in name)
        if not only_list and tests not in sound:
            if _outcome(folder, tests) != "survives":
                print(f"contracts/test/{tests}: the tests fail without a mutant")
                return 2
            sound.add(tests)
        for mutant in mutants(source):
            shown = f"{name}:{mutant.line(source)}: {mutant.rule}: {mutant.words(source)}"
            if only_list:
                print(shown)
                continue
            target = folder / name
            target.write_text(mutant.apply(source), encoding="utf-8")
            outcome = _outcome(folder, tests)
            target.write_text(source, encoding="utf-8")
            print(f"{shown}: {outcome}", flush=True)
            survivors += outcome == "survives"
    return 1 if survivors else 0

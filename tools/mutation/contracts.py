"""Mutants of the contracts, run one by one against the Solidity tests."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from mutation.bench import Bench
from mutation.faults import FaultError
from mutation.source import ROOT, WEAKER, Mutant, closing, in_order, parts
from mutation.task import Task, report, show, source_of, tasks_of

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
        yield Mutant(start, end, "false", "condition dropped", inside=(start, end))
        yield from _operands(code, start, end, " || ", "false")
        for found in _COMPARISON.finditer(code, start, end):
            weaker = WEAKER[found[1]]
            yield Mutant(*found.span(1), weaker, "comparison weakened", inside=(start, end))


def _returns(code: str) -> Iterator[Mutant]:
    for match in re.finditer(r"\breturn\s", code):
        end = code.index(";", match.end())
        (start, end), *_ = parts(code, match.end(), end, " ? ")  # what is returned, or its choice
        yield from _operands(code, start, end, " && ", "true")


def _operands(code: str, start: int, end: int, separator: str, neutral: str) -> Iterator[Mutant]:
    found = parts(code, start, end, separator)
    for begin, stop in found if len(found) > 1 else ():
        yield Mutant(begin, stop, neutral, "operand dropped", inside=(start, end))


def _constants(code: str) -> Iterator[Mutant]:
    for match in _CONSTANT.finditer(code):
        number = int(match[1].replace("_", ""))
        if number > 0:
            yield Mutant(*match.span(1), str(number - 1), "constant lowered")


def _loops(code: str) -> Iterator[Mutant]:
    for match in _LOOP.finditer(code):
        condition = (match.start(1), code.index(";", match.end()))
        yield Mutant(*match.span(1), f"{match[1]} + 1", "loop shortened", inside=condition)


def _values(code: str) -> Iterator[Mutant]:
    for match in _CALL.finditer(code):
        start, end = match.end(), closing(code, match.end() - 1)
        found = parts(code, start, end, ",")
        for i, (begin, stop) in enumerate(found) if len(found) > 1 else ():
            first, last = (begin, stop + 1) if i == 0 else (begin - 1, stop)
            yield Mutant(first, last, "", "value left out", inside=(match.start(), end + 1))


def tasks(only: str) -> list[Task]:
    """Every mutant of the contracts with `only` in their path."""
    names = [p.relative_to(ROOT).as_posix() for p in sorted((ROOT / "contracts").rglob("*.sol"))]
    out = list[Task]()
    for name in names:
        if only in name and not name.startswith(("contracts/test/", "contracts/interfaces/")):
            source = source_of(name)
            out += tasks_of(name, source, mutants(source))
    return out


def numbered(todo: Sequence[Task], numbers: str) -> list[Task]:
    """Some of the mutants: `3,7-9` means number 3 and numbers 7 to 9, from 1; "" means all.

    Raises FaultError if it is no such text, or names a number that there is not.
    """
    if not numbers:
        return list(todo)
    chosen = set[int]()
    for text in numbers.split(","):
        if not (match := re.fullmatch(r"(\d+)(?:-(\d+))?", text)):
            raise FaultError(f"--numbers {numbers}: expected such as 3,7-9")
        chosen.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    if not chosen or min(chosen) < 1 or max(chosen) > len(todo):
        raise FaultError(f"--numbers {numbers}: there are numbers 1 to {len(todo)}")
    return [task for number, task in enumerate(todo, 1) if number in chosen]


def run(only: str, only_list: bool, jobs: int, numbers: str = "") -> int:
    """Run the mutants of files with `only` in their path, or some of them, see `numbered`; `jobs`
    at a time.

    Returns exit code 1 if one survives that is not listed as equivalent, or one is killed that is.
    Raises FaultError if the tests fail without a mutant, or a number is wrong.
    """
    # Those that change no expression come last: each, and whatever follows it, is compiled anew.
    todo = sorted(tasks(only), key=lambda task: not task.mutant.inside)
    todo = numbered(todo, numbers)
    if only_list or not todo:
        show(todo)
        return 0
    with tempfile.TemporaryDirectory() as place:
        first = Bench(Path(place, "0"), todo)
        benches = Queue[Bench]()
        benches.put(first)
        for job in range(1, jobs):
            benches.put(first.copied(Path(place, f"{job}")))

        def outcome(task: Task) -> str:
            bench = benches.get()
            try:
                return bench.outcome(task)
            finally:
                benches.put(bench)

        with ThreadPoolExecutor(jobs) as pool:
            outcomes = zip(todo, pool.map(outcome, todo), strict=True)
            return report("contracts", len(todo), outcomes)

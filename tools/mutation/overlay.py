"""Runs the quick Go tests against mutants of circuits and gadgets.

The tests are built once, with one text for each file that holds all its mutants (schemata.py) and
is laid over it (`go build -overlay`): nothing is copied. Numbers of constants cannot be held so,
since types depend on them: each is laid over its file alone. Tests that compare numbers of
constraints or digests of circuits are left out: they would notice everything and understand
nothing.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutation.circuits import mutants
from mutation.faults import FaultError
from mutation.schemata import HELPERS, held, number_at
from mutation.source import ROOT, Mutant
from mutation.task import Task, report, show, source_of, tasks_of

PROVER = "zk/prover"
_MERGE = ("prove/blocks", "Merge|Places|Half|Halves|Column|Scale|Numbers")
_QUANTIZED = ("prove/blocks", "Quantiz|Blocks|HiddenBit|RowMaxima|DrawnRows|Ties")
# Which packages are tested for a file, in this order, and which of their tests (a pattern of
# names): those of the first entry its path has.
TESTS = {
    "gadgets/page": (("gadgets/page", ""), _MERGE, _QUANTIZED),
    "gadgets/quantized": (("gadgets/quantized", ""), _QUANTIZED),
    "gadgets/rankone": (("gadgets/rankone", ""), ("gadgets/quantized", ""), _QUANTIZED),
    "gadgets/bfloat16": (("gadgets/bfloat16", ""), ("circuits", "MergeEntries"), _MERGE),
    "gadgets/poseidon": (("gadgets/poseidon", ""), ("prove/dataset", "Member")),
    "gadgets/integer": (("gadgets/integer", ""), _MERGE, _QUANTIZED),
    "gadgets/merkle": (("gadgets/merkle", ""), ("prove/dataset", "")),
    "circuits/epoch": (("circuits", "Commit"), ("prove/epoch", "")),
    "circuits/merge": (("circuits", "MergeEntries"), _MERGE),
    "circuits/q8_0": (_QUANTIZED,),
    "circuits/int8": (_QUANTIZED,),
    "circuits/quantized": (_QUANTIZED,),
    "circuits/absent": (("prove/dataset", "Absent"),),
    "circuits/member": (("prove/dataset", "Member"),),
    "circuits/sorted": (("prove/dataset", "Sorted|Unsorted"),),
    "circuits/tree": (("prove/dataset", "Tree|Digit|Unused|Last"),),
    "circuits/": (("circuits", "Kind|Shapes"),),  # tables and compiling: no constraints
}
# These rules take from a circuit what no other value of one wire shows: tests of its rank do.
HIDDEN = ("value untied", "booleanity dropped")
RANK = "HaveFullRank|HasFullRank|Follow|AreBound"
COUNTING = "ConstraintCounts|CircuitsAreFrozen|CompilationIsDeterministic"
LIMIT_S = 300


def names(only: str) -> list[str]:
    """The files that have mutants and `only` in their path, relative to the repository."""
    found = [*(ROOT / PROVER / "circuits").glob("*.go"), *(ROOT / PROVER / "gadgets").rglob("*.go")]
    paths = sorted(path.relative_to(ROOT).as_posix() for path in found)
    paths = [name for name in paths if not name.endswith("_test.go")]
    return [name for name in paths if only in name or only.startswith(f"{name}:")]


def tested(name: str) -> tuple[tuple[str, str], ...]:
    """The packages, and the tests of each, that are run against the mutants of a file."""
    return next(found for part, found in TESTS.items() if part in name)


def packages(name: str) -> list[str]:
    """The packages of these tests."""
    return list(dict.fromkeys(package for package, _ in tested(name)))


def tasks(only: str) -> list[Task]:
    """Every mutant of these files; an entry of the list of equivalents must match one."""
    out = list[Task]()
    for name in names(only):
        source = source_of(name)
        of_file = tasks_of(name, source, mutants(source))
        out += [task for task in of_file if only in name or task.shown().startswith(only)]
    return out


@dataclass(frozen=True)
class Step:
    """Tests to run: a package, and patterns of the names of its tests, those left out included."""

    package: str
    tests: str
    skipped: str = COUNTING

    def flags(self) -> list[str]:
        """For `go test`; a built test takes them with `-test.` before their names."""
        limits = ["-short", "-failfast", f"-timeout={LIMIT_S}s"]
        return [f"-run={self.tests}", f"-skip={self.skipped}", *limits]


def steps(task: Task) -> list[Step]:
    """The tests to run in the order that kills soonest: ranks take long if much is not bound."""
    found = tested(task.name)
    ranks = [
        Step(package, f"({tests}).*({RANK})" if tests else RANK)
        for package, tests in found
        if package.startswith("prove/")
    ]
    others = [Step(package, tests, f"{COUNTING}|{RANK}") for package, tests in found]
    return [*ranks, *others] if task.mutant.rule in HIDDEN else [*others, *ranks]


def run(todo: Sequence[Task], only_list: bool, jobs: int) -> int:
    """Run some mutants, `jobs` at a time.

    Returns exit code 1 if one survives that is not listed as equivalent, or one is killed that is.
    Raises FaultError if the tests fail without a mutant.
    """
    if only_list or not todo:
        show(todo)
        return 0
    with tempfile.TemporaryDirectory() as place:
        built = Built(Path(place), todo)
        for package in built.packages:
            outcome = built.test(Step(package, ""), 0)
            if outcome:
                raise FaultError(f"{PROVER}/{package}: without a mutant it {outcome}")
        with ThreadPoolExecutor(jobs) as pool:
            outcomes = zip(todo, pool.map(built.outcome, todo), strict=True)
            return report("circuits", len(todo), outcomes)


class Built:
    """The tests of some mutants, built once; mutants that cannot be held are built when tested."""

    def __init__(self, folder: Path, todo: Sequence[Task]) -> None:
        self.folder = folder
        self.packages = list(dict.fromkeys(p for task in todo for p in packages(task.name)))
        numbered = enumerate((task for task in todo if task.mutant.kind), 1)
        self.numbers = {task: number for number, task in numbered}
        self.refused = set[int]()
        while self._refusals():
            pass

    def _refusals(self) -> bool:
        """Build all tests; if some mutant does not compile, note which, and return true."""
        texts = self._texts()
        overlay = _overlay(self.folder, {ROOT / name: text for name, text in texts.items()})
        for package in self.packages:
            target = self.folder / f"{Path(package).name}.test"
            command = ["go", "test", "-c", "-gcflags=-e", "-vet=off", "-ldflags=-s -w"]
            command += [f"-overlay={overlay}", f"-o={target}", f"./{package}"]
            done = subprocess.run(command, cwd=ROOT / PROVER, capture_output=True, text=True)
            if done.returncode == 0:
                continue
            found = set[int]()
            for path, line in re.findall(r"^(\S+\.go):(\d+):", done.stderr, re.M):
                name = os.path.relpath(ROOT / PROVER / path, ROOT)
                if name in texts:
                    found.add(number_at(texts[name], int(line)))
            if not found - self.refused - {0}:
                raise FaultError(f"{PROVER}/{package} cannot be built:\n{done.stderr}")
            self.refused |= found
            return True
        return False

    def _texts(self) -> dict[str, str]:
        files = dict[str, list[tuple[int, Mutant]]]()
        sources = dict[str, str]()
        for task, number in self.numbers.items():
            sources[task.name] = task.source
            if number not in self.refused:
                files.setdefault(task.name, []).append((number, task.mutant))
        return {name: held(sources[name], found) for name, found in files.items()}

    def outcome(self, task: Task) -> str:
        """What becomes of a mutant: `survives`, `does not compile`, or by what it is killed."""
        number = self.numbers.get(task, 0)
        if number in self.refused:
            return "does not compile"
        if number:
            outcomes = (self.test(step, number) for step in steps(task))
            return next(filter(None, outcomes), "survives")
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            changed = {ROOT / task.name: task.mutant.apply(task.source)}
            overlay = _overlay(Path(place), changed)
            for step in steps(task):
                command = ["go", "test", "-count=1", "-vet=off", "-ldflags=-s -w"]
                command += [f"-overlay={overlay}", f"./{step.package}", *step.flags()]
                outcome = _run(command, ROOT / PROVER, {})
                if outcome:
                    return f"{outcome} of {step.package}" if "killed" in outcome else outcome
        return "survives"

    def test(self, step: Step, number: int) -> str:
        """What the first failure of a step says with a mutant, or nothing if it passes."""
        command = [str(self.folder / f"{Path(step.package).name}.test")]
        command += [flag.replace("-", "-test.", 1) for flag in step.flags()]
        outcome = _run(command, ROOT / PROVER / step.package, {"MUTANT": str(number)})
        return f"{outcome} of {step.package}" if outcome else ""


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Nothing if the tests pass, or what was wrong."""
    variables = {**os.environ, **environment}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=variables)
    if done.returncode == 0:
        return ""
    output = done.stdout + done.stderr
    if "[build failed]" in output or "[setup failed]" in output:
        return "does not compile"
    if "test timed out" in output:
        return f"is killed by the limit of {LIMIT_S} s"
    failed = re.search(r"--- FAIL: (\w+)", output)
    return f"is killed by {failed[1] if failed else 'a panic'}"


def _overlay(folder: Path, texts: Mapping[Path, str]) -> Path:
    """A file for `-overlay` that replaces some files by texts, and adds what the texts call."""
    replace = dict[str, str]()
    for i, (path, text) in enumerate(texts.items()):
        package = re.search(r"^package (\w+)", text, re.M)
        assert package is not None, path
        replace[str(path)] = str(folder / f"{i}.go")
        replace[str(path.parent / "mutation.go")] = str(folder / f"{package[1]}-helpers.go")
        (folder / f"{i}.go").write_text(text, encoding="utf-8")
        helpers = HELPERS % package[1]
        (folder / f"{package[1]}-helpers.go").write_text(helpers, encoding="utf-8")
    (folder / "overlay.json").write_text(json.dumps({"Replace": replace}), encoding="utf-8")
    return folder / "overlay.json"

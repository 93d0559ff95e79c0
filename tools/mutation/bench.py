"""A copy of the contracts and their tests, in which mutants are turned on one at a time.

The contracts are compiled with little optimization: once for all mutants that change an expression
(switched.py), and again for each of the others.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mutation.faults import FaultError
from mutation.source import ROOT
from mutation.switched import coinbase, reads_blocks, switched
from mutation.task import Task

# Which tests are run first against the mutants of a file: those of the first entry in its path.
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


QUICK, THOROUGH = "8", "256"  # how often fuzzers run
SWITCH = (
    "...(process.env.MUTANT_COINBASE ? { coinbase: process.env.MUTANT_COINBASE } : {}), "
    "fuzz: { runs: Number(process.env.MUTANT_RUNS),"
)


class Bench:
    """A copy of the contracts in which mutants are turned on one at a time.

    Args:
        folder: an empty folder for the copy.
        todo: the mutants.

    Raises:
        FaultError: the tests fail without a mutant.
    """

    def __init__(self, folder: Path, todo: Sequence[Task]) -> None:
        self._folder = folder
        self._numbers = {task: number for number, task in enumerate(todo)}
        for name in ("contracts", "provenance/abi", "tests/vectors"):
            shutil.copytree(ROOT / name, folder / name)
        for name in ("hardhat.config.js", "package.json"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "node_modules").symlink_to((ROOT / "node_modules").resolve())
        _replace(folder / "contracts/scripts/compiler.js", r"optimizer: \{[^\n]*\},", CHEAP)
        _replace(folder / "hardhat.config.js", r"fuzz: \{ runs: \d+,", SWITCH)
        for path in sorted((folder / "contracts").rglob("*.sol")):
            name = path.relative_to(folder).as_posix()
            source = path.read_text(encoding="utf-8")
            inside = {n: task.mutant for task, n in self._numbers.items() if task.name == name}
            if not name.startswith("contracts/types/"):  # operators have to be pure
                source = reads_blocks(switched(source, inside))
            path.write_text(source, encoding="utf-8")
        if self.failing("", "", THOROUGH):
            raise FaultError("contracts/test: the tests fail without a mutant")

    def outcome(self, task: Task) -> str:
        """`survives`, `is killed` or `does not compile`."""
        made = task.mutant
        if made.inside:
            return self._judged(task, f"0x{coinbase(self._numbers[task]):040x}")
        path = self._folder / task.name
        before = path.read_text(encoding="utf-8")
        path.write_text(reads_blocks(made.apply(task.source)), encoding="utf-8")
        try:
            return self._judged(task, "")
        except DoesNotCompile:
            return "does not compile"
        finally:
            path.write_text(before, encoding="utf-8")

    def _judged(self, task: Task, turned_on: str) -> str:
        """By the tests that are likely to notice it, then by all."""
        likely = next(tests for part, tests in TESTS.items() if part in task.name)
        if self.failing(likely, turned_on, QUICK) or self.failing("", turned_on, THOROUGH):
            return "is killed"
        return "survives"

    def failing(self, tests: str, turned_on: str, runs: str) -> bool:
        """Whether a test of this folder fails.

        Args:
            tests: a folder of contracts/test, or "" for all.
            turned_on: the coinbase of a mutant, or "" for none.
            runs: how often fuzzers run.

        Raises:
            DoesNotCompile: no test was run.
        """
        files = sorted((self._folder / "contracts" / "test" / tests).rglob("*.t.sol"))
        names = [str(f.relative_to(self._folder)) for f in files]
        done = subprocess.run(
            ["npx", "hardhat", "test", "solidity", *names],
            cwd=self._folder,
            env={**os.environ, "MUTANT_COINBASE": turned_on, "MUTANT_RUNS": runs},
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            return False
        if " failing" not in done.stdout + done.stderr:
            raise DoesNotCompile((done.stdout + done.stderr)[-2000:])
        return True


class DoesNotCompile(Exception):
    """The contracts with a mutant are no Solidity."""


def _replace(path: Path, pattern: str, text: str) -> None:
    changed, count = re.subn(pattern, lambda _: text, path.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"{path.name} has no one line of {pattern}")
    path.write_text(changed, encoding="utf-8")

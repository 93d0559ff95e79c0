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
from dataclasses import dataclass
from pathlib import Path

from mutation.equivalent import Equivalent
from mutation.faults import FaultError
from mutation.source import ROOT, Mutant
from mutation.switched import coinbase, reads_blocks, switched

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


@dataclass(frozen=True)
class Found:
    """A mutant of a file, its number among all, and why it matters to nobody, if so."""

    name: str  # of the file, relative to the repository
    source: str
    mutant: Mutant
    number: int
    equivalent: Equivalent | None = None

    def shown(self) -> str:
        """The file, the line and the change."""
        made = self.mutant
        return f"{self.name}:{made.line(self.source)}: {made.rule}: {made.words(self.source)}"

    @property
    def tests(self) -> str:
        """Folder of the tests that are likely to notice it."""
        return next(tests for part, tests in TESTS.items() if part in self.name)


class Bench:
    """A copy of the contracts in which mutants are turned on one at a time.

    Args:
        folder: an empty folder for the copy.
        found: all mutants.

    Raises:
        FaultError: the tests fail without a mutant.
    """

    def __init__(self, folder: Path, found: Sequence[Found]) -> None:
        self._folder = folder
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
            inside = {f.number: f.mutant for f in found if f.name == name}
            if not name.startswith("contracts/types/"):  # operators have to be pure
                source = reads_blocks(switched(source, inside))
            path.write_text(source, encoding="utf-8")
        if self.failing("", "", THOROUGH):
            raise FaultError("contracts/test: the tests fail without a mutant")

    def outcome(self, found: Found) -> str:
        """`survives`, `is killed` or `does not compile`: of the likely tests, then of all."""
        made = found.mutant
        if made.inside:
            turned_on = f"0x{coinbase(found.number):040x}"
            if self.failing(found.tests, turned_on, QUICK) or self.failing("", turned_on, THOROUGH):
                return "is killed"
            return "survives"
        path = self._folder / found.name
        before = path.read_text(encoding="utf-8")
        path.write_text(reads_blocks(made.apply(found.source)), encoding="utf-8")
        try:
            if self.failing(found.tests, "", QUICK) or self.failing("", "", THOROUGH):
                return "is killed"
            return "survives"
        except DoesNotCompile:
            return "does not compile"
        finally:
            path.write_text(before, encoding="utf-8")

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

"""A copy of the contracts and their tests, in which mutants are turned on one at a time.

The contracts are compiled with little optimization: once for all mutants that change an expression
(switched.py), and again for each of the others.
"""

from __future__ import annotations

import copy
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mutation.faults import FaultError
from mutation.source import ROOT
from mutation.switched import coinbase, reads_blocks, switched
from mutation.task import Task

# Which tests are run first against the mutants of a file: those of the first entry in its path, as
# patterns of their names below contracts/test, one after the other.
TESTS = {
    "datasets/EpochsAtOnce": ("ledger/ProofLedgerAtOnce", "ledger/*"),
    "datasets/Epochs": ("ledger/ProofLedger[EA]*", "ledger/*"),
    "libraries/datasets": ("ledger/*",),
    "libraries/models": ("models/*",),
    "libraries/log": ("registry/Rfc6962", "registry/*"),
    "groth16/Bn254": ("groth16/Bn254", "groth16/*"),
    "groth16/Groth16Batch": ("groth16/Groth16Batch", "groth16/*"),
    "groth16/Groth16": ("groth16/Groth16", "groth16/*"),
    "keys/VerifyingKey": ("groth16/VerifyingKey", "groth16/*"),
    "libraries/keys": ("keys/*",),
    "seeds/BlockHashes": ("registry/*Draw",),
    "libraries/seeds": ("ledger/ProofLedger[ED]*", "ledger/*"),
    "ProofLedger": ("ledger/*",),
    "DatasetAudits": ("ledger/Dataset*", "ledger/*"),
    "ModelLedger": ("models/*",),
    "ReplayAttestations": ("attestations/*",),
    "ProvenanceRegistry": ("registry/*",),
    "BatchVerifier": ("groth16/BatchVerifier", "groth16/*"),
    "": (),
}
ALL = "**/*"
CHEAP = (
    "optimizer: { enabled: true, runs: 1, details: { yul: true, yulDetails: "
    '{ stackAllocation: true, optimizerSteps: "dhfoDgvul" } } },'
)


_FAILED = re.compile(r"\s+\d+\) \w+\(")  # how the test runner shows a test that failed

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
        if self.failing(ALL, "", THOROUGH):
            raise FaultError("contracts/test: the tests fail without a mutant")

    def copied(self, folder: Path) -> Bench:
        """The same in another folder, with all that was compiled."""
        other = copy.copy(self)
        other._folder = folder
        shutil.copytree(self._folder, folder, symlinks=True)
        return other

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
        killed = any(self.failing(tests, turned_on, QUICK) for tests in likely)
        return "is killed" if killed or self.failing(ALL, turned_on, THOROUGH) else "survives"

    def failing(self, tests: str, turned_on: str, runs: str) -> bool:
        """Whether one of some tests fails; the first one that does ends them.

        Args:
            tests: a pattern of their names below contracts/test.
            turned_on: the coinbase of a mutant, or "" for none.
            runs: how often fuzzers run.

        Raises:
            DoesNotCompile: no test was run.
        """
        files = sorted((self._folder / "contracts" / "test").glob(f"{tests}.t.sol"))
        names = [str(f.relative_to(self._folder)) for f in files]
        command = [f"{self._folder}/node_modules/.bin/hardhat", "test", "solidity", *names]
        with subprocess.Popen(
            command,
            cwd=self._folder,
            env={**os.environ, "MUTANT_COINBASE": turned_on, "MUTANT_RUNS": runs},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        ) as process:
            assert process.stdout is not None
            output = list[str]()
            for line in process.stdout:
                output.append(line)
                if _FAILED.match(line):  # what the other tests say does not matter
                    os.killpg(process.pid, signal.SIGKILL)
                    return True
        if process.returncode == 0:
            return False
        if not any(" failing" in line for line in output):
            raise DoesNotCompile("".join(output)[-2000:])
        return True


class DoesNotCompile(Exception):
    """The contracts with a mutant are no Solidity."""


def _replace(path: Path, pattern: str, text: str) -> None:
    changed, count = re.subn(pattern, lambda _: text, path.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"{path.name} has no one line of {pattern}")
    path.write_text(changed, encoding="utf-8")

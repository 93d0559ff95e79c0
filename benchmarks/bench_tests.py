"""How long the parts of `make test` take, and which tests take longest.

The target is for two cores.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from common import ROOT, line

TEST_MINUTES = 15
GETH = ROOT / "build" / "bin" / "geth"
# The commands of `make test` (Makefile), with the durations of tests.
PARTS: tuple[tuple[str, Path, tuple[str, ...]], ...] = (
    (
        "Python",
        ROOT,
        (
            "pytest",
            *("--numprocesses", "auto", "--dist", "loadscope", "--no-loadscope-reorder"),
            "--durations=25",
        ),
    ),
    ("Go", ROOT / "zk" / "prover", ("go", "test", "-count=1", "./...")),
    ("Solidity and JavaScript", ROOT, ("npm", "test", "--silent")),
)


def main() -> None:
    environment = os.environ | {"PROVENANCE_TEST_GETH": str(GETH)}
    total_s = 0.0
    for what, folder, command in PARTS:
        begin = time.monotonic()
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - begin
        total_s += seconds
        shown = [x for x in done.stdout.splitlines() if " call " in x or " setup " in x]
        print(
            "\n".join([*shown, f"{what}: {seconds:.0f} s, exit code {done.returncode}"]), flush=True
        )
    cores = len(os.sched_getaffinity(0))
    target = f"<= {TEST_MINUTES}"
    minutes = total_s / 60
    line("make test", minutes, "min", target, minutes <= TEST_MINUTES, f"{cores} cores")

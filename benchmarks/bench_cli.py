"""`provenance --help` as a whole process. Target: <= 0.3 s."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from common import line, median

ROUNDS = 9


def main() -> None:
    command = [str(Path(sys.executable).with_name("provenance")), "--help"]
    seconds = []
    for _ in range(ROUNDS + 1):
        begin = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        seconds.append(time.perf_counter() - begin)
    value = median(seconds[1:])
    line(
        "provenance --help",
        value,
        "s",
        "<= 0.3",
        value <= 0.3,
        f"{ROUNDS} runs after one warm-up, median",
    )

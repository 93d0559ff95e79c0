"""Verifying a run of 125,000 batch records, made from 1,000,000 records of a dataset.

Targets: <= 30 s, <= 1 GB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import ROOT, line, median, say
from million_run import Made, Size, made

from provenance.chain.session import embedded

ROUNDS = 3
COMMAND = [sys.executable, "-c", "from provenance_cli.main import main; main()", "verify"]


def main(size: Size | None = None, folder: Path = ROOT / "build" / "bench-verify") -> None:
    size = size or Size()
    run = made(folder, size)
    try:
        _measure(run, size)
    finally:
        embedded(run.settings).down()


def _measure(run: Made, size: Size) -> None:
    seconds, cpu, peaks = [], [], []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        verdict, usage = verified(run)
        seconds.append(time.perf_counter() - begin)
        cpu.append(usage.ru_utime + usage.ru_stime)
        peaks.append(usage.ru_maxrss * 1024 / 1e9)
        if verdict["status"] != "verified":
            raise SystemExit(f"error: the run is {verdict['status']}: {verdict['reason']}")
    holding = [claim["id"] for claim in verdict["claims"] if claim["status"] == "holds"]
    say(f"{verdict['status']}: {', '.join(holding)}")
    say(f"not checked: {', '.join(verdict['not_checked'])}")
    inputs = (
        f"{size.records} records, {size.batches} batch records, "
        f"{run.run.journal.stat().st_size / 1e6:.0f} MB of journal; {verdict['status']}, "
        f"{len(holding)} claims hold; {median(cpu):.1f} s of CPU; {ROUNDS} runs, median"
    )
    value, peak = median(seconds), max(peaks)
    line("verify a run of 1,000,000 records", value, "s", "<= 30", value <= 30, inputs)
    line("  peak memory of its largest process", peak, "GB", "<= 1", peak <= 1, inputs)


def verified(run: Made) -> tuple[Any, Any]:
    """The verdict of `provenance verify` in a process of its own, and what that process used."""
    environment = os.environ | {
        "PROVENANCE_HOME": str(run.settings.home),
        "PROVENANCE_TRUST": str(run.trust),
        "PROVENANCE_CACHE": str(run.settings.cache),
    }
    with subprocess.Popen(
        [*COMMAND, str(run.model), "--evidence", str(run.run.root), "--json"],
        env=environment,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return json.loads(output), usage

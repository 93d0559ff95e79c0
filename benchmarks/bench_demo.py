"""Verifying the run that `make demo` left, in processes of their own: with the evidence alone, and
with everything computed again from base, adapter and merged weights.

Targets: <= 1 s with the evidence alone, <= 3 s with everything.

PROVENANCE_BENCH_RUN names another run folder, PROVENANCE_BENCH_BASE another base; else the newest
run in `runs/` is taken. Its chain is that of the configuration file, or of the variables.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import ROOT, line, median, say

from provenance.settings import Settings
from provenance_cli.wiring import start_chain

ROUNDS = 3
COMMAND = [sys.executable, "-c", "from provenance_cli.main import main; main()", "verify"]


@dataclass(frozen=True)
class Used:
    """What one verification took: seconds by the clock and of CPU, children included."""

    wall_s: float
    cpu_s: float
    verdict: Mapping[str, Any]


def main() -> None:
    run = _newest_run()
    if run is None:
        say("skipped: there is no run; make demo makes one")
        return
    start_chain(Settings.load())
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "run"
        bare.mkdir()
        for part in ("provenance", "release"):
            shutil.copytree(run / part, bare / part)
        memo = Path(folder) / "memo"
        _report("evidence alone", 1.0, [_verified(bare, [], memo) for _ in range(ROUNDS)])
        base = ["--base", os.environ.get("PROVENANCE_BENCH_BASE", "smollm2")]
        _report("everything, no root kept", 3.0, [_verified(run, base, memo)])
        warm = [_verified(run, base, memo) for _ in range(ROUNDS)]
        _report("everything, all roots kept", 3.0, warm)
        _report("everything, --fresh", 3.0, [_verified(run, [*base, "--fresh"], memo)])


def _newest_run() -> Path | None:
    named = os.environ.get("PROVENANCE_BENCH_RUN")
    runs = [Path(named)] if named else sorted((ROOT / "runs").glob("*/run"))
    return runs[-1] if runs else None


def _verified(run: Path, options: Sequence[str], memo: Path) -> Used:
    (file,) = (run / "release").iterdir()
    command = [*COMMAND, str(file), "--evidence", str(run), *options, "--json"]
    begin = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"PROVENANCE_MEMO": str(memo)},
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    used = Used(time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, json.loads(output))
    if used.verdict["status"] != "verified":
        raise SystemExit(f"error: {used.verdict['status']}: {used.verdict['reason']}")
    return used


def _report(what: str, target_s: float, found: Sequence[Used]) -> None:
    wall, cpu = median([f.wall_s for f in found]), median([f.cpu_s for f in found])
    verdict = found[-1].verdict
    holding = sum(claim["status"] == "holds" for claim in verdict["claims"])
    inputs = f"{cpu:.2f} s of CPU; {holding} claims hold; {len(found)} runs, median"
    line(f"verify the demo's run: {what}", wall, "s", f"<= {target_s:g}", wall <= target_s, inputs)
    for edge in verdict["edges"]:
        if edge["kind"] == "committed_as":
            say(f"  {edge['note']}")

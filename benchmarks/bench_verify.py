"""Verifying a run of 125,000 batch records, made from 1,000,000 records of a dataset (`verify`),
and the run that `make demo` left (`demo`), in processes of their own.

Targets of `verify`: <= 30 s, <= 1 GB. Targets of `demo`: <= 1 s with the evidence alone, <= 3 s
with everything computed again from base, adapter and merged weights.

For `demo` PROVENANCE_BENCH_RUN names another run folder, PROVENANCE_BENCH_BASE another base; else
the newest run in `runs/` is taken. Its chain is that of the configuration file or the variables.
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
from million_run import Made, Size, made

from provenance.chain.session import embedded
from provenance.settings import Settings
from provenance_cli.wiring import start_chain

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
    return _run([str(run.model), "--evidence", str(run.run.root)], environment)


def _run(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[Any, Any]:
    command = [*COMMAND, *arguments, "--json"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return json.loads(output), usage


@dataclass(frozen=True)
class Used:
    """What one verification took: seconds by the clock and of CPU, children included."""

    wall_s: float
    cpu_s: float
    verdict: Mapping[str, Any]


def demo() -> None:
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
        _report("evidence alone", 1.0, [_verified_demo(bare, [], memo) for _ in range(ROUNDS)])
        base = ["--base", os.environ.get("PROVENANCE_BENCH_BASE", "smollm2")]
        _report("everything, no root kept", 3.0, [_verified_demo(run, base, memo)])
        warm = [_verified_demo(run, base, memo) for _ in range(ROUNDS)]
        _report("everything, all roots kept", 3.0, warm)
        _report("everything, --fresh", 3.0, [_verified_demo(run, [*base, "--fresh"], memo)])


def _newest_run() -> Path | None:
    named = os.environ.get("PROVENANCE_BENCH_RUN")
    runs = [Path(named)] if named else sorted((ROOT / "runs").glob("*/run"))
    return runs[-1] if runs else None


def _verified_demo(run: Path, options: Sequence[str], memo: Path) -> Used:
    (file,) = (run / "release").iterdir()
    begin = time.perf_counter()
    verdict, usage = _run(
        [str(file), "--evidence", str(run), *options], os.environ | {"PROVENANCE_MEMO": str(memo)}
    )
    used = Used(time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, verdict)
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

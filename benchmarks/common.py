"""What the benchmarks share: how a figure is printed, and a temporary installation."""

from __future__ import annotations

import os
import resource
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from provenance.settings import Settings
from provenance_zk.prover.client import find_binary
from provenance_zk.prover.server import ChildServer

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("PROVENANCE_BENCH_CACHE", ROOT / ".state" / "cache"))
RECORDS, BATCH, EPOCHS = 10_000, 8, 3  # the reference job
BATCHES = RECORDS // BATCH * EPOCHS


def line(what: str, value: float, unit: str, target: str, met: bool, inputs: str) -> None:
    """Print one figure with its target, and what it was measured on."""
    print(
        f"{what:<52} {value:12,.4g} {unit:<12} target {target:<12} "
        f"{'met' if met else 'MISSED':<7} {inputs}",
        flush=True,
    )


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def children_peak_bytes() -> int:
    """Largest resident set of any finished child so far (getrusage(2), kilobytes on Linux)."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def server_peak_bytes(server: ChildServer) -> int:
    """Largest resident set of a running prover so far (proc(5), VmHWM, in kilobytes)."""
    if server.process is None:
        return 0
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def synthetic_rows(count: int) -> list[dict[str, str]]:
    """Distinct rows of about 60 bytes."""
    return [
        {"text": f"synthetic record {i:08d} for measuring proofs and gas, of no meaning"}
        for i in range(count)
    ]


def settings(folder: Path) -> Settings:
    password = folder / "password"
    if not password.exists():
        fd = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as stream:
            stream.write(os.urandom(16).hex())
    zkprover = Settings.load().zkprover
    return Settings(home=folder / "home", cache=CACHE, zkprover=zkprover, password_file=password)


def prover_binary() -> Path:
    """The prover to measure: PROVENANCE_ZKPROVER, else the one of this checkout."""
    return find_binary(Settings.load().zkprover)


def quiet(_: str) -> None:
    return None


def say(text: str) -> None:
    print(f"   {text}", file=sys.stderr, flush=True)

"""Appending to a journal with group commit: records per second until all are on disk.

Target: >= 10,000.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from common import ROOT, line, median

from provenance.digest import sha256
from provenance.log.journal import Journal
from provenance.log.record import Record

COUNT, ROUNDS = 20_000, 5


def _payload(i: int) -> bytes:
    return Record.make(
        "batch",
        time="2026-01-01T00:00:00Z",
        epoch=0,
        step=i,
        micro=0,
        rank=0,
        positions=list(range(8 * i, 8 * i + 8)),
        leaves=["0x" + sha256(bytes([j])).hex() for j in range(8)],
        tensors=str(sha256(b"tensors")),
    ).to_bytes()


def main() -> None:
    payload = _payload(1)
    rates, made = [], []
    for round_ in range(ROUNDS):
        begin = time.perf_counter()
        payloads = [_payload(i) for i in range(COUNT // 4)]
        made.append(len(payloads) / (time.perf_counter() - begin))
        (ROOT / "build").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
            journal = Journal.create(Path(folder) / "journal", {"format": "bench", "round": round_})
            begin = time.perf_counter()
            for _ in range(COUNT):
                journal.append(payload)
            journal.barrier()
            rates.append(COUNT / (time.perf_counter() - begin))
            journal.close()
    inputs = f"{COUNT} records of {len(payload)} bytes, {ROUNDS} rounds, median"
    line(
        "journal, appended and on disk",
        median(rates),
        "records/s",
        ">= 10,000",
        median(rates) >= 10_000,
        inputs,
    )
    line("records made (canonical JSON), one thread", median(made), "records/s", "-", True, inputs)

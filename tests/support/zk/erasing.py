"""Datasets and runs from which tests erase records."""

from __future__ import annotations

from pathlib import Path

from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import BATCH_SALTS, SaltStore, load_key
from provenance.layout import RunFolder
from provenance.log.journal import Journal
from provenance.log.record import Record

TEXTS = [f"the confidential report of person number {i}" for i in range(20)]


def leaf_of(folder: Path, index: int) -> str:
    with CommittedDataset.open(folder) as opened:
        return f"0x{opened.leaf(index).hex()}"


def make_run(folder: Path, home: Path, batches: list[list[str]]) -> RunFolder:
    """A run's journal and salts, as training leaves them."""
    run = RunFolder(folder)
    with (
        Journal.create(run.journal, {"format": "provenance-journal/1"}) as journal,
        SaltStore.open(run.secrets / "salts.sqlite", load_key(home / "salts.key")) as salts,
    ):
        for step, leaves in enumerate(batches):
            record = Record.make(
                "batch",
                epoch=0,
                step=step,
                micro=0,
                rank=0,
                positions=list(range(len(leaves))),
                leaves=leaves,
                tensors="sha256:" + "ab" * 32,
            )
            journal.append(record.to_bytes())
            salts.put(BATCH_SALTS, step, bytes([step]) * 32)
        journal.barrier()
    return run

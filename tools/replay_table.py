"""Trains a segment of a run again on several stacks of this machine, and says how each compares.

    python tools/replay_table.py RUN DATASET BASE [SEGMENT]

Each stack is a fresh process: as the run had it, with other numbers of threads, and with fewer
instructions of the processor. The table is for docs/replay.md. HOME and settings are the caller's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from provenance.errors import ProvenanceError
from provenance.layout import RunFolder
from provenance.log.fold import read_history
from provenance.log.graph.segments import segments_of
from provenance.log.record import Record
from provenance.log.tree import read_records
from provenance.progress import silent
from provenance.settings import Settings
from provenance_trainer.replay.process import Material
from provenance_trainer.replay.run import replay_run

# Names of ATen's variable, and of oneDNN's, which multiplies matrices.
INSTRUCTIONS: tuple[dict[str, str], ...] = (
    {},
    {"ATEN_CPU_CAPABILITY": "avx2"},
    {"ATEN_CPU_CAPABILITY": "default"},
    {"ONEDNN_MAX_CPU_ISA": "AVX2"},
)


def with_threads(records: list[Record], threads: int) -> list[Record]:
    """The log as if the run had been trained with so many threads."""
    opening = records[0]
    said = opening.fields["environment"]
    changed = {**said, "stack": {**said["stack"], "threads": threads}}
    return [replace(opening, fields={**opening.fields, "environment": changed}), *records[1:]]


def row(records: list[Record], run: Path, segment: int, material: Material) -> str:
    """How the segment compares on the present stack."""
    try:
        found = replay_run(records, [run], [segment], material, silent)
    except ProvenanceError as error:
        return str(error)
    (one,) = found.replayed
    worst = next(c for c in one.comparisons if c.agreement is found.agreement)
    return f"{found.agreement}" + (f" ({worst.distance})" if worst.distance else "")


def main(run: Path, dataset: Path, base: str, segment: int) -> None:
    """Print a row of the table for each stack."""
    records = read_records(RunFolder(run).journal)
    material = Material(dataset, base, Settings.load())
    said = records[0].fields["environment"]["stack"]
    whole = segments_of(read_history(records))[segment]
    print(f"{whole} of {run}, torch {torch.__version__}, {said['cpu']}, {said['capability']}")
    print("\n| threads | variables | class |\n|---|---|---|")
    own = said["threads"]
    for threads in dict.fromkeys([own, 1, 2, 3, 4]):
        for variables in INSTRUCTIONS if threads == own else ({},):
            mark = f"{threads}, as the run" if threads == own and not variables else threads
            named = " ".join(f"`{k}={v}`" for k, v in variables.items()) or "-"
            with environment(variables):
                found = row(with_threads(records, threads), run, segment, material)
            print(f"| {mark} | {named} | {found} |", flush=True)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables for the processes that are started meanwhile."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int((sys.argv[4:] or ["0"])[0]))

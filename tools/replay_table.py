"""Trains a segment of a run again on several stacks of this machine, and says how each compares.

    python tools/replay_table.py RUN DATASET BASE [SEGMENT]

Each stack is a fresh process: as the run had it, with other numbers of threads, and with other
instructions of the processor, as far as it has them. The table is for docs/replay.md.
"""

from __future__ import annotations

import sys
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

CAPABILITIES = ("AVX512", "AVX2", "DEFAULT")


def with_stack(records: list[Record], **changes: object) -> list[Record]:
    """The log as if the run had been trained on another stack; replays follow what it says."""
    opening = records[0]
    said = opening.fields["environment"]
    changed = {**said, "stack": {**said["stack"], **changes}}
    return [replace(opening, fields={**opening.fields, "environment": changed}), *records[1:]]


def row(records: list[Record], run: Path, segment: int, material: Material) -> str:
    """How the segment compares on the present stack."""
    try:
        found = replay_run(records, [run], [segment], material, silent)
    except ProvenanceError as error:
        return str(error)
    distance = found.worst.distance
    return f"{found.agreement}" + (f" ({distance})" if distance else "")


def main(run: Path, dataset: Path, base: str, segment: int) -> None:
    """Print a row of the table for each stack."""
    records = read_records(RunFolder(run).journal)
    material = Material(dataset, base, Settings.load())
    said = records[0].fields["environment"]["stack"]
    whole = segments_of(read_history(records))[segment]
    print(f"{whole} of {run}, torch {torch.__version__}, {said['cpu']}, {said['capability']}")
    own, threads = said["capability"], said["threads"]
    stacks = [(threads, own), *((n, own) for n in (1, 2, 3, 4) if n != threads)]
    stacks += [(threads, other) for other in CAPABILITIES if other != own]
    print("\n| threads | instructions | class |\n|---|---|---|")
    for number, instructions in stacks:
        changed = with_stack(records, threads=number, capability=instructions)
        mark = ", as the run" if (number, instructions) == (threads, own) else ""
        found = row(changed, run, segment, material)
        print(f"| {number}{mark} | {instructions} | {found} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int((sys.argv[4:] or ["0"])[0]))

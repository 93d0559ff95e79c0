"""Journals on disk for fault tests, and a writer that a test can kill."""

from __future__ import annotations

import sys
from pathlib import Path

from provenance.log.frames import read_frames
from provenance.log.journal import Journal

HEADER = {"format": "provenance-journal/1"}


def write(path: Path, payloads: list[bytes]) -> list[int]:
    """A journal of these payloads; returns the file offset after each frame."""
    with Journal.create(path, HEADER) as journal:
        for payload in payloads:
            journal.append(payload)
    return [frame.end for frame in read_frames(path)]


def payloads_of(path: Path) -> list[bytes]:
    return [frame.payload for frame in read_frames(path)]


def writer(path: Path, size: int) -> None:
    """Append frames for ever, telling on stdout how many are durable after each barrier."""
    journal = Journal.open(path) if path.exists() else Journal.create(path, HEADER)
    while True:
        seq = len(journal)
        for i in range(seq % 3 + 1):
            journal.append(b"%d:" % (seq + i) + b"x" * size)
        journal.barrier()
        print(len(journal), flush=True)


if __name__ == "__main__":
    writer(Path(sys.argv[1]), int(sys.argv[2]))
